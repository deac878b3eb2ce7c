import { expect, test } from 'vitest'
import { expectAccessible, mary, newTab, picture, signIn, url, type Tab } from './story.ts'

async function create({ page }: Tab, name: string) {
  await page.goto(`${url}/spaces`)
  await page.getByRole('button', { name: 'New space' }).first().click()
  await page.getByRole('dialog').getByLabel('Name').fill(name)
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { level: 1, name }).waitFor()
}

async function choose({ page }: Tab, space: string, action: string) {
  await page.getByRole('button', { name: `Actions for ${space}` }).click()
  await page.getByRole('menuitem', { name: action }).click()
}

test('a space is made, named, filled with members, disabled, restored and deleted', async () => {
  const tab = await newTab()
  const { page } = tab
  await signIn(tab, '/spaces')
  await create(tab, 'Orbit')
  await picture(page, 'space-new')
  await choose(tab, 'Orbit', 'Subtitle…')
  await page.getByRole('dialog').getByLabel('Subtitle').fill('Round and round')
  await page.keyboard.press('Enter')
  await page.getByText('Round and round').waitFor()
  await choose(tab, 'Orbit', 'Rename…')
  await page.getByRole('dialog').getByLabel('Name').fill('High orbit')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { level: 1, name: 'High orbit' }).waitFor()
  await choose(tab, 'High orbit', 'Room…')
  await page.getByRole('dialog').getByLabel('Gigabytes').fill('5')
  await page.keyboard.press('Enter')
  await page.locator('.toast', { hasText: 'Saved' }).first().waitFor()

  await page.getByRole('button', { name: 'Members', exact: true }).click()
  const members = page.getByRole('region', { name: 'Members' })
  await members.getByRole('combobox').fill('mary')
  await members.getByRole('option', { name: /Mary Kenneth Keller/ }).click()
  await members.getByRole('button', { name: 'Add', exact: true }).click()
  await members.getByRole('button', { name: /What Mary Kenneth Keller may do/ }).waitFor()
  await picture(page, 'space-members')
  await expectAccessible(page)

  const other = await newTab()
  await signIn(other, '/spaces', mary)
  await other.page.getByRole('main').getByRole('link', { name: /High orbit/ }).click()
  await other.page.getByRole('heading', { level: 1, name: 'High orbit' }).waitFor()
  expect(await other.page.getByRole('button', { name: 'New', exact: true }).count()).toBe(0)
  await other.page.getByRole('button', { name: 'Actions for High orbit' }).click()
  expect(await other.page.getByRole('menuitem').allInnerTexts()).toEqual(['Members'])

  await choose(tab, 'High orbit', 'Disable')
  await page.getByRole('heading', { name: 'Disabled' }).waitFor()
  await picture(page, 'spaces-disabled')
  await expectAccessible(page)
  await choose(tab, 'High orbit', 'Restore')
  await page.getByRole('main').getByRole('link', { name: /High orbit/ }).waitFor()
  await choose(tab, 'High orbit', 'Disable')
  await page.getByRole('heading', { name: 'Disabled' }).waitFor()
  await choose(tab, 'High orbit', 'Delete for good')
  await page.getByRole('dialog').getByRole('button', { name: 'Delete for good' }).click()
  await expect.poll(() => page.getByRole('button', { name: 'Actions for High orbit' }).count()).toBe(0)
  expect([...tab.problems, ...other.problems]).toEqual([])
})

for (const { name, options } of [
  { name: 'light', options: {} },
  { name: 'dark', options: { colorScheme: 'dark' as const } },
  { name: 'phone', options: { viewport: { width: 390, height: 844 } } },
  { name: 'phone-dark', options: { viewport: { width: 390, height: 844 }, colorScheme: 'dark' as const } },
]) {
  test(`spaces look right: ${name}`, async () => {
    const tab = await newTab(options)
    const { page } = tab
    await signIn(tab, '/spaces')
    await create(tab, `Lab ${name}`)
    await picture(page, `${name}-space`)
    await expectAccessible(page)
    await page.goto(`${url}/spaces`)
    await page.getByRole('main').getByRole('link', { name: `Lab ${name}` }).first().waitFor()
    await picture(page, `${name}-spaces`)
    await expectAccessible(page)
    expect(tab.problems).toEqual([])
  })
}
