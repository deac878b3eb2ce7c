import { ArchiveRestore, Gauge, Pencil, PowerOff, Text, Trash2, Users } from '@lucide/vue'
import * as graph from '../client/graph.ts'
import type { Drive } from '../client/graph.ts'
import { access } from '../client/sharing.ts'
import { explain } from '../files/explain.ts'
import type { Action } from '../files/menu.ts'
import { done } from '../files/undo.ts'
import { ask } from '../ui/ask.ts'
import Confirm from '../ui/Confirm.vue'
import TextDialog from '../ui/TextDialog.vue'
import { say } from '../ui/toasts.ts'
import { t } from '../ui/words.ts'

/** What can be done with a space, as far as the user may. */
export interface Context {
  abilities: Set<string>
  refresh: () => Promise<void>
  members?: () => void // shows them
  left?: () => void // the space is not there any more
}

const gigabyte = 1_000_000_000

async function change(space: Drive, to: graph.DriveChange, back: graph.DriveChange, text: string, c: Context) {
  try {
    await graph.changeSpace(space.id, to)
    await c.refresh()
    done(text, async () => {
      await graph.changeSpace(space.id, back)
      await c.refresh()
    })
  } catch (err) {
    say(explain(err), { kind: 'failed' })
  }
}

async function rename(space: Drive, c: Context) {
  const name = await ask<string>(TextDialog, { title: t('Rename the space'), label: t('Name'), yes: t('Rename'), value: space.name })
  if (name && name !== space.name) await change(space, { name }, { name: space.name }, t('Renamed to “{name}”', { name }), c)
}

async function describe(space: Drive, c: Context) {
  const before = space.description ?? ''
  const description = await ask<string>(TextDialog, { title: t('Subtitle of {name}', { name: space.name }), label: t('Subtitle'), text: t('A line that says what the space is for.'), yes: t('Save'), value: before, empty: true })
  if (description !== undefined && description !== before) await change(space, { description }, { description: before }, t('Saved'), c)
}

async function limit(space: Drive, c: Context) {
  const before = space.quota?.total ?? 0
  const text = await ask<string>(TextDialog, {
    title: t('Room for {name}', { name: space.name }), label: t('Gigabytes'), yes: t('Save'), type: 'number', min: '0.1', value: before ? String(before / gigabyte) : '', none: before ? t('No limit') : undefined,
  })
  if (text === undefined) return
  const total = Math.round(Number(text || 0) * gigabyte)
  if (total !== before) await change(space, { quota: { total } }, { quota: { total: before } }, t('Saved'), c)
}

async function run(c: Context, work: () => Promise<void>): Promise<boolean> {
  try {
    await work()
    await c.refresh()
    return true
  } catch (err) {
    say(explain(err), { kind: 'failed' })
    return false
  }
}

async function disable(space: Drive, c: Context) {
  if (!(await run(c, () => graph.disableSpace(space.id)))) return
  c.left?.()
  done(t('“{name}” is disabled: nobody gets at its files', { name: space.name }), async () => {
    await graph.restoreSpace(space.id)
    await c.refresh()
  })
}

async function restore(space: Drive, c: Context) {
  if (await run(c, () => graph.restoreSpace(space.id))) say(t('The space “{name}” is back', { name: space.name }))
}

async function remove(space: Drive, c: Context) {
  const yes = await ask<boolean>(Confirm, { title: t('Delete the space “{name}” for good?', { name: space.name }), text: t('All its files, their versions and its trash are deleted. This cannot be undone.'), yes: t('Delete for good') })
  if (yes) await run(c, () => graph.removeSpace(space.id))
}

/** Whether the user manages a space; of one that is disabled only a try would tell. */
async function manages(space: Drive): Promise<boolean> {
  try {
    return (await access(space.id)).can.has('permissions/update')
  } catch {
    return false
  }
}

export async function actionsFor(space: Drive, c: Context): Promise<Action[]> {
  const mine = await manages(space)
  const may = (ability: string) => mine || c.abilities.has(ability)
  const list: Action[] = []
  if (graph.isDisabled(space)) {
    if (may('Drives.ReadWriteEnabled.all')) list.push({ id: 'restore', label: t('Restore'), icon: ArchiveRestore, run: () => void restore(space, c) })
    if (c.abilities.has('Drives.DeleteProject.all')) list.push({ id: 'remove', label: t('Delete for good'), icon: Trash2, danger: true, apart: true, run: () => void remove(space, c) })
    return list
  }
  if (may('Drives.ReadWrite.all')) {
    list.push({ id: 'rename', label: t('Rename…'), icon: Pencil, run: () => void rename(space, c) })
    list.push({ id: 'subtitle', label: t('Subtitle…'), icon: Text, run: () => void describe(space, c) })
  }
  if (c.members) list.push({ id: 'members', label: t('Members'), icon: Users, run: c.members })
  if (may('Drives.ReadWriteProjectQuota.all')) list.push({ id: 'quota', label: t('Room…'), icon: Gauge, run: () => void limit(space, c) })
  if (may('Drives.ReadWriteEnabled.all')) list.push({ id: 'disable', label: t('Disable'), icon: PowerOff, danger: true, apart: true, run: () => void disable(space, c) })
  return list
}
