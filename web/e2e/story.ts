import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { chromium, type Browser, type BrowserContextOptions, type Locator, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, inject, onTestFailed } from 'vitest'

/** What all stories begin with: a browser, somebody signed in, files on the server. */
export const url = inject('url')
const password = inject('password')

const executable = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)

let browser: Browser | undefined
beforeAll(async () => {
  if (!executable) throw new Error('these tests need Chromium')
  browser = await chromium.launch({ executablePath: executable, args: ['--no-sandbox', '--disable-dev-shm-usage'] })
})
afterAll(async () => {
  await browser?.close()
})

const basic = { Authorization: 'Basic ' + Buffer.from(`admin:${password}`).toString('base64') }

/** WebDAV as the user, past the browser. */
export async function dav(method: string, path: string, body?: BodyInit, headers?: Record<string, string>): Promise<Response> {
  const answer = await fetch(`${url}/dav/files/admin/${path}`, { method, body, headers: { ...basic, ...headers } })
  if (!answer.ok && answer.status !== 404 && answer.status !== 405) throw new Error(`${method} ${path}: ${String(answer.status)}`)
  return answer
}

/** A folder of the story's own. */
export async function folder(name: string, files: Record<string, string | Uint8Array> = {}): Promise<string> {
  await dav('DELETE', name)
  await dav('MKCOL', name)
  for (const [file, body] of Object.entries(files)) {
    if (file.endsWith('/')) await dav('MKCOL', `${name}/${file.slice(0, -1)}`)
    else await dav('PUT', `${name}/${file}`, typeof body === 'string' ? body : new Uint8Array(body))
  }
  return name
}

export interface Tab {
  page: Page
  problems: string[] // what the browser complained of
}

export async function newTab(options: BrowserContextOptions = {}): Promise<Tab> {
  if (!browser) throw new Error('no browser')
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB', reducedMotion: 'reduce', ...options })
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  const problems: string[] = []
  page.on('console', (m) => { if (m.type() === 'error' && !/status of (4\d\d|507)/.test(m.text())) problems.push(m.text()) })
  page.on('pageerror', (e) => problems.push(String(e)))
  onTestFailed(async () => {
    await picture(page, `failed-${String(Date.now())}`).catch(() => undefined)
    process.stderr.write(problems.map((p) => `the browser said: ${p}\n`).join(''))
  })
  return { page, problems }
}

/** Somebody who uses the app. Mary comes with the server for demonstrations. */
export const admin = { name: 'admin', password }
export const mary = { name: 'mary', password: 'demo' }

export async function signIn(tab: Tab, at = '/', who = admin): Promise<void> {
  const { page } = tab
  await page.goto(url + at)
  await page.fill('#oc-login-username', who.name)
  await page.fill('#oc-login-password', who.password)
  await page.click('form button[type=submit]')
  await page.getByRole('navigation', { name: /Main|Haupt/ }).waitFor()
}

/** A tab in a folder. */
export async function open(path: string, options?: BrowserContextOptions): Promise<Tab> {
  const tab = await newTab(options)
  await signIn(tab)
  await go(tab.page, path)
  return tab
}

export async function go(page: Page, path: string): Promise<void> {
  for (const name of path.split('/').filter(Boolean)) {
    await row(page, name).dblclick()
    await page.getByRole('heading', { level: 1, name, exact: true }).waitFor()
  }
}

export function row(page: Page, name: string): Locator {
  return page.getByRole('row').filter({ has: page.locator(`.file-name[title="${name}"]`) })
}

export async function names(page: Page): Promise<string[]> {
  return page.locator('[role=row] .file-name').evaluateAll((all) => all.map((e) => e.getAttribute('title') ?? ''))
}

/** Waits until the list is as it should be. */
export async function expectNames(page: Page, want: string[]): Promise<void> {
  await expect.poll(() => names(page), { timeout: 15_000 }).toEqual(want)
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** No rule of WCAG 2.2 AA is broken, as far as a program can tell. */
export async function expectAccessible(page: Page): Promise<void> {
  await page.evaluate(axe)
  const found = await page.evaluate(async () => {
    const run = (globalThis as unknown as { axe: { run: (o: object) => Promise<{ violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] }> } }).axe.run
    const { violations } = await run({
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
      rules: { region: { enabled: false } }, // menus float above all landmarks
    })
    return violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 160) + ' ' + n.failureSummary).join('\n  ')}`)
  })
  expect(found).toEqual([])
}

/** Keeps a picture when E2E_PICTURES names a folder for them. */
export async function picture(page: Page, name: string): Promise<void> {
  const dir = process.env.E2E_PICTURES
  if (!dir) return
  mkdirSync(dir, { recursive: true })
  await page.screenshot({ path: join(dir, `${name}.png`) })
}
