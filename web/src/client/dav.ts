import { request } from './http.ts'
import { itemOf, itemProps, lastSegment, propfindBody, type Item } from './item.ts'
import { list, type Listing } from './lister.ts'
import { Multistatus, type Props } from './multistatus.ts'
import { at, escapePath } from './place.ts'

/** WebDAV path of a path in a space. */
export function inSpace(space: string, path: string): string {
  return '/dav/spaces' + escapePath(space) + escapePath(path)
}

/** WebDAV path of what a link is to, or of a path below it. */
export function inLink(token: string, path = ''): string {
  return '/dav/public-files' + escapePath(token) + escapePath(path)
}

/** WebDAV path of an item by its id, or of a name in a folder. */
export function byId(id: string, name = ''): string {
  return '/dav/spaces' + escapePath(id) + (name ? '/' + encodeURIComponent(name) : '')
}

/** Id of an item by what the trash calls it. */
export function inSpaceId(space: string, key: string): string {
  return `${space}!${key}`
}

export function spaceOf(id: string): string {
  return id.split('!')[0] ?? id
}

export function nodeOf(id: string): string {
  return id.split('!')[1] ?? ''
}

export async function propfind(path: string, depth: '0' | '1', props: string[]): Promise<{ href: string; props: Props }[]> {
  const answer = await request(path, { method: 'PROPFIND', headers: { Depth: depth, 'Content-Type': 'application/xml' }, body: propfindBody(props) })
  const all: { href: string; props: Props }[] = []
  new Multistatus((href, found) => all.push({ href, props: found })).push(await answer.text())
  return all
}

export function listFolder(space: string, path: string): Promise<Listing> {
  return list(inSpace(space, path))
}

export async function stat(path: string): Promise<Item> {
  const [first] = await propfind(path, '0', itemProps)
  if (!first) throw new Error('an empty multi-status')
  return itemOf(first.href, first.props)
}

/** Where an item is in its space. */
export async function pathOf(id: string): Promise<string> {
  const [first] = await propfind('/dav/meta' + escapePath(id), '0', ['meta-path-for-user'])
  return (first?.props['meta-path-for-user'] ?? '').replace(/^\//, '')
}

export async function makeFolder(parent: string, name: string): Promise<Item> {
  await request(byId(parent, name), { method: 'MKCOL' })
  return stat(byId(parent, name))
}

export async function remove(id: string): Promise<void> {
  await request(byId(id), { method: 'DELETE' })
}

export type Over = 'T' | 'F'

async function transfer(method: 'MOVE' | 'COPY', from: string, to: string, over: Over): Promise<void> {
  await request(from, { method, headers: { Destination: at(to), Overwrite: over } })
}

export function move(id: string, folder: string, name: string, over: Over = 'F'): Promise<void> {
  return transfer('MOVE', byId(id), byId(folder, name), over)
}

export function copy(id: string, folder: string, name: string, over: Over = 'F'): Promise<void> {
  return transfer('COPY', byId(id), byId(folder, name), over)
}

/** Address under which the browser itself can fetch a file for a while. */
export async function downloadURL(id: string): Promise<string> {
  const [first] = await propfind(byId(id), '0', ['downloadURL'])
  return first?.props.downloadURL ?? ''
}

// Trash.

function bin(space: string, key = ''): string {
  return '/dav/spaces/trash-bin' + escapePath(space) + (key ? '/' + encodeURIComponent(key) : '')
}

export function listTrash(space: string): Promise<Listing> {
  return list(bin(space), true)
}

/** Puts something back: to the WebDAV path to. */
export function restore(space: string, key: string, to: string, over: Over = 'F'): Promise<void> {
  return transfer('MOVE', bin(space, key), to, over)
}

/** Removes one item for good, or all. */
export async function purge(space: string, key = ''): Promise<void> {
  await request(bin(space, key), { method: 'DELETE' })
}

// Versions.

export interface Version {
  key: string
  size: number
  mtime: number
}

function versionsOf(id: string): string {
  return '/dav/meta' + escapePath(id) + '/v'
}

/** Earlier contents of a file, the newest first. */
export async function listVersions(id: string): Promise<Version[]> {
  const [, ...all] = await propfind(versionsOf(id), '1', ['getcontentlength', 'getlastmodified'])
  return all
    .map(({ href, props }) => ({ key: lastSegment(href), size: Number(props.getcontentlength ?? 0), mtime: Date.parse(props.getlastmodified ?? '') || 0 }))
    .sort((a, b) => b.mtime - a.mtime)
}

export function revert(id: string, key: string): Promise<void> {
  return transfer('COPY', `${versionsOf(id)}/${encodeURIComponent(key)}`, byId(id), 'T')
}

export async function versionBody(id: string, key: string): Promise<Blob> {
  return (await request(`${versionsOf(id)}/${encodeURIComponent(key)}`)).blob()
}
