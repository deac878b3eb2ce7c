import { expect, test } from 'vitest'
import { dav, expectNames, folder, go, open, row } from './story.ts'

test('ten tasks with the keyboard alone', async () => {
  await folder('Keys', { 'beta.txt': 'b', 'gamma.txt': 'g', 'Archive/': '' })
  const tab = await open('Keys')
  const { page } = tab
  const press = (...keys: string[]) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve())
  await expectNames(page, ['Archive', 'beta.txt', 'gamma.txt'])

  // Make a folder and name it.
  await press('Alt+n')
  await page.locator('.rename input').waitFor()
  await page.keyboard.type('Alpha')
  await press('Enter')
  await expectNames(page, ['Alpha', 'Archive', 'beta.txt', 'gamma.txt'])

  // Find one by its first letters, and rename it: the stem is selected.
  await page.keyboard.type('gam')
  await press('F2')
  await page.keyboard.type('delta')
  await press('Enter')
  await expectNames(page, ['Alpha', 'Archive', 'beta.txt', 'delta.txt'])

  // Take it back.
  await page.getByText('Renamed to “delta.txt”').waitFor()
  await press('Control+z')
  await expectNames(page, ['Alpha', 'Archive', 'beta.txt', 'gamma.txt'])

  // Delete two, and take it back.
  await press('End', 'Shift+ArrowUp', 'Delete')
  await expectNames(page, ['Alpha', 'Archive'])
  await page.getByText('2 items are in the trash').waitFor()
  await press('Control+z')
  await expectNames(page, ['Alpha', 'Archive', 'beta.txt', 'gamma.txt'])
  await expect.poll(async () => (await dav('GET', 'Keys/gamma.txt')).status).toBe(200)

  // Cut, go into a folder, paste, come back.
  await press('End', 'Control+x', 'Home', 'ArrowDown', 'Enter')
  await page.getByRole('heading', { level: 1, name: 'Archive' }).waitFor()
  await page.getByText('This folder is empty').waitFor()
  await press('Control+v')
  await expectNames(page, ['gamma.txt'])
  await press('Backspace')
  await expectNames(page, ['Alpha', 'Archive', 'beta.txt'])
  expect((await dav('GET', 'Keys/Archive/gamma.txt')).status).toBe(200)

  // Copy beside itself: it gets a name of its own.
  await page.keyboard.type('beta')
  await press('Control+c', 'Control+v')
  await expectNames(page, ['Alpha', 'Archive', 'beta (2).txt', 'beta.txt'])

  // A name that is taken is refused where it is typed.
  await page.keyboard.type('beta.')
  await press('F2')
  await page.locator('.rename input').fill('Alpha')
  await press('Enter')
  await page.getByText('The name is already taken.').waitFor()
  await press('Escape')

  // Filter.
  await press('Control+f')
  await page.keyboard.type('alph')
  await expectNames(page, ['Alpha'])
  await press('Escape')
  await expectNames(page, ['Alpha', 'Archive', 'beta (2).txt', 'beta.txt'])

  // Ask which keys there are.
  await press('?')
  await page.getByRole('dialog').waitFor()
  await page.keyboard.type('undo')
  await page.getByText('Ctrl+Z').waitFor()
  await press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  expect(tab.problems).toEqual([])
})

