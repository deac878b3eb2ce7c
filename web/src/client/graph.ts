import { json, request } from './http.ts'

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
  quota?: { total?: number; used?: number; remaining?: number }
  root?: { deleted?: { state?: string } }
}

export function me(): Promise<Me> {
  return json<Me>('/graph/v1.0/me?$expand=memberOf')
}

export async function setLanguage(preferredLanguage: string): Promise<void> {
  await request('/graph/v1.0/me', { method: 'PATCH', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ preferredLanguage }) })
}

export async function drives(): Promise<Drive[]> {
  const { value } = await json<{ value: Drive[] }>('/graph/v1.0/me/drives?$orderby=name+asc')
  return value.filter((d) => d.root?.deleted?.state !== 'trashed')
}
