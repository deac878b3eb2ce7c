/**
 * What keys do: one table for what is listened to and for the page that
 * explains it. "Mod" is the Command key on a Mac, else Control.
 */
export interface Binding {
  keys: string // "Mod+Shift+Z", "F2", "?"
  label: () => string
  run?: () => void // without it the table only explains
  group: () => string
}

const mac = /Mac|iP/.test(navigator.platform)
const tables = new Set<Binding[]>()

export function bindings(): Binding[] {
  return [...tables].flat()
}

/** Adds keys; the answer takes them away again. */
export function bind(table: Binding[]): () => void {
  tables.add(table)
  return () => tables.delete(table)
}

function matches(keys: string, e: KeyboardEvent): boolean {
  const parts = keys.split('+')
  const key = parts.pop() ?? ''
  const mod = mac ? e.metaKey : e.ctrlKey
  if (parts.includes('Mod') !== mod || parts.includes('Alt') !== e.altKey) return false
  // Signs such as ? are typed with Shift on some keyboards and without on others.
  if (/^[\w ]/.test(key) && parts.includes('Shift') !== e.shiftKey) return false
  return e.key.toLowerCase() === (key === 'Space' ? ' ' : key.toLowerCase())
}

const typing = 'input:not([type=checkbox]), textarea, select, [contenteditable], dialog, [role=menu]'

/** Listens for all keys that are bound, unless the user is writing or in a dialog. */
export function listen() {
  document.addEventListener('keydown', (e) => {
    if (e.defaultPrevented || (e.target instanceof Element && e.target.closest(typing)) || document.querySelector('dialog[open]')) return
    for (const b of bindings()) {
      if (b.run && matches(b.keys, e)) {
        e.preventDefault()
        b.run()
        return
      }
    }
  })
}

const signs: Record<string, string> = { Mod: mac ? '⌘' : 'Ctrl', ArrowUp: '↑', ArrowDown: '↓', Delete: 'Del' }

export function spell(keys: string): string {
  return keys.split('+').map((k) => signs[k] ?? k).join(mac ? '' : '+')
}