test('moving by dragging, and one question for all conflicts', async () => {
  await folder('Drag', { 'Target/': '', 'Target/a.txt': 'old', 'a.txt': 'new', 'b.txt': 'b' })
  const tab = await open('Drag')
  const { page } = tab
  await row(page, 'a.txt').click()
  await row(page, 'b.txt').click({ modifiers: ['Shift'] })
  await row(page, 'a.txt').dragTo(row(page, 'Target'))
  const dialog = page.getByRole('dialog')
  await dialog.getByRole('heading', { name: '“a.txt” is already there' }).waitFor()
  await dialog.getByRole('button', { name: 'Keep both' }).click()
  await expectNames(page, ['Target'])
  await page.getByText('Moved 2 items to Target').waitFor()
  await go(page, 'Target')
  await expectNames(page, ['a (2).txt', 'a.txt', 'b.txt'])
  expect(await (await dav('GET', 'Drag/Target/a.txt')).text()).toBe('old')

  // Out again onto a breadcrumb, replacing nothing.
  await row(page, 'b.txt').hover()
  await page.mouse.down()
  await page.mouse.move(600, 500, { steps: 3 })
  const crumb = page.getByRole('navigation', { name: 'Where you are' }).getByText('Drag')
  await crumb.hover()
  await crumb.hover()
  await page.mouse.up()
  await expectNames(page, ['a (2).txt', 'a.txt'])
  expect((await dav('GET', 'Drag/b.txt')).status).toBe(200)
  await page.getByRole('button', { name: 'Undo' }).last().click()
  await expectNames(page, ['a (2).txt', 'a.txt', 'b.txt'])

  // The trash takes what is dropped on it.
  await row(page, 'a (2).txt').dragTo(page.getByRole('link', { name: 'Trash' }))
  await expectNames(page, ['a.txt', 'b.txt'])
  await page.getByText('“a (2).txt” is in the trash').waitFor()
  expect(tab.problems).toEqual([])
})

test('what the server refuses is shown as it was', async () => {
  await folder('Honest', { 'kept.txt': 'k' })
  const tab = await open('Honest')
  const { page } = tab
  await row(page, 'kept.txt').waitFor()
  await page.route('**/dav/**', (route) => (route.request().method() === 'DELETE' ? route.fulfill({ status: 423, body: '' }) : route.continue()))
  await row(page, 'kept.txt').click()
  await page.keyboard.press('Delete')
  await page.getByText('“kept.txt”: Somebody is working on it: it is locked.').waitFor()
  await expectNames(page, ['kept.txt'])
})

test('the trash: back to where it was, or away for good', async () => {
  await folder('Bin', { 'one.txt': '1', 'three.txt': '3', 'two.txt': '2' })
  const tab = await open('Bin')
  const { page } = tab
  await row(page, 'one.txt').click()
  await page.keyboard.press('Control+a')
  await page.keyboard.press('Delete')
  await page.getByText('This folder is empty').waitFor()
  await page.getByText('3 items are in the trash').waitFor()
  await page.getByRole('link', { name: 'Trash' }).click()
  await row(page, 'one.txt').first().click()
  await page.getByRole('button', { name: 'Restore' }).click()
  await page.getByText('“one.txt” is back').waitFor()
  expect((await dav('GET', 'Bin/one.txt')).status).toBe(200)
  await row(page, 'two.txt').first().click()
  await page.keyboard.press('Delete')
  await page.getByRole('dialog').getByRole('button', { name: 'Delete for good' }).click()
  await expect.poll(() => row(page, 'two.txt').count()).toBe(0)
  await page.getByRole('button', { name: 'Empty trash' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Empty trash' }).click()
  await page.getByText('The trash is empty').waitFor()
  expect(tab.problems).toEqual([])
})

test('an earlier version comes back, and goes again', async () => {
  await folder('Past', { 'plan.md': 'first' })
  await dav('PUT', 'Past/plan.md', 'the second')
  const tab = await open('Past')
  const { page } = tab
  await row(page, 'plan.md').click()
  await page.keyboard.press('Space')
  await page.getByRole('button', { name: 'Restore the version of' }).click()
  await page.getByText('“plan.md” is as it was').waitFor()
  expect(await (await dav('GET', 'Past/plan.md')).text()).toBe('first')
  await page.getByRole('button', { name: 'Undo' }).click()
  await expect.poll(async () => (await dav('GET', 'Past/plan.md')).text()).toBe('the second')

  const [download] = await Promise.all([page.waitForEvent('download'), page.keyboard.press('Control+d')])
  expect(download.suggestedFilename()).toBe('plan.md')
  const [older] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download the version of' }).first().click()])
  expect(older.suggestedFilename()).toBe('plan.md')
  expect(tab.problems).toEqual([])
})
