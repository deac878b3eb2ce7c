import workerURL from './lister.worker.ts?worker&url'
import { headers, Problem, sentenceOf } from './http.ts'
import type { Item } from './item.ts'
import type { Ask, Tell } from './lister.worker.ts'
import { at } from './place.ts'
import { canSignIn, renew, signInAgain } from './session.ts'
import { scriptURL } from './trusted.ts'

export interface Listing {
  self: Item
  rows: Item[] // by name, folders first
}

interface Waiting {
  take: (tell: Tell) => void
}

let worker: Worker | undefined
let count = 0
const waiting = new Map<number, Waiting>()

function start(): Worker {
  const w = new Worker(scriptURL(workerURL), { type: 'module' })
  w.onmessage = (event: MessageEvent<Tell>) => waiting.get(event.data.id)?.take(event.data)
  return w
}

/** Starts what lists folders, so that it is there when the first one is wanted. */
export function warmUp() {
  worker ??= start()
}

function ask(path: string, trash: boolean): Promise<Listing | { status: number; body: string }> {
  worker ??= start()
  const id = ++count
  const rows: Item[] = []
  return new Promise((resolve) => {
    waiting.set(id, {
      take(tell) {
        if ('status' in tell) {
          resolve(tell)
        } else {
          for (const row of tell.rows) rows.push(row)
          if (!tell.done) return
          resolve({ self: tell.self, rows })
        }
        waiting.delete(id)
      },
    })
    const message: Ask = { id, url: at(path), trash, headers: headers(), language: document.documentElement.lang }
    worker?.postMessage(message)
  })
}

/** Lists a folder (/dav/spaces/…) or, with trash, a bin. */
export async function list(path: string, trash = false): Promise<Listing> {
  let got = await ask(path, trash)
  if ('status' in got && got.status === 401 && canSignIn()) {
    if (!(await renew())) return signInAgain()
    got = await ask(path, trash)
  }
  if ('status' in got) throw new Problem(got.status, sentenceOf(got.body))
  return got
}
