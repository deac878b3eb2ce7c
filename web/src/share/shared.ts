import type { Item } from '../client/item.ts'
import type { SharedItem } from '../client/sharing.ts'
import { language } from '../ui/words.ts'
import { nameOf } from './words.ts'

export type Which = 'with-me' | 'with-others' | 'by-link'

/** What is shared as rows of a list: by name, folders first. */
export function rowsOf(all: SharedItem[], which: Which): Item[] {
  const compare = new Intl.Collator(language.value, { numeric: true, sensitivity: 'base' }).compare
  return all
    .map((s): Item => ({
      id: s.id, name: s.name, dir: s.folder !== undefined, size: s.size ?? 0, mtime: Date.parse(s.lastModifiedDateTime ?? '') || 0, etag: '', can: '', shares: '', rank: 0, by: byOf(s, which),
    }))
    .sort((a, b) => Number(b.dir) - Number(a.dir) || compare(a.name, b.name))
    .map((item, rank) => ({ ...item, rank }))
}

/** The other side: who shares it, with whom, by which links. */
function byOf(s: SharedItem, which: Which): string {
  const names =
    which === 'with-me'
      ? (s.remoteItem?.permissions ?? []).map((p) => p.invitation?.invitedBy.user?.displayName ?? '')
      : (s.permissions ?? []).filter((p) => (which === 'by-link') === (p.link !== undefined)).map(nameOf)
  return [...new Set(names.filter(Boolean))].join(', ')
}

/** Those of what one shares that belong on a page. */
export function given(all: SharedItem[], which: Which): SharedItem[] {
  return all.filter((s) => s.permissions?.some((p) => (which === 'by-link' ? p.link : p.grantedToV2)))
}
