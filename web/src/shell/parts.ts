import type { Component } from 'vue'
import type { RouteRecordRaw } from 'vue-router'
import type { Item } from '../client/item.ts'
import { files } from '../files/index.ts'
import type { Action } from '../files/menu.ts'
import { share } from '../share/index.ts'
import { spaces } from '../spaces/index.ts'
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
  below?: string[] // it is shown as the present one below these, too
  wide?: boolean // left out where there is little room
}

export interface Part {
  routes: RouteRecordRaw[]
  entries?: (user: CurrentUser) => Entry[] // of the navigation
  floating?: Component // above all pages
  details?: Component // of one item: { item, folder, self }, in the panel beside the list
  mark?: Component // in the row of an item: { item }
  actions?: (items: Item[], show: () => void) => Action[] // on what is selected; show opens the panel
  tools?: Component // beside the name of a space: { drive, show }
  start?: (user: CurrentUser) => string | undefined // where the app begins
}

export const parts: Part[] = [files, share, spaces]
