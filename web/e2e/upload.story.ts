import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { dav, expectAccessible, expectNames, folder, go, open, picture, row } from './story.ts'

const dir = mkdtempSync(join(tmpdir(), 'opencloud-upload-'))
afterAll(() => { rmSync(dir, { recursive: true }) })

const text = (name: string, body: string) => ({ name, mimeType: 'text/plain', buffer: Buffer.from(body) })

test('files are uploaded, and of names that are taken one is asked once', async () => {
  await folder('Up', { 'a.txt': 'old' })
  const tab = await open('Up')
  const { page } = tab
  await row(page, 'a.txt').waitFor()
  const input = page.locator('[data-test=files]')
  await input.setInputFiles([text('b.txt', 'bee'), text('empty.txt', '')])
  await expectNames(page, ['a.txt', 'b.txt', 'empty.txt'])
  await page.getByText('Uploaded 2 files to Up').waitFor()

  await input.setInputFiles([text('a.txt', 'new'), text('b.txt', 'newer')])
  await page.getByRole('dialog').getByText('2 names are already taken there').waitFor()
  await picture(page, 'conflict')
  await expectAccessible(page)
  await page.getByRole('button', { name: 'Replace' }).click()
  await expect.poll(async () => (await dav('GET', 'Up/a.txt')).text()).toBe('new')
  await expect.poll(async () => (await dav('GET', 'Up/b.txt')).text()).toBe('newer')
  await expectNames(page, ['a.txt', 'b.txt', 'empty.txt'])
  expect(tab.problems).toEqual([])
})

test('a folder is uploaded with what is in it', async () => {
  await folder('Trees')
  const tab = await open('Trees')
  const { page } = tab
  await page.getByText('This folder is empty').waitFor()
  // What a drop of a folder gives, through the same door as one.
  const root = mkdtempSync(join(dir, 'tree-'))
  writeFileSync(join(root, 'leaf.txt'), 'leaf')
  await page.locator('input[webkitdirectory]').setInputFiles(root)
  const name = root.split('/').pop() ?? ''
  await expectNames(page, [name])
  await page.getByText('Uploaded one file to Trees').waitFor()
  await go(page, name)
  await expectNames(page, ['leaf.txt'])
  expect(tab.problems).toEqual([])
})

test('an upload that a reload has cut off goes on where it was', async () => {
  await folder('Resume')
  const big = join(dir, 'film.mp4')
  writeFileSync(big, Buffer.alloc(25_000_000, 'film'))
  const tab = await open('Resume')
  const { page } = tab
  let pieces = 0
  let blocked = true
  const created: string[] = []
  await page.route('**/data/**', async (route) => {
    if (route.request().method() !== 'PATCH') return route.continue()
    if (blocked && ++pieces > 1) return // it hangs
    return route.continue()
  })
  page.on('request', (r) => { if (r.method() === 'POST' && r.url().includes('/dav/')) created.push(r.url()) })
  await page.locator('[data-test=files]').setInputFiles(big)
  await expect.poll(() => pieces, { timeout: 30_000 }).toBe(2)
  await page.getByText('Uploading one file to Resume').waitFor()
  await page.getByRole('button', { name: 'Show files' }).click()
  await picture(page, 'uploading')
  await expectAccessible(page)
  page.once('dialog', (d) => void d.accept())
  await page.reload()
  await page.getByText('An upload was interrupted').waitFor()
  await picture(page, 'interrupted')
  await expectAccessible(page)
  blocked = false
  await page.locator('.tray input[type=file]').setInputFiles(big)
  await page.getByText('Uploaded one file to Resume').waitFor({ timeout: 60_000 })
  expect(created.length).toBe(1) // nothing began anew
  await expectNames(page, ['film.mp4'])
  const got = await dav('HEAD', 'Resume/film.mp4')
  expect(got.headers.get('content-length')).toBe('25000000')
  expect(tab.problems).toEqual([])
})
