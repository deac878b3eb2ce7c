import type { Props } from './multistatus.ts'

/** A file or folder as lists show it. */
export interface Item {
  id: string // <space>!<node>
  name: string
  dir: boolean
  size: number // bytes; of folders all that is in them
  mtime: number // milliseconds since 1970; 0: unknown
  etag: string
  can: string // letters of oc:permissions
  shares: string // numbers of oc:share-types with commas; empty: with nobody
  rank: number // its place among its siblings by name
  gone?: { from: string; at: number } // in the trash: its path, and when it was deleted
  by?: string // who shares it, or with whom it is shared
  pending?: boolean // shown before the server has said yes
}

export const itemProps = ['resourcetype', 'getetag', 'getlastmodified', 'fileid', 'name', 'size', 'permissions', 'share-types']
export const trashProps = ['resourcetype', 'size', 'trashbin-original-filename', 'trashbin-original-location', 'trashbin-delete-datetime']

const dav = new Set(['resourcetype', 'getetag', 'getlastmodified', 'getcontentlength'])

export function propfindBody(props: string[]): string {
  const asked = props.map((p) => `<${dav.has(p) ? 'd' : 'oc'}:${p}/>`).join('')
  return `<?xml version="1.0"?><d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:prop>${asked}</d:prop></d:propfind>`
}

export function lastSegment(href: string): string {
  return decodeURIComponent(href.replace(/\/$/, '').split('/').pop() ?? '')
}

export function itemOf(href: string, p: Props): Item {
  return {
    id: p.fileid ?? '',
    name: p.name ?? lastSegment(href),
    dir: p.resourcetype === '1',
    size: Number(p.size ?? 0),
    mtime: Date.parse(p.getlastmodified ?? '') || 0,
    etag: p.getetag ?? '',
    can: p.permissions ?? '',
    shares: p['share-types'] ?? '',
    rank: 0,
  }
}

export function trashedOf(href: string, p: Props): Item {
  const from = p['trashbin-original-location'] ?? ''
  return {
    id: lastSegment(href),
    name: p['trashbin-original-filename'] ?? lastSegment(href),
    dir: p.resourcetype === '1',
    size: Number(p.size ?? 0),
    mtime: 0,
    etag: '',
    can: '',
    shares: '',
    rank: 0,
    gone: { from, at: Date.parse(p['trashbin-delete-datetime'] ?? '') || 0 },
  }
}

/** What the caller may do with an item. */
export const may = {
  rename: (i: Item) => i.can.includes('N') || i.can.includes('V'),
  remove: (i: Item) => i.can.includes('D'),
  addFile: (i: Item) => i.can.includes('CK') || i.can.includes('C'),
  download: (i: Item) => !i.can.includes('X'),
}

export function splitName(name: string, dir: boolean): [stem: string, extension: string] {
  const dot = dir ? -1 : name.lastIndexOf('.')
  return dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, '']
}

/** A name that is not taken: "plan (2).md". */
export function freeName(name: string, dir: boolean, taken: (name: string) => boolean): string {
  if (!taken(name)) return name
  const [stem, extension] = splitName(name, dir)
  for (let n = 2; ; n++) {
    const next = `${stem} (${String(n)})${extension}`
    if (!taken(next)) return next
  }
}
