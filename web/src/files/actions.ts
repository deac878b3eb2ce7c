import * as dav from '../client/dav.ts'
import { freeName, type Item } from '../client/item.ts'
import { list } from '../client/lister.ts'
import { ask } from '../ui/ask.ts'
import Confirm from '../ui/Confirm.vue'
import { say } from '../ui/toasts.ts'
import { t, tn } from '../ui/words.ts'
import { each } from './batch.ts'
import { settle, type Placed } from './conflicts.ts'
import { explain } from './explain.ts'
import { folderById, touch, type Folder } from './folders.ts'
import { done } from './undo.ts'

/** What can be done with files: it shows at once, and is taken back when the server says no. */

function complain(failed: { one: { name: string }; err: unknown }[]) {
  const [first] = failed
  if (!first) return
  say(tn('“{name}”: {why}', '{n} items, such as “{name}”: {why}', failed.length, { name: first.one.name, why: explain(first.err) }), { kind: 'failed' })
}

export async function makeFolder(folder: Folder): Promise<Item | undefined> {
  const parent = folder.self.value
  if (!parent) return undefined
  const name = freeName(t('New folder'), true, (n) => folder.has(n))
  try {
    return await folder.during(async () => folder.put(await dav.makeFolder(parent.id, name)))
  } catch (err) {
    complain([{ one: { name }, err }])
    return undefined
  }
}

/** What is wrong with a name; empty: nothing. */
export function badName(name: string, item: Item, folder: Folder): string {
  if (!name.trim()) return t('A name is needed.')
  if (name.includes('/')) return t('A name cannot have a slash in it.')
  if (name === '.' || name === '..') return t('This cannot be a name.')
  if (name !== item.name && folder.has(name)) return t('The name is already taken.')
  return ''
}

export async function rename(folder: Folder, item: Item, name: string, again = false): Promise<void> {
  const parent = folder.self.value
  if (!parent || name === item.name) return
  folder.put({ ...item, name })
  try {
    await folder.during(() => dav.move(item.id, parent.id, name))
  } catch (err) {
    folder.put(item)
    complain([{ one: item, err }])
    return
  }
  if (!again) done(t('Renamed to “{name}”', { name }), () => rename(folder, { ...item, name }, item.name, true))
}

export async function remove(folder: Folder, items: Item[]): Promise<void> {
  const parent = folder.self.value
  if (!parent || items.length === 0) return
  folder.without(new Set(items.map((i) => i.id)))
  const { done: gone, failed } = await folder.during(() => each(items, (i) => dav.remove(i.id)))
  for (const { one } of failed) folder.put(one)
  complain(failed)
  if (gone.length === 0) return
  done(tn('“{name}” is in the trash', '{n} items are in the trash', gone.length, { name: gone[0]?.name ?? '' }), async () => {
    for (const i of gone) folder.put({ ...i, pending: true })
    const back = await folder.during(() => each(gone, (i) => dav.restore(dav.spaceOf(i.id), dav.nodeOf(i.id), dav.byId(parent.id, i.name))))
    complain(back.failed)
  })
}

/** Past the trash: asks first, and then removes for good. */
export async function removeForGood(folder: Folder, items: Item[]): Promise<void> {
  if (!(await confirmPurge(items))) return
  folder.without(new Set(items.map((i) => i.id)))
  const { failed } = await folder.during(() =>
    each(items, async (i) => {
      await dav.remove(i.id)
      await dav.purge(dav.spaceOf(i.id), dav.nodeOf(i.id))
    }),
  )
  for (const { one } of failed) folder.put(one)
  complain(failed)
}

function confirmPurge(items: Item[]): Promise<boolean | undefined> {
  return ask<boolean>(Confirm, {
    title: tn('Delete “{name}” for good?', 'Delete {n} items for good?', items.length, { name: items[0]?.name ?? '' }),
    text: t('This cannot be undone.'),
    yes: t('Delete for good'),
  })
}

export interface Target {
  id: string
  name: string
}

async function takenIn(target: string): Promise<Map<string, boolean>> {
  const known = folderById(target)
  const rows = known?.state.value === 'ready' ? known.rows.value : (await list(dav.byId(target))).rows
  return new Map(rows.map((r) => [r.name, r.dir]))
}

