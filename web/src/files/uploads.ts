import { shallowRef, triggerRef } from 'vue'
import type { Upload } from 'tus-js-client'
import { capabilities } from '../client/capabilities.ts'
import { byId } from '../client/dav.ts'
import { headers, Problem, request, sentenceOf } from '../client/http.ts'
import { list } from '../client/lister.ts'
import { at, escapePath } from '../client/place.ts'
import { renew } from '../client/session.ts'
import { say } from '../ui/toasts.ts'
import type { Target } from './actions.ts'
import { each } from './batch.ts'
import { settle } from './conflicts.ts'
import { explain } from './explain.ts'
import { folderById, touch } from './folders.ts'

/**
 * Uploads: batches of files, three at a time, in pieces, so that a broken
 * connection costs no more than a piece. What was not finished when the page
 * went away goes on when the same files are chosen again.
 */
export interface Picked {
  file: File
  path: string // below the folder, with the name
}

export interface Part {
  file: File
  path: string
  over: boolean // replaces what has the name
  sent: number
  state: 'waiting' | 'running' | 'done' | 'failed' | 'stopped'
  why: string
  upload?: Upload
}

export interface Batch {
  id: number
  to: Target
  parts: Part[]
  began: number
  ready: boolean // its folders are there
  paused: boolean
}

/** Shown in the tray; the objects in it change in place, see tell. */
export const batches = shallowRef<Batch[]>([])

const atOnce = 3
let count = 0
let running = 0
let told = 0

/** Progress is told a few times a second, however many files there are. */
function tell(now = false) {
  if (now) {
    clearTimeout(told)
    told = 0
    triggerRef(batches)
  } else if (!told) {
    told = window.setTimeout(() => { tell(true) }, 150)
  }
}

/** Files that were being uploaded when the page went away. */
interface Record {
  print: string
  folder: string
  label: string
  path: string
  size: number
  modified: number
}
const recordsKey = 'oc.uploads'

export const interrupted = shallowRef<Record[]>(read())

function read(): Record[] {
  try {
    return JSON.parse(localStorage.getItem(recordsKey) ?? '[]') as Record[]
  } catch {
    return []
  }
}

/** Small files are not worth remembering: they are there at once or not. */
const worth = 4_000_000

function record(p: Part, to: Target) {
  const print = printOf(p, to)
  const all = read().filter((r) => r.print !== print)
  localStorage.setItem(recordsKey, JSON.stringify([...all, { print, folder: to.id, label: to.name, path: p.path, size: p.file.size, modified: p.file.lastModified }].slice(-200)))
}

function forget(print: string) {
  const all = read()
  if (all.some((r) => r.print === print)) localStorage.setItem(recordsKey, JSON.stringify(all.filter((r) => r.print !== print)))
  interrupted.value = interrupted.value.filter((r) => r.print !== print)
}

function printOf(p: { path: string; file: File }, to: { id: string }): string {
  return ['oc', to.id, p.path, p.file.size, p.file.lastModified].join(' ')
}

/** Goes on with interrupted uploads whose files were chosen again. */
export function resume(files: File[]): number {
  let found = 0
  const byFolder = new Map<string, { to: Target; picked: Picked[] }>()
  for (const r of interrupted.value) {
    const file = files.find((f) => f.size === r.size && f.lastModified === r.modified && f.name === r.path.split('/').pop())
    if (!file) continue
    found++
    const group = byFolder.get(r.folder) ?? { to: { id: r.folder, name: r.label }, picked: [] }
    group.picked.push({ file, path: r.path })
    byFolder.set(r.folder, group)
  }
  for (const { to, picked } of byFolder.values()) void begin(to, picked.map((p) => part(p, false)), new Set())
  return found
}

export function forgetInterrupted() {
  for (const r of interrupted.value) forget(r.print)
  interrupted.value = []
}

function part(p: Picked, over: boolean): Part {
  return { file: p.file, path: p.path, over, sent: 0, state: 'waiting', why: '' }
}

