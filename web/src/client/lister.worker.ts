/// <reference lib="webworker" />
import { Multistatus } from './multistatus.ts'
import { itemOf, propfindBody, trashedOf, itemProps, trashProps, type Item } from './item.ts'

/** Lists folders off the main thread: reads, sorts by name, hands over in pieces. */
export interface Ask {
  id: number
  url: string
  trash: boolean
  headers: Record<string, string>
  language: string
}

export type Tell =
  | { id: number; self: Item; rows: Item[]; done: boolean }
  | { id: number; status: number; body: string }

const post = (tell: Tell) => {
  self.postMessage(tell)
}

/** Rows in one message: more would hold up the main thread for longer than a frame. */
const piece = 4000

async function list(ask: Ask) {
  const answer = await fetch(ask.url, {
    method: 'PROPFIND',
    headers: { ...ask.headers, Depth: '1', 'Content-Type': 'application/xml' },
    body: propfindBody(ask.trash ? trashProps : itemProps),
    credentials: 'omit',
  })
  if (answer.status !== 207 || !answer.body) {
    post({ id: ask.id, status: answer.status, body: await answer.text() })
    return
  }
  const all: Item[] = []
  const parser = new Multistatus((href, props) => {
    all.push(ask.trash && all.length > 0 ? trashedOf(href, props) : itemOf(href, props))
  })
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
  for (let r = await reader.read(); !r.done; r = await reader.read()) parser.push(r.value)

  const [own, ...rows] = all
  if (!own) {
    post({ id: ask.id, status: 0, body: '' })
    return
  }
  const compare = new Intl.Collator(ask.language, { numeric: true, sensitivity: 'base' }).compare
  rows.sort((a, b) => Number(b.dir) - Number(a.dir) || compare(a.name, b.name) || (a.name < b.name ? -1 : 1))
  rows.forEach((row, i) => (row.rank = i))
  let from = 0
  do {
    post({ id: ask.id, self: own, rows: rows.slice(from, from + piece), done: from + piece >= rows.length })
    from += piece
  } while (from < rows.length)
}

self.onmessage = (event: MessageEvent<Ask>) => {
  list(event.data).catch(() => {
    post({ id: event.data.id, status: 0, body: '' })
  })
}
