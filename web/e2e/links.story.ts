import { expect, test } from 'vitest'
import { admin, dav, expectAccessible, expectNames, folder, go, mary, newTab, open, picture, row, signIn, url, type Tab } from './story.ts'

const password = 'Open sesame 7'
const basic = (user: string, secret: string) => 'Basic ' + Buffer.from(`${user}:${secret}`).toString('base64')

/** A link, made past the browser. */
async function link(path: string, type: string, secret?: string): Promise<string> {
  const found = await dav('PROPFIND', path, undefined, { Depth: '0' })
  const id = /<oc:fileid>([^<]*)/.exec(await found.text())?.[1] ?? ''
  const answer = await fetch(`${url}/graph/v1beta1/drives/${id.split('!')[0] ?? ''}/items/${id}/createLink`, {
    method: 'POST', headers: { Authorization: basic(admin.name, admin.password), 'Content-Type': 'application/json' }, body: JSON.stringify({ type, password: secret }),
  })
  const made = (await answer.json()) as { link: { webUrl: string } }
  return made.link.webUrl
}

const ownLooks = [
  { name: 'light', options: {} },
  { name: 'dark', options: { colorScheme: 'dark' as const } },
  { name: 'phone', options: { viewport: { width: 390, height: 844 } } },
  { name: 'phone-dark', options: { viewport: { width: 390, height: 844 }, colorScheme: 'dark' as const } },
  { name: 'german', options: { locale: 'de-DE' } },
]

async function add(tab: Tab, name: string, body: string) {
  await tab.page.setInputFiles('main input[data-test=files]', { name, mimeType: 'text/plain', buffer: Buffer.from(body) })
}

test('a link is made and copied with one click, given a name, a password and an end, and removed', async () => {
  await folder('Press', { 'kit.txt': 'words' })
  const tab = await open('', { permissions: ['clipboard-read', 'clipboard-write'] })
  const { page } = tab
  await row(page, 'Press').click()
  await page.getByRole('toolbar').getByRole('button', { name: 'Share' }).click()
  const links = page.getByRole('region', { name: 'Links' })
  await links.getByRole('button', { name: 'Create and copy link' }).click()
  await page.locator('.toast', { hasText: 'The link is copied' }).waitFor()
  const address = await page.evaluate(() => navigator.clipboard.readText())
  expect(address).toMatch(/\/cloud\/s\/[\w-]+$/)
  const menu = async (action: string) => {
    await links.getByRole('button', { name: /^What .* may do/ }).click()
    await page.getByRole(action.startsWith('Can') ? 'menuitemradio' : 'menuitem', { name: action }).click()
  }
  await menu('Rename…')
  await page.getByRole('dialog').getByLabel('Name').fill('For the press')
  await page.keyboard.press('Enter')
  await links.getByText('For the press').waitFor()
  await menu('Let it end…')
  await page.getByLabel('Last day').fill('2099-12-31')
  await page.keyboard.press('Enter')
  await links.getByText('until 31 Dec 2099').waitFor()
  await menu('Can edit')
  await page.getByRole('dialog').getByLabel('Password').waitFor()
  await picture(page, 'link-password')
  await expectAccessible(page)
  const made = await page.getByRole('dialog').getByLabel('Password').inputValue()
  expect(made.length).toBeGreaterThanOrEqual(14)
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click()
  await links.getByText('with password').waitFor()
  await row(page, 'Press').getByTitle('Shared by link').waitFor()
  await links.getByRole('button', { name: /^What .* may do/ }).click()
  await picture(page, 'link-menu')
  await expectAccessible(page)
  await page.keyboard.press('Escape')

  const visitor = await newTab()
  await visitor.page.goto(address)
  await visitor.page.getByLabel('Password').fill('not this one')
  await visitor.page.keyboard.press('Enter')
  await visitor.page.getByText('This is not the password.').waitFor()
  await visitor.page.getByLabel('Password').fill(made)
  await visitor.page.keyboard.press('Enter')
  await expectNames(visitor.page, ['kit.txt'])

  await page.goto(`${url}/shared/by-link`)
  await row(page, 'Press').dblclick()
  await row(page, 'kit.txt').waitFor()
  await page.getByRole('region', { name: 'Links' }).waitFor()
  await menu('Remove link')
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
  await expect.poll(() => links.getByRole('button', { name: /^What/ }).count()).toBe(0)
  await visitor.page.goto(address)
  await visitor.page.getByText('This link leads nowhere').waitFor()
  expect([...tab.problems, ...visitor.problems]).toEqual([])
})

