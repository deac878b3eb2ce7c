import { freeName } from '../client/item.ts'
import { ask } from '../ui/ask.ts'
import ConflictDialog from './ConflictDialog.vue'

export type Choice = 'both' | 'replace' | 'skip'

export interface Placed<T> {
  one: T
  name: string
  over: boolean // replaces what has the name
}

interface Named {
  name: string
  dir: boolean
}

/**
 * Finds each a name among those that are taken. Of conflicts the user is asked
 * once; undefined: the user wants none of it.
 */
export async function settle<T extends Named>(all: T[], taken: Map<string, boolean>, choose = askUser): Promise<Placed<T>[] | undefined> {
  const conflicts = all.filter((i) => taken.has(i.name))
  let choice: Choice | undefined
  if (conflicts.length > 0) {
    choice = await choose(conflicts.map((i) => i.name), conflicts.some((i) => i.dir || taken.get(i.name)))
    if (!choice) return undefined
  }
  const names = new Set(taken.keys())
  const placed: Placed<T>[] = []
  for (const one of all) {
    if (!names.has(one.name)) {
      placed.push({ one, name: one.name, over: false })
      names.add(one.name)
    } else if (choice === 'replace' && !one.dir && taken.get(one.name) === false) {
      placed.push({ one, name: one.name, over: true })
    } else if (choice !== 'skip') {
      const name = freeName(one.name, one.dir, (n) => names.has(n))
      placed.push({ one, name, over: false })
      names.add(name)
    }
  }
  return placed
}

function askUser(names: string[], folders: boolean): Promise<Choice | undefined> {
  return ask<Choice>(ConflictDialog, { names, folders })
}
