import * as dav from '../client/dav.ts'
import type { Item } from '../client/item.ts'
import { access, type Permission } from '../client/sharing.ts'
import { join } from '../files/folders.ts'
import { isHome } from '../files/places.ts'
import type { CurrentUser } from '../shell/user.ts'
import { t } from '../ui/words.ts'
import { nameOf, roleWords, subjectOf } from './words.ts'

/** Somebody who has access to an item because of what it is in. */
export interface Reason {
  key: string
  name: string
  group: boolean
  me: boolean
  role: string
  why: string
}

/** Those who see all that is in a space or in one of some folders above, each once for each reason. */
export async function reasons(space: string, above: string[], user: CurrentUser): Promise<Reason[]> {
  const drive = user.drives.value.find((d) => d.id === space)
  const of = (p: Permission, why: string): Reason => ({
    key: why + p.id, name: nameOf(p), group: !!p.grantedToV2?.group, me: subjectOf(p) === user.me.id, role: roleWords(p.roles?.[0]).name, why,
  })
  const people = async (id: string, why: string) => (await access(id)).all.filter((p) => p.grantedToV2).map((p) => of(p, why))
  const all: Promise<Reason[]>[] = []
  let path = ''
  for (const name of above) {
    path = join(path, name)
    all.push(dav.stat(dav.inSpace(space, path)).then((folder: Item) => (folder.shares ? people(folder.id, t('through folder {folder}', { folder: name })) : [])))
  }
  if (drive && isHome(drive)) all.push(Promise.resolve([{ key: 'owner', name: user.me.displayName, group: false, me: true, role: t('Owner'), why: '' }]))
  else if (drive?.driveType === 'project') all.push(people(drive.id, t('member of {space}', { space: drive.name })))
  // What cannot be asked for is left out: the rest is true all the same.
  return (await Promise.allSettled(all)).flatMap((r) => (r.status === 'fulfilled' ? r.value : []))
}