/** Uploads files into a folder; of names that are taken the user is asked once. */
export async function upload(to: Target, picked: Picked[]): Promise<void> {
  if (picked.length === 0) return
  try {
    const known = folderById(to.id)
    const rows = known?.state.value === 'ready' ? known.rows.value : (await list(byId(to.id))).rows
    const taken = new Map(rows.map((r) => [r.name, r.dir]))
    // What a conflict is about is the first name of the path. A folder that is
    // there takes in what comes; of its files the server says which are taken.
    const tops = new Map<string, { name: string; dir: boolean }>()
    for (const p of picked) {
      const [top = '', below] = p.path.split(/\/(.*)/s)
      tops.set(top, { name: top, dir: below !== undefined })
    }
    for (const [name, top] of tops) if (top.dir && taken.get(name)) taken.delete(name)
    const placed = await settle([...tops.values()], taken)
    if (!placed) return
    const names = new Map(placed.map((p) => [p.one.name, p]))
    const parts: Part[] = []
    const folders = new Set<string>()
    for (const p of picked) {
      const [top = '', below] = p.path.split(/\/(.*)/s)
      const where = names.get(top)
      if (!where) continue
      const path = below === undefined ? where.name : `${where.name}/${below}`
      const above = path.split('/').slice(0, -1)
      for (let i = 1; i <= above.length; i++) folders.add(above.slice(0, i).join('/'))
      parts.push(part({ file: p.file, path }, where.over))
    }
    await begin(to, parts, folders)
  } catch (err) {
    say(explain(err), { kind: 'failed' })
  }
}

/** Hands files in where nobody may see what is there: the server finds them free names. */
export async function handIn(to: Target, picked: Picked[]): Promise<void> {
  const folders = new Set(picked.map((p) => p.path.split('/').slice(0, -1)).flatMap((above) => above.map((_, i) => above.slice(0, i + 1).join('/'))))
  await begin(to, picked.map((p) => part(p, true)), folders).catch((err: unknown) => say(explain(err), { kind: 'failed' }))
}

async function begin(to: Target, parts: Part[], folders: Set<string>) {
  if (parts.length === 0) return
  const batch: Batch = { id: ++count, to, parts, began: Date.now(), ready: false, paused: false }
  batches.value = [...batches.value, batch]
  try {
    for (const path of [...folders].sort()) await makeFolder(byId(to.id) + escapePath(path))
  } catch (err) {
    close(batch)
    throw err
  }
  batch.ready = true
  if (folders.size > 0) touch(to.id)
  pump()
}

async function makeFolder(path: string): Promise<void> {
  try {
    await request(path, { method: 'MKCOL' })
  } catch (err) {
    if (!(err instanceof Problem) || err.status !== 405) throw err // 405: it is there
  }
}

/** Starts what waits, as long as there is room. */
function pump() {
  while (running < atOnce) {
    const batch = batches.value.find((b) => b.ready && !b.paused && b.parts.some((p) => p.state === 'waiting'))
    const next = batch?.parts.find((p) => p.state === 'waiting')
    if (!batch || !next) return
    running++
    next.state = 'running'
    tell()
    void send(batch, next).finally(() => {
      running--
      tell(true)
      pump()
    })
  }
}

async function send(batch: Batch, p: Part): Promise<void> {
  const [tus, caps] = await Promise.all([import('tus-js-client'), capabilities()])
  const support = caps.files?.tus_support
  const folder = p.path.split('/').slice(0, -1).join('/')
  const name = p.path.split('/').pop() ?? p.path
  const print = printOf(p, batch.to)
  if (p.file.size >= worth) record(p, batch.to)
  await new Promise<void>((resolve) => {
    const end = (state: Part['state'], why = '') => {
      p.state = state
      p.why = why
      if (state === 'done') {
        p.sent = p.file.size
        forget(print)
        arrived(batch.to.id)
      }
      resolve()
    }
    const up = new tus.Upload(p.file, {
      endpoint: at(byId(batch.to.id) + escapePath(folder)),
      chunkSize: support?.max_chunk_size ?? Infinity,
      overridePatchMethod: support?.http_method_override === 'POST',
      uploadDataDuringCreation: true,
      storeFingerprintForResuming: p.file.size >= worth,
      removeFingerprintOnSuccess: true,
      fingerprint: () => Promise.resolve(print),
      retryDelays: [0, 500, 1000, 3000, 5000, 10_000, 20_000],
      metadata: { filename: name, name, mtime: String(p.file.lastModified / 1000) },
      onBeforeRequest(req) {
        for (const [key, value] of Object.entries(headers())) req.setHeader(key, value)
        if (req.getMethod() === 'POST' && !p.over && !req.getHeader('X-HTTP-Method-Override')) req.setHeader('If-None-Match', '*')
      },
      async onAfterResponse(_req, res) {
        if (res.getStatus() === 401) await renew()
      },
      onShouldRetry(err) {
        const status = err.originalResponse?.getStatus() ?? 0
        return status === 0 || status === 401 || status === 409 || status === 429 || status >= 502
      },
      onProgress(sent) {
        p.sent = sent
        tell()
      },
      onSuccess: () => { end('done') },
      onError(err) {
        const answer = err instanceof tus.DetailedError ? err.originalResponse : undefined
        end('failed', explain(new Problem(answer?.getStatus() ?? 0, sentenceOf(answer?.getBody() ?? ''))))
      },
    })
    p.upload = up
    stops.set(p, resolve)
    void up.findPreviousUploads().then((before) => {
      if (before[0]) up.resumeFromPreviousUpload(before[0])
      if (p.state === 'running') up.start()
    })
  })
  stops.delete(p)
}

