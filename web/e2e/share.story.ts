import { expect, test } from 'vitest'
import { dav, expectAccessible, expectNames, folder, mary, names, newTab, open, picture, row, signIn, url } from './story.ts'

const looks = [
  { name: 'light', options: {} },
  { name: 'dark', options: { colorScheme: 'dark' as const } },
  { name: 'phone', options: { viewport: { width: 390, height: 844 } } },
  { name: 'phone-dark', options: { viewport: { width: 390, height: 844 }, colorScheme: 'dark' as const } },
  { name: 'german', options: { locale: 'de-DE' } },
]

test('a folder is shared with somebody, who opens it, hides it and shows it again', async () => {
  await folder('Voyage', { 'map.txt': 'north', 'Stores/': '' })
  const tab = await open('')
  const { page } = tab
  await row(page, 'Voyage').click()
  await page.getByRole('toolbar').getByRole('button', { name: 'Share' }).click()
  const people = page.getByRole('region', { name: 'People' })
  await people.getByRole('combobox').fill('mary')
  await people.getByRole('option', { name: /Mary Kenneth Keller/ }).waitFor()
  await picture(page, 'share-search')
  await expectAccessible(page)
  await page.keyboard.press('Enter')
  await people.getByRole('button', { name: /What they may do/ }).click()
  await picture(page, 'share-roles')
  await expectAccessible(page)
  await page.getByRole('menuitemradio', { name: /Can edit/ }).click()
  await people.getByRole('button', { name: 'Share', exact: true }).click()
  await people.getByText('Mary Kenneth Keller').waitFor()
  await row(page, 'Voyage').getByTitle('Shared with people').waitFor()
  await picture(page, 'share-done')
  await expectAccessible(page)

  const other = await newTab()
  await signIn(other, '/shared/with-me', mary)
  await row(other.page, 'Voyage').waitFor()
  await picture(other.page, 'shared-with-me')
  await expectAccessible(other.page)
  await row(other.page, 'Voyage').dblclick()
  await expectNames(other.page, ['Stores', 'map.txt'])
  await other.page.keyboard.press('Alt+n')
  await other.page.locator('[role=grid] input').waitFor()
  await other.page.keyboard.type('From Mary')
  await other.page.keyboard.press('Enter')
  await expect.poll(async () => (await dav('PROPFIND', 'Voyage/From%20Mary', undefined, { Depth: '0' })).status, { timeout: 10_000 }).toBe(207)
  await row(other.page, 'map.txt').click()
  await other.page.keyboard.press('Space')
  await other.page.getByRole('region', { name: 'People' }).waitFor()
  await picture(other.page, 'share-received')
  await other.page.keyboard.press('Space')
  await other.page.keyboard.press('Escape')
  await other.page.getByRole('navigation', { name: 'Where you are' }).getByRole('link', { name: 'Shared with me' }).click()
  await row(other.page, 'Voyage').click()
  await other.page.getByRole('button', { name: 'Hide' }).click()
  await other.page.getByRole('button', { name: '1 hidden' }).click()
  await row(other.page, 'Voyage').click()
  await other.page.getByRole('button', { name: 'Show again' }).click()
  await expectNames(other.page, ['Voyage'])

  // Less, until a day, and nothing; taken back.
  await people.getByRole('button', { name: /What Mary Kenneth Keller may do/ }).click()
  await page.getByRole('menuitemradio', { name: /Can view/ }).click()
  await people.getByText('Saved').waitFor()
  await people.getByRole('button', { name: /What Mary Kenneth Keller may do: Can view/ }).click()
  await page.getByRole('menuitem', { name: 'Let it end…' }).click()
  await page.getByLabel('Last day').fill('2099-12-31')
  await picture(page, 'share-end')
  await expectAccessible(page)
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click()
  await people.getByText('until 31 Dec 2099').waitFor()
  await people.getByRole('button', { name: /What Mary Kenneth Keller may do/ }).click()
  await page.getByRole('menuitem', { name: 'Remove access' }).click()
  await page.locator('.toast', { hasText: 'has no access any more' }).waitFor()
  await expect.poll(() => people.getByText('Mary Kenneth Keller').count()).toBe(0)
  await page.locator('.toast', { hasText: 'has no access any more' }).getByRole('button', { name: 'Undo' }).click()
  await people.getByText('until 31 Dec 2099').waitFor()
  expect([...tab.problems, ...other.problems]).toEqual([])
})

test('what is in a shared folder says why others have access; a deep link finds it', async () => {
  await folder('Hold', { 'In/': '', 'In/cargo.txt': 'tea' })
  const tab = await open('')
  const { page } = tab
  await row(page, 'Hold').click()
  await page.getByRole('toolbar').getByRole('button', { name: 'Share' }).click()
  await page.getByRole('combobox').fill('mary')
  await page.getByRole('option', { name: /Mary Kenneth Keller/ }).click()
  await page.getByRole('region', { name: 'People' }).getByRole('button', { name: 'Share', exact: true }).click()
  await row(page, 'Hold').getByTitle('Shared with people').waitFor()
  await row(page, 'Hold').dblclick()
  await row(page, 'In').dblclick()
  await row(page, 'cargo.txt').click()
  await page.getByText('through folder Hold').waitFor()
  await picture(page, 'share-why')
  await expectAccessible(page)

  const found = await dav('PROPFIND', 'Hold/In/cargo.txt', undefined, { Depth: '0' })
  const id = /<oc:fileid>([^<]*)/.exec(await found.text())?.[1] ?? ''
  const other = await newTab()
  await signIn(other, `/f/${encodeURIComponent(id)}`, mary)
  await row(other.page, 'cargo.txt').waitFor()
  expect(decodeURIComponent(other.page.url())).toContain('/Hold/In?item=')
  expect(await row(other.page, 'cargo.txt').getAttribute('aria-selected')).toBe('true')

  await page.goto(`${url}/shared/with-others`)
  await row(page, 'Hold').waitFor()
  await row(page, 'Hold').dblclick()
  await row(page, 'In').waitFor()
  expect(await names(page)).toEqual(['In'])
  expect([...tab.problems, ...other.problems]).toEqual([])
})

for (const { name, options } of looks) {
  test(`pages of what is shared: ${name}`, async () => {
    const tab = await newTab(options)
    await signIn(tab, '/shared/with-others')
    for (const which of ['with-me', 'with-others', 'by-link']) {
      await tab.page.goto(`${url}/shared/${which}`)
      await tab.page.locator('.place h2, [role=grid] .row').first().waitFor()
      await picture(tab.page, `${name}-shared-${which}`)
      await expectAccessible(tab.page)
    }
    expect(tab.problems).toEqual([])
  })
}
