import { shallowRef } from 'vue'
import type { Item } from '../client/item.ts'
import type { Folder } from './folders.ts'
import { transfer, type Target } from './actions.ts'

/** What was cut or copied, and from where. */
export interface Held {
  how: 'move' | 'copy'
  items: Item[]
  from: Folder
}

export const held = shallowRef<Held>()

/** What is being dragged within the page. */
export const dragged = shallowRef<Held>()

export async function paste(target: Target): Promise<void> {
  const h = held.value
  if (!h) return
  if (h.how === 'move') held.value = undefined
  await transfer(h.how, h.items, h.from, target)
}
