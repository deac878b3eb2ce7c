import { nodeOf, spaceOf } from './dav.ts'
import type { Me } from './graph.ts'
import { json, request } from './http.ts'
import { escapePath } from './place.ts'

/** Who may do what with an item: people, groups and links (Graph calls them permissions). */
export interface Named {
  id: string
  displayName: string
}

export interface Permission {
  id: string
  roles?: string[]
  expirationDateTime?: string
  hasPassword?: boolean
  grantedToV2?: { user?: Named; group?: Named }
  link?: { type: LinkType; webUrl?: string; '@libre.graph.displayName': string }
  invitation?: { invitedBy: { user?: Named } }
}

export type LinkType = 'view' | 'upload' | 'edit' | 'createOnly' | 'internal' | 'blocksDownload'

export interface Access {
  all: Permission[]
  roles: string[] // ids of those that the caller can give, the least first
  can: Set<string> // what the caller may do: "permissions/create", …
}

interface Answer {
  value?: Permission[]
  '@libre.graph.permissions.roles.allowedValues'?: { id: string }[]
  '@libre.graph.permissions.actions.allowedValues'?: string[]
}

const body = (value: unknown) => ({ headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(value) })

/** Whether an id is that of a space's root. */
export function isRoot(id: string): boolean {
  const node = nodeOf(id)
  return node === '' || node === spaceOf(id).split('$')[1]
}

function where(id: string): string {
  return '/graph/v1beta1/drives' + escapePath(spaceOf(id)) + (isRoot(id) ? '/root' : '/items' + escapePath(id))
}

function permission(id: string, of: string): string {
  return `${where(id)}/permissions/${encodeURIComponent(of)}`
}

export async function access(id: string): Promise<Access> {
  const got = await json<Answer>(where(id) + '/permissions?$top=0')
  return {
    all: got.value ?? [],
    roles: (got['@libre.graph.permissions.roles.allowedValues'] ?? []).map((r) => r.id),
    can: new Set((got['@libre.graph.permissions.actions.allowedValues'] ?? []).map((a) => a.replace('libre.graph/driveItem/', ''))),
  }
}

export interface Recipient extends Named {
  group: boolean
  hint: string // tells those of one name apart
}

export async function invite(id: string, to: { id: string; group: boolean }[], role: string, expirationDateTime?: string): Promise<Permission[]> {
  const recipients = to.map((r) => ({ objectId: r.id, '@libre.graph.recipient.type': r.group ? 'group' : 'user' }))
  return (await json<{ value: Permission[] }>(where(id) + '/invite', { method: 'POST', ...body({ recipients, roles: [role], expirationDateTime }) })).value
}

export interface Change {
  roles?: string[]
  expirationDateTime?: string | null // null: never
  link?: { type?: LinkType; '@libre.graph.displayName'?: string }
}

export function change(id: string, of: string, to: Change): Promise<Permission> {
  return json<Permission>(permission(id, of), { method: 'PATCH', ...body(to) })
}

/** Gives a link a password; an empty one takes it away. */
export function setPassword(id: string, of: string, password: string): Promise<Permission> {
  return json<Permission>(permission(id, of) + '/setPassword', { method: 'POST', ...body({ password }) })
}

export async function revoke(id: string, of: string): Promise<void> {
  await request(permission(id, of), { method: 'DELETE' })
}

export interface NewLink {
  type: LinkType
  password?: string
  displayName?: string
  expirationDateTime?: string
}

export function createLink(id: string, link: NewLink): Promise<Permission> {
  return json<Permission>(where(id) + '/createLink', { method: 'POST', ...body(link) })
}

interface FoundUser extends Named {
  mail?: string
  onPremisesSamAccountName?: string
}

/** People and groups whose names are like a text. */
export async function findRecipients(text: string, signal: AbortSignal): Promise<Recipient[]> {
  const query = '?$orderby=displayName&$search=' + encodeURIComponent(`"${text.replaceAll('"', '')}"`)
  const [users, groups] = await Promise.all([
    json<{ value: FoundUser[] }>('/graph/v1.0/users' + query, { signal }),
    json<{ value: Named[] }>('/graph/v1.0/groups' + query, { signal }),
  ])
  return [
    ...users.value.map((u) => ({ id: u.id, displayName: u.displayName, group: false, hint: u.mail ?? u.onPremisesSamAccountName ?? '' })),
    ...groups.value.map((g) => ({ id: g.id, displayName: g.displayName, group: true, hint: '' })),
  ]
}

// What is shared with the user, and by the user.

/** The space in which everybody finds what others share with them. */
export const sharesSpace = 'a0ca6a90-a365-4782-871e-d44447bbc668$a0ca6a90-a365-4782-871e-d44447bbc668'

export interface SharedItem {
  id: string
  name: string
  size?: number
  lastModifiedDateTime?: string
  folder?: object
  webUrl?: string
  '@UI.Hidden'?: boolean
  '@client.synchronize'?: boolean
  parentReference?: { driveId: string; path?: string }
  permissions?: Permission[]
  remoteItem?: { id: string; createdBy?: { user?: Named }; permissions?: Permission[] }
}

export async function sharedWithMe(): Promise<SharedItem[]> {
  return (await json<{ value: SharedItem[] }>('/graph/v1beta1/me/drive/sharedWithMe')).value
}

export async function sharedByMe(): Promise<SharedItem[]> {
  return (await json<{ value: SharedItem[] }>('/graph/v1beta1/me/drive/sharedByMe')).value
}

export async function setHidden(id: string, hidden: boolean): Promise<void> {
  await request('/graph/v1beta1/drives' + escapePath(spaceOf(id)) + '/items' + escapePath(id), { method: 'PATCH', ...body({ '@UI.Hidden': hidden }) })
}

// What the user may do everywhere.

let asked: Promise<Set<string>> | undefined

/** Names of what the user may do ("Drives.Create.all"); asked for once. */
export function abilities(me: Me): Promise<Set<string>> {
  asked ??= json<{ permissions: string[] }>('/api/v0/settings/permissions-list', { method: 'POST', ...body({ account_uuid: me.id }) }).then((a) => new Set(a.permissions))
  return asked
}
