import { expect, test } from 'vitest'
import { expectAccessible, folder, newTab, picture, row, signIn, url } from './story.ts'

test('signing in, coming back to a deep link, and signing out', async () => {
  await folder('Deep link', { 'inside.txt': 'hello' })
  const tab = await newTab()
  const { page } = tab
  await signIn(tab)
  await row(page, 'Deep link').dblclick()
  await row(page, 'inside.txt').waitFor()
  const deep = page.url()
  await picture(page, 'folder')
  await expectAccessible(page)

  // Another tab has no token, but the browser is known.
  const other = await page.context().newPage()
  await other.goto(deep)
  await row(other, 'inside.txt').waitFor()
  expect(other.url()).toBe(deep)
  await other.reload()
  await row(other, 'inside.txt').waitFor()

  await page.getByRole('button', { name: 'Account of' }).click()
  await picture(page, 'menu')
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await page.waitForURL((to) => !to.href.startsWith(`${url}/files`))
  const after = await page.context().newPage()
  await after.goto(deep)
  await after.locator('#oc-login-username').waitFor()
  expect(tab.problems).toEqual([])
})

test('a token that is not good any more is renewed without a word', async () => {
  await folder('Renewed', { 'inside.txt': 'hello' })
  const tab = await newTab()
  const { page } = tab
  await signIn(tab)
  await row(page, 'Renewed').waitFor()
  let refused = 0
  let token = ''
  await page.route('**/Renewed', (route) => {
    const sent = route.request().headers().authorization ?? ''
    token ||= sent
    if (sent !== token) return route.continue()
    refused++
    return route.fulfill({ status: 401, body: '' })
  })
  await row(page, 'Renewed').dblclick()
  await row(page, 'inside.txt').waitFor()
  expect(refused).toBe(1)
  expect(tab.problems).toEqual([])
})
