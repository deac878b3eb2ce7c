import type { LinkType, Permission } from '../client/sharing.ts'
import { locale, t } from '../ui/words.ts'

/** Roles and types of links in plain words, with a line that says what they allow. */
export interface Choice {
  name: string
  what: string
}

const viewer: () => Choice = () => ({ name: t('Can view'), what: t('Look at and download') })
const editor: () => Choice = () => ({ name: t('Can edit'), what: t('Change, add and delete, too') })

const roles: Record<string, () => Choice> = {
  'b1e2218d-eef8-4d4c-b82d-0f1a1b48f3b5': viewer,
  'a8d5fe5e-96e3-418d-825b-534dbdf22b99': viewer,
  'aa97fe03-7980-45ac-9e50-b325749fd7e6': () => ({ name: t('Can only look'), what: t('Look at, without download') }),
  '1c996275-f1c9-4e71-abdf-a42f6495e960': () => ({ name: t('Can upload'), what: t('Look at, download and add; delete nothing') }),
  '2d00ce52-1fc2-4dbc-8b95-a73b73395f5a': () => ({ name: t('Can edit'), what: t('Look at, download and change') }),
  'fb6c3e19-e378-47e5-b277-9732f9de6e21': editor,
  '58c63c02-1d89-4572-916a-870abc5a1b7d': editor,
  '312c0871-5ef7-4b3a-85b6-0e4074c64049': () => ({ name: t('Can manage'), what: t('Everything, and say who is a member') }),
}

export function roleWords(id: string | undefined): Choice {
  return roles[id ?? '']?.() ?? { name: t('Special access'), what: t('Rights that were put together one by one') }
}

export function linkWords(type: LinkType, dir: boolean): Choice {
  switch (type) {
    case 'view':
      return viewer()
    case 'upload':
      return { name: t('Can upload'), what: t('Look at, download and add; delete nothing') }
    case 'edit':
      return dir ? editor() : { name: t('Can edit'), what: t('Look at, download and change') }
    case 'createOnly':
      return { name: t('Can only hand in'), what: t('Upload, and see nothing of what is there') }
    case 'blocksDownload':
      return { name: t('Can only look'), what: t('Look at, without download') }
    case 'internal':
      return { name: t('For people with access'), what: t('Leads those here who have access already') }
  }
}

const letters: Record<string, string> = { view: 'content/read', upload: 'upload/create', edit: 'standard/delete', createOnly: 'upload/create' }

/** Types of links that somebody can make who may do some things with an item. */
export function linkTypes(dir: boolean, can: Set<string>): LinkType[] {
  const types: LinkType[] = dir ? ['view', 'upload', 'edit', 'createOnly'] : ['view', 'edit']
  return types.filter((type) => can.has(dir || type === 'view' ? letters[type] ?? '' : 'upload/create'))
}

/** "until 3 Nov", as people say it of the last day. */
export function until(p: { expirationDateTime?: string }): string {
  if (!p.expirationDateTime) return ''
  return t('until {day}', { day: new Intl.DateTimeFormat(locale(), { day: 'numeric', month: 'short', year: 'numeric' }).format(Date.parse(p.expirationDateTime)) })
}

/** The end of a day in the user's time, from a field for dates. */
export function endOf(day: string): string {
  return new Date(`${day}T23:59:59`).toISOString()
}

/** What a field for dates shows of an end. */
export function dayOf(end: string | undefined, now = Date.now()): string {
  const d = end ? new Date(end) : new Date(now)
  return [d.getFullYear(), d.getMonth() + 1, d.getDate()].map((n) => String(n).padStart(2, '0')).join('-')
}

export function nameOf(p: Permission): string {
  return p.grantedToV2?.user?.displayName ?? p.grantedToV2?.group?.displayName ?? (p.link?.['@libre.graph.displayName'] || t('Link'))
}

export function subjectOf(p: Permission): string {
  return p.grantedToV2?.user?.id ?? p.grantedToV2?.group?.id ?? ''
}

/** With what kinds an item is shared, of its oc:share-types. */
export function kindsOf(types: string): { people: boolean; links: boolean } {
  const all = types.split(',')
  return { people: all.includes('0') || all.includes('1'), links: all.includes('3') }
}

export function initials(name: string): string {
  return name.split(/\s+/).filter(Boolean).map((w) => [...w][0] ?? '').slice(0, 2).join('').toUpperCase()
}

export function hue(name: string): number {
  return [...name].reduce((h, c) => (h * 31 + (c.codePointAt(0) ?? 0)) % 360, 7)
}

