import { json, request } from './http.ts'
import { escapePath } from './place.ts'

export interface Me {
  id: string
  displayName: string
  mail?: string
  onPremisesSamAccountName: string
  preferredLanguage?: string
}

export interface Drive {
  id: string
  name: string
  driveType: 'personal' | 'project' | 'mountpoint' | 'virtual'
  description?: string
  special?: { id: string; specialFolder?: { name: string } }[]
  quota?: { total?: number; used?: number; remaining?: number }
  root?: { deleted?: { state?: string } }
}

export function me(): Promise<Me> {
  return json<Me>('/graph/v1.0/me?$expand=memberOf')
}

export async function setLanguage(preferredLanguage: string): Promise<void> {
  await request('/graph/v1.0/me', { method: 'PATCH', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ preferredLanguage }) })
}

/** Spaces of the user, those that are disabled left out. */
export async function drives(): Promise<Drive[]> {
  return (await allDrives()).filter((d) => !isDisabled(d))
}

export async function allDrives(): Promise<Drive[]> {
  return (await json<{ value: Drive[] }>('/graph/v1.0/me/drives?$orderby=name+asc')).value
}

export function isDisabled(d: Drive): boolean {
  return d.root?.deleted?.state === 'trashed'
}

export interface DriveChange {
  name?: string
  description?: string
  quota?: { total: number } // bytes; 0: as much as there is
}

function drive(method: string, id: string, more: { headers?: Record<string, string>; body?: string } = {}) {
  return request('/graph/v1.0/drives' + escapePath(id), { method, ...more })
}

const jsonBody = (value: unknown) => ({ headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(value) })

export function createSpace(name: string): Promise<Drive> {
  return json<Drive>('/graph/v1.0/drives', { method: 'POST', ...jsonBody({ name }) })
}

export async function changeSpace(id: string, to: DriveChange): Promise<void> {
  await drive('PATCH', id, jsonBody(to))
}

export async function disableSpace(id: string): Promise<void> {
  await drive('DELETE', id)
}

export async function restoreSpace(id: string): Promise<void> {
  await drive('PATCH', id, { headers: { 'Content-Type': 'application/json', Restore: 'true' }, body: '{}' })
}

/** Removes a space that is disabled, with all that is in it. */
export async function removeSpace(id: string): Promise<void> {
  await drive('DELETE', id, { headers: { Purge: 'T' } })
}
