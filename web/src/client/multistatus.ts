/**
 * Reads a multi-status (RFC 4918, section 13) piece by piece as it arrives:
 * of each response its address and the text of the properties that it has.
 * Elements inside of a property make it "1" (a collection) or, when they have
 * text, a list with commas.
 */
export type Props = Record<string, string>

const token = /<(\/?)(?:[\w-]+:)?([\w-]+)[^>]*?(\/?)>([^<]*)/g
const end = /<\/(?:[\w-]+:)?response>/g

export class Multistatus {
  #rest = ''

  constructor(private readonly take: (href: string, props: Props) => void) {}

  push(text: string) {
    const all = this.#rest + text
    let from = 0
    end.lastIndex = Math.max(0, this.#rest.length - 32)
    for (let m = end.exec(all); m; m = end.exec(all)) {
      this.#response(all.slice(from, m.index))
      from = end.lastIndex
    }
    this.#rest = all.slice(from)
  }

  #response(text: string) {
    let href = ''
    let status = ''
    const props: Props = {}
    let found: Props = {}
    const path: string[] = []
    token.lastIndex = 0
    for (let m = token.exec(text); m; m = token.exec(text)) {
      const [, closing, name = '', empty, content = ''] = m
      if (closing) {
        path.pop()
        if (name === 'propstat') {
          if (/ 2\d\d/.test(status)) Object.assign(props, found)
          found = {}
        }
        continue
      }
      const depth = path.indexOf('prop')
      if (depth >= 0 && path.length === depth + 1) {
        found[name] = unescape(content)
      } else if (depth >= 0) {
        const of = path[depth + 1] ?? ''
        const value = empty ? '1' : unescape(content.trim())
        if (value) found[of] = found[of]?.trim() ? `${found[of]},${value}` : value
      } else if (name === 'href') {
        href = unescape(content)
      } else if (name === 'status') {
        status = content
      }
      if (!empty) path.push(name)
    }
    if (href) this.take(href, props)
  }
}

const named: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

function unescape(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(/&(?:#x([\da-fA-F]+)|#(\d+)|(\w+));/g, (all, hex?: string, dec?: string, name?: string) => {
    if (hex) return String.fromCodePoint(parseInt(hex, 16))
    if (dec) return String.fromCodePoint(parseInt(dec, 10))
    return named[name ?? ''] ?? all
  })
}