/** Moves or copies items into a folder. */
export async function transfer(how: 'move' | 'copy', items: Item[], from: Folder | undefined, target: Target): Promise<void> {
  const home = from?.self.value?.id
  items = items.filter((i) => i.id !== target.id)
  if (items.length === 0 || (how === 'move' && home === target.id)) return
  let placed: Placed<Item>[] | undefined
  try {
    const taken = await takenIn(target.id)
    // A copy beside the original gets a name of its own, without a question.
    const beside = how === 'copy' && home === target.id
    placed = await settle(items, taken, beside ? () => Promise.resolve('both' as const) : undefined)
  } catch (err) {
    say(explain(err), { kind: 'failed' })
    return
  }
  if (!placed?.length) return

  const into = folderById(target.id)
  if (how === 'move') from?.without(new Set(placed.map((p) => p.one.id)))
  const work = () =>
    each(placed, ({ one, name, over }) => (how === 'move' ? dav.move : dav.copy)(one.id, target.id, name, over ? 'T' : 'F'))
  const { done: ok, failed } = await (from ? from.during(work) : work())
  if (how === 'move') for (const { one } of failed) from?.put(one.one)
  complain(failed.map(({ one, err }) => ({ one: one.one, err })))
  if (into && into !== from) void into.load()
  if (ok.length === 0) return

  const values = { name: ok[0]?.name ?? '', folder: target.name }
  const text = how === 'move'
    ? tn('Moved “{name}” to {folder}', 'Moved {n} items to {folder}', ok.length, values)
    : tn('Copied “{name}” to {folder}', 'Copied {n} items to {folder}', ok.length, values)
  const plain = ok.filter((p) => !p.over)
  if (plain.length === 0 || (how === 'move' && !home)) {
    say(text)
    return
  }
  done(text, async () => {
    let failedBack
    if (how === 'move') {
      failedBack = (await each(plain, (p) => dav.move(p.one.id, home ?? '', p.one.name))).failed.map(({ one, err }) => ({ one: one.one, err }))
    } else {
      const copies = (await list(dav.byId(target.id))).rows
      const names = new Set(plain.map((p) => p.name))
      failedBack = (await each(copies.filter((c) => names.has(c.name)), (c) => dav.remove(c.id))).failed
    }
    complain(failedBack)
    if (home) touch(home)
    touch(target.id)
  })
}

/** Has the browser save files. */
export async function download(items: Item[]): Promise<void> {
  const { failed } = await each(items.filter((i) => !i.dir), async (i) => {
    save(await dav.downloadURL(i.id), i.name)
  }, 1)
  complain(failed)
}

export function save(url: string, name: string) {
  const a = document.createElement('a')
  a.href = url
  a.download = name
  a.click()
}

// Trash.

export async function restore(trash: Folder, items: Item[]): Promise<void> {
  trash.without(new Set(items.map((i) => i.id)))
  const { done: ok, failed } = await trash.during(() => each(items, (i) => dav.restore(trash.space, i.id, dav.inSpace(trash.space, i.gone?.from ?? i.name))))
  for (const { one } of failed) trash.put(one)
  complain(failed)
  if (ok.length === 0) return
  done(tn('“{name}” is back', '{n} items are back', ok.length, { name: ok[0]?.name ?? '' }), async () => {
    for (const i of ok) trash.put(i)
    const again = await trash.during(() => each(ok, (i) => dav.remove(dav.inSpaceId(trash.space, i.id))))
    complain(again.failed)
  })
}

export async function purge(trash: Folder, items: Item[]): Promise<void> {
  if (!(await confirmPurge(items))) return
  trash.without(new Set(items.map((i) => i.id)))
  const { failed } = await trash.during(() => each(items, (i) => dav.purge(trash.space, i.id)))
  for (const { one } of failed) trash.put(one)
  complain(failed)
}

export async function empty(trash: Folder): Promise<void> {
  const n = trash.rows.value.length
  const yes = await ask<boolean>(Confirm, {
    title: t('Empty the trash?'),
    text: tn('One item will be deleted for good. This cannot be undone.', '{n} items will be deleted for good. This cannot be undone.', n),
    yes: t('Empty trash'),
  })
  if (!yes) return
  const before = trash.rows.value
  trash.rows.value = []
  try {
    await trash.during(() => dav.purge(trash.space))
  } catch (err) {
    trash.rows.value = before
    say(explain(err), { kind: 'failed' })
  }
}