test('somebody without an account looks, downloads and uploads', async () => {
  await folder('Open day', { 'Photos/': '', 'Photos/a.txt': 'a', 'plan.txt': 'ten to four' })
  const tab = await newTab()
  const { page } = tab
  await page.goto(await link('Open%20day', 'edit', password))
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Open' }).click()
  await expectNames(page, ['Photos', 'plan.txt'])
  const [download] = await Promise.all([page.waitForEvent('download'), row(page, 'plan.txt').dblclick()])
  expect(download.suggestedFilename()).toBe('plan.txt')
  await go(page, 'Photos')
  await expectNames(page, ['a.txt'])
  await add(tab, 'b.txt', 'bee')
  await expectNames(page, ['a.txt', 'b.txt'])
  expect(await (await dav('GET', 'Open%20day/Photos/b.txt')).text()).toBe('bee')
  await page.getByRole('button', { name: 'New folder' }).click()
  await expectNames(page, ['New folder', 'a.txt', 'b.txt'])
  expect(tab.problems).toEqual([])
})

test('files are handed in where nothing is shown', async () => {
  await folder('Homework', { 'secret.txt': 'of others' })
  const tab = await newTab()
  await tab.page.goto(await link('Homework', 'createOnly', password))
  await tab.page.getByLabel('Password').fill(password)
  await tab.page.getByRole('button', { name: 'Open' }).click()
  await tab.page.getByText('Hand in files for “Homework”').waitFor()
  await add(tab, 'mine.txt', 'done')
  await tab.page.getByRole('region', { name: 'Arrived' }).getByText('mine.txt').waitFor()
  await picture(tab.page, 'drop-arrived')
  await expectAccessible(tab.page)
  expect(await tab.page.getByText('secret.txt').count()).toBe(0)
  expect(await (await dav('GET', 'Homework/mine.txt')).text()).toBe('done')
  expect(tab.problems).toEqual([])
})

test('a link for people with access leads those there who have it', async () => {
  await folder('Bridge', { 'log.txt': 'calm' })
  const address = await link('Bridge', 'internal')
  const tab = await newTab()
  await tab.page.goto(address)
  await tab.page.fill('#oc-login-username', 'admin')
  await signInHere(tab)
  await row(tab.page, 'log.txt').waitFor()
  const other = await newTab()
  await signIn(other, '/', mary)
  await other.page.goto(address)
  await other.page.getByText('This link is not for you').waitFor()
  expect([...tab.problems, ...other.problems]).toEqual([])
})

async function signInHere({ page }: Tab) {
  await page.fill('#oc-login-password', admin.password)
  await page.click('form button[type=submit]')
}

for (const { name, options } of ownLooks) {
  test(`what visitors see: ${name}`, async () => {
    await folder('Fair', { 'Stands/': '', 'flyer.pdf': 'x', 'Letter to all who come to the fair and to those who do not (final).docx': 'y' })
    const tab = await newTab(options)
    const { page } = tab
    const look = async (at: string, picks: string) => {
      await page.goto(at)
      await page.locator('.visit h1, .visit .row').first().waitFor()
      await picture(page, `${name}-visit-${picks}`)
      await expectAccessible(page)
    }
    await look(await link('Fair', 'view'), 'folder')
    await look(await link('Fair/flyer.pdf', 'view'), 'file')
    await look(await link('Fair', 'edit', password), 'password')
    await page.locator('.visit input').fill(password)
    await page.keyboard.press('Enter')
    await row(page, 'flyer.pdf').waitFor()
    await picture(page, `${name}-visit-upload`)
    await expectAccessible(page)
    await look(await link('Fair', 'createOnly', password), 'drop-password')
    await page.locator('.visit input').fill(password)
    await page.keyboard.press('Enter')
    await page.locator('.drop').waitFor()
    await picture(page, `${name}-visit-drop`)
    await expectAccessible(page)
    await look(`${url}/s/nonesuch`, 'gone')
    expect(tab.problems).toEqual([])
  })
}
