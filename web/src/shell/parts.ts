import type { Component } from 'vue'
import type { RouteRecordRaw } from 'vue-router'
import { files } from '../files/index.ts'
import type { CurrentUser } from './user.ts'

/**
 * The app is made of parts: each is a folder whose index.ts says what it adds.
 * The shell knows no more of them than this.
 */
export interface Entry {
  id: string
  label: string
  to: string
  icon?: Component // without: a spot in the colour of its name
  group?: string
  takes?: () => boolean // whether what is being dragged can be dropped on it
  drop?: (event: DragEvent) => void
  last?: boolean // behind all others
}

export interface Part {
  routes: RouteRecordRaw[]
  entries?: (user: CurrentUser) => Entry[] // of the navigation
  floating?: Component // above all pages
  start?: (user: CurrentUser) => string | undefined // where the app begins
}

export const parts: Part[] = [files]
