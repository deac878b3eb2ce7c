import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'

/** Runs the real server, with the app as it was built, over a folder of its own. */
declare module 'vitest' {
  export interface ProvidedContext {
    url: string
    password: string
  }
}

const password = 'correct horse battery staple'
const root = join(import.meta.dirname, '..', '..')

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const s = createServer()
    s.once('error', reject)
    s.listen(0, '127.0.0.1', () => {
      const { port } = s.address() as AddressInfo
      s.close(() => { resolve(port) })
    })
  })
}

async function answers(url: string, alive: () => boolean) {
  for (;;) {
    try {
      if ((await fetch(url)).ok) return
    } catch {
      // Not yet.
    }
    if (!alive()) throw new Error('the server ended before it was ready')
    await new Promise((r) => setTimeout(r, 50))
  }
}

export default async function setup(project: TestProject) {
  const dir = mkdtempSync(join(tmpdir(), 'opencloud-e2e-'))
  const binary = process.env.OC_BINARY ?? join(dir, 'opencloud')
  if (!process.env.OC_BINARY) execFileSync('go', ['build', '-o', binary, './cmd/opencloud'], { cwd: root, env: { ...process.env, CGO_ENABLED: '0' }, stdio: 'inherit' })
  const [front, debug] = [await freePort(), await freePort()]
  const url = `http://localhost:${String(front)}/cloud`
  let said = ''
  const server = spawn(binary, ['server'], {
    env: {
      PATH: process.env.PATH,
      HOME: dir,
      OC_URL: url,
      OC_BASE_DATA_PATH: join(dir, 'data'),
      OC_CONFIG_DIR: join(dir, 'config'),
      PROXY_HTTP_ADDR: `127.0.0.1:${String(front)}`,
      PROXY_DEBUG_ADDR: `127.0.0.1:${String(debug)}`,
      PROXY_TLS: 'false',
      PROXY_ENABLE_BASIC_AUTH: 'true',
      IDM_ADMIN_PASSWORD: password,
      IDM_CREATE_DEMO_USERS: 'true',
      OC_LOG_LEVEL: 'warn',
    },
  })
  server.stderr.on('data', (b: Buffer) => (said += b.toString()))
  server.stdout.on('data', (b: Buffer) => (said += b.toString()))
  const ended = new Promise((resolve) => server.once('exit', resolve))
  try {
    await answers(`${url}/status.php`, () => server.exitCode === null)
  } catch (err) {
    throw new Error(`${String(err)}\n${said}`)
  }
  project.provide('url', url)
  project.provide('password', password)
  return async () => {
    server.kill('SIGTERM')
    await ended
    rmSync(dir, { recursive: true, force: true })
  }
}