/** Ends the waiting for a part that was told to stop. */
const stops = new Map<Part, () => void>()

function halt(p: Part, state: 'waiting' | 'stopped', discard: boolean) {
  if (p.state !== 'running') {
    if (p.state === 'waiting') p.state = state
    return
  }
  p.state = state
  void p.upload?.abort(discard).catch(() => undefined)
  stops.get(p)?.()
}

/** Shows in the list what has arrived, many at once. */
const arrivals = new Set<string>()
let showing = 0
function arrived(folder: string) {
  arrivals.add(folder)
  if (showing) return
  showing = window.setTimeout(() => {
    showing = 0
    for (const id of arrivals) touch(id)
    arrivals.clear()
  }, 400)
}

export function pause(batch: Batch) {
  batch.paused = true
  for (const p of batch.parts) halt(p, 'waiting', false)
  tell(true)
}

export function proceed(batch: Batch) {
  batch.paused = false
  tell(true)
  pump()
}

export function retry(batch: Batch) {
  for (const p of batch.parts) {
    if (p.state === 'failed') {
      p.state = 'waiting'
      p.why = ''
    }
  }
  proceed(batch)
}

export function cancel(batch: Batch) {
  for (const p of batch.parts) {
    halt(p, 'stopped', true)
    if (p.state === 'stopped') forget(printOf(p, batch.to))
  }
  close(batch)
}

export function close(batch: Batch) {
  batches.value = batches.value.filter((b) => b !== batch)
}

export interface Progress {
  total: number
  sent: number
  files: number
  done: number
  failed: number
  left: number // seconds; 0: unknown
  over: boolean
}

export function progressOf(batch: Batch, now = Date.now()): Progress {
  let total = 0
  let sent = 0
  let done = 0
  let failed = 0
  for (const p of batch.parts) {
    total += p.file.size
    sent += p.sent
    if (p.state === 'done') done++
    if (p.state === 'failed') failed++
  }
  const seconds = (now - batch.began) / 1000
  const left = seconds > 1 && sent > 0 ? ((total - sent) / sent) * seconds : 0
  const over = batch.parts.every((p) => p.state === 'done' || p.state === 'failed' || p.state === 'stopped')
  return { total, sent, files: batch.parts.length, done, failed, left, over }
}

addEventListener('beforeunload', (e) => {
  if (running > 0) e.preventDefault()
})

// What was dropped or chosen.

export function fromInput(input: HTMLInputElement): Picked[] {
  const picked = [...(input.files ?? [])].map((file) => ({ file, path: file.webkitRelativePath || file.name }))
  input.value = ''
  return picked
}

/** Files of a drop, with what is in folders. Must be called while the event runs. */
export async function fromDrop(transfer: DataTransfer): Promise<Picked[]> {
  const entries = [...transfer.items].map((i) => i.webkitGetAsEntry()).filter((e) => e !== null)
  const picked: Picked[] = []
  async function walk(entry: FileSystemEntry) {
    if (entry.isFile) {
      const file = await new Promise<File>((resolve, reject) => { (entry as FileSystemFileEntry).file(resolve, reject) })
      picked.push({ file, path: entry.fullPath.replace(/^\//, '') })
      return
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader()
    for (;;) {
      const some = await new Promise<FileSystemEntry[]>((resolve, reject) => { reader.readEntries(resolve, reject) })
      if (some.length === 0) return
      await each(some, walk, 1)
    }
  }
  await each(entries, walk, 1)
  return picked
}
