import type { Drive } from '../client/graph.ts'
import { escapePath } from '../client/place.ts'

/** Addresses in the app of what is in spaces. */
export function filesAt(space: string, path = ''): string {
  return '/files' + escapePath(space) + escapePath(path)
}

export function trashAt(space: string): string {
  return '/trash' + escapePath(space)
}

export function isHome(drive: Drive): boolean {
  return drive.driveType === 'personal'
}
