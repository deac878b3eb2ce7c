import { ref, shallowRef } from 'vue'
import * as dav from '../client/dav.ts'
import { Problem } from '../client/http.ts'
import type { Item } from '../client/item.ts'
import { list, type Listing } from '../client/lister.ts'
import { language } from '../ui/words.ts'

/**
 * Folders as they were last seen, so that one that was visited is there at
 * once. What is done shows here before the server has said yes; when it says
 * no, or something else changed, the folder is read again.
 */
export class Folder {
  readonly rows = shallowRef<Item[]>([]) // by rank
  readonly self = shallowRef<Item>()
  readonly state = ref<'new' | 'loading' | 'ready' | 'failed'>('new')
  readonly problem = shallowRef<Problem>()
  scroll = 0
  active = '' // id of the row that had the focus
  #running = 0 // changes that the server has not answered yet
  #stale = false
  #reading: Promise<void> | undefined

  constructor(
    readonly space: string,
    readonly path: string,
    private readonly read: () => Promise<Listing>,
    private readonly address = dav.inSpace(space, path),
  ) {}

  /** Makes sure that there is something to show, and that it is true soon. */
  async visit(): Promise<void> {
    if (this.state.value !== 'ready') return this.load()
    if (this.#stale || !this.self.value?.etag) return this.load()
    try {
      const now = await dav.stat(this.address)
      if (now.etag !== this.self.value.etag) await this.load()
    } catch {
      await this.load()
    }
  }

  load(): Promise<void> {
    this.#reading ??= this.#load().finally(() => (this.#reading = undefined))
    return this.#reading
  }

  async #load() {
    if (this.state.value !== 'ready') this.state.value = 'loading'
    this.#stale = false
    try {
      const got = await this.read()
      if (this.#running > 0) {
        this.#stale = true // what was read may not have it yet
        return
      }
      this.self.value = got.self
      this.rows.value = got.rows
      this.state.value = 'ready'
      this.problem.value = undefined
    } catch (err) {
      this.problem.value = err instanceof Problem ? err : new Problem(0, '')
      if (this.state.value !== 'ready' || this.problem.value.status === 404) this.state.value = 'failed'
    }
  }

  /** Does something to which the rows have been adapted already. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#running++
    try {
      return await work()
    } finally {
      this.#running--
      this.#stale = true
      if (this.#running === 0) void this.load()
    }
  }

  has(name: string): boolean {
    return this.rows.value.some((i) => i.name === name)
  }

  without(ids: Set<string>) {
    this.rows.value = this.rows.value.filter((i) => !ids.has(i.id))
  }

  /** Puts an item where it belongs among the others; one of the same id goes. */
  put(item: Item): Item {
    const rows = this.rows.value.filter((i) => i.id !== item.id)
    const compare = new Intl.Collator(language.value, { numeric: true, sensitivity: 'base' }).compare
    const after = (other: Item) => Number(item.dir) - Number(other.dir) || compare(other.name, item.name)
    let low = 0
    let high = rows.length
    while (low < high) {
      const middle = (low + high) >> 1
      const other = rows[middle]
      if (other && after(other) <= 0) low = middle + 1
      else high = middle
    }
    const before = rows[low - 1]?.rank ?? (rows[low]?.rank ?? 0) - 2
    const next = rows[low]?.rank ?? before + 2
    const placed = { ...item, rank: (before + next) / 2 }
    rows.splice(low, 0, placed)
    this.rows.value = rows
    return placed
  }
}

/** Folders that are kept. A bigger number costs memory, a smaller one waiting. */
const most = 60
const folders = new Map<string, Folder>()

function keep(key: string, make: () => Folder): Folder {
  let f = folders.get(key)
  if (f) folders.delete(key)
  f ??= make()
  folders.set(key, f)
  for (const [oldest] of folders) {
    if (folders.size <= most) break
    folders.delete(oldest)
  }
  return f
}

export function folderAt(space: string, path: string): Folder {
  return keep(`${space}/${path}`, () => new Folder(space, path, () => dav.listFolder(space, path)))
}

/** A folder below a link, as whoever holds the link sees it. */
export function folderByLink(token: string, path: string): Folder {
  const address = dav.inLink(token, path)
  return keep(`link ${token}/${path}`, () => new Folder('', path, () => list(address), address))
}

export function trashOf(space: string): Folder {
  return keep(`trash ${space}`, () => new Folder(space, '', () => dav.listTrash(space)))
}

/** A folder that is known by its id, if it is still kept. */
export function folderById(id: string): Folder | undefined {
  for (const f of folders.values()) if (f.self.value?.id === id) return f
  return undefined
}

/** Reads again what a change elsewhere may have touched. */
export function touch(id: string) {
  const f = folderById(id)
  if (f) void f.load()
}

export function join(path: string, name: string): string {
  return path ? `${path}/${name}` : name
}
