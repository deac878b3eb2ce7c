import type { Item } from '../client/item.ts'

export type SortKey = 'name' | 'size' | 'mtime' | 'from' | 'gone' | 'by'
export interface Sort {
  key: SortKey
  down: boolean
}

const values: Record<SortKey, (i: Item) => number | string> = {
  name: (i) => i.rank,
  size: (i) => i.size,
  mtime: (i) => i.mtime,
  from: (i) => i.gone?.from ?? '',
  gone: (i) => i.gone?.at ?? 0,
  by: (i) => i.by ?? '',
}

/** Rows in an order; folders stay in front when it is that of names. The rows come by rank. */
export function sorted(rows: Item[], sort: Sort): Item[] {
  if (sort.key === 'name' && !sort.down) return rows
  const value = values[sort.key]
  const sign = sort.down ? -1 : 1
  return [...rows].sort((a, b) => {
    if (sort.key === 'name' && a.dir !== b.dir) return a.dir ? -1 : 1
    const x = value(a)
    const y = value(b)
    return x < y ? -sign : x > y ? sign : a.rank - b.rank
  })
}

/** Rows whose names have all the words in them. */
export function filtered(rows: Item[], text: string): Item[] {
  const parts = text.toLowerCase().split(/\s+/).filter(Boolean)
  if (parts.length === 0) return rows
  return rows.filter((r) => {
    const name = r.name.toLowerCase()
    return parts.every((p) => name.includes(p))
  })
}
