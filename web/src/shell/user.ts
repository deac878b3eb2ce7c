import { inject, shallowRef, type InjectionKey, type ShallowRef } from 'vue'
import * as graph from '../client/graph.ts'

/** Who uses the app, and what there is for them. */
export interface CurrentUser {
  product: string
  me: graph.Me
  drives: ShallowRef<graph.Drive[]>
  refresh: () => Promise<void>
}

export const userKey: InjectionKey<CurrentUser> = Symbol('user')

export function useUser(): CurrentUser {
  const user = inject(userKey)
  if (!user) throw new Error('nobody is signed in')
  return user
}

export async function loadUser(product: string): Promise<CurrentUser> {
  const me = await graph.me() // first: it may make the user
  const drives = shallowRef(await graph.drives())
  return { product, me, drives, refresh: async () => void (drives.value = await graph.drives()) }
}
