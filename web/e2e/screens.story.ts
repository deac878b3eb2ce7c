import { test } from 'vitest'
import { dav, expectAccessible, folder, newTab, picture, row, signIn, go, type Tab } from './story.ts'

const day = 86_400_000
const files: Record<string, [number, number]> = {
  'Annual report 2025.pdf': [840_000, 3], 'budget.xlsx': [88_000, 1], 'plan.md': [12_000, 0], 'Keynote.pptx': [2_400_000, 9], 'harbour at night.jpg': [3_100_000, 30],
  'Interview.mp3': [1_800_000, 45], 'Fly-over.mp4': [4_000_000, 60], 'backup-2024.tar.gz': [2_000_000, 400], 'server.go': [4_200, 2], 'Letter to the members of the association about the summer festival and its long title (final).docx': [31_000, 5], 'notes.bin': [640, 700],
}

async function fill(name: string) {
  await folder(name, { 'Images/': '', 'Reports/': '', 'Very old things/': '' })
  for (const [file, [size, days]] of Object.entries(files)) {
    await dav('PUT', `${name}/${encodeURIComponent(file)}`, new Uint8Array(size), { 'X-OC-Mtime': String(Math.floor((Date.now() - days * day) / 1000)) })
  }
  await dav('PUT', `${name}/plan.md`, 'a second version')
}

const looks = [
  { name: 'light', options: {} },
  { name: 'dark', options: { colorScheme: 'dark' as const } },
  { name: 'phone', options: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true } },
  { name: 'phone-dark', options: { viewport: { width: 390, height: 844 }, colorScheme: 'dark' as const } },
  { name: 'german', options: { locale: 'de-DE' } },
]

async function walk(tab: Tab, look: string) {
  const { page } = tab
  const touch = look === 'phone'
  await picture(page, `${look}-root`)
  await expectAccessible(page)
  if (touch) await row(page, 'Mars').tap()
  else await go(page, 'Mars')
  await row(page, 'plan.md').waitFor()
  await picture(page, `${look}-files`)
  await expectAccessible(page)
  if (touch) return
  await row(page, 'Reports').click()
  await row(page, 'plan.md').click({ modifiers: ['Control'] })
  await picture(page, `${look}-selection`)
  await expectAccessible(page)
  await row(page, 'plan.md').click()
  await page.keyboard.press('Space')
  await page.locator('.details .versions li').first().waitFor()
  await picture(page, `${look}-details`)
  await expectAccessible(page)
  await page.keyboard.press('Space')
  await row(page, 'budget.xlsx').click({ button: 'right' })
  await page.getByRole('menu').waitFor()
  await picture(page, `${look}-menu`)
  await expectAccessible(page)
  await page.keyboard.press('Escape')
  await row(page, 'notes.bin').click()
  await page.keyboard.press('F2')
  await picture(page, `${look}-rename`)
  await page.keyboard.press('Escape')
  await page.keyboard.press('Delete')
  await page.locator('.toast').waitFor()
  await picture(page, `${look}-toast`)
  await expectAccessible(page)
  await page.keyboard.press('?')
  await page.locator('dialog').waitFor()
  await picture(page, `${look}-keys`)
  await expectAccessible(page)
  await page.keyboard.press('Escape')
  await row(page, 'Images').dblclick()
  await page.locator('.place h2').waitFor()
  await picture(page, `${look}-empty`)
  await expectAccessible(page)
  await page.getByRole('link', { name: /Trash|Papierkorb/ }).click()
  await row(page, 'notes.bin').first().waitFor()
  await picture(page, `${look}-trash`)
  await expectAccessible(page)
}

for (const { name, options } of looks) {
  test(`every screen can be used by everybody: ${name}`, async () => {
    await fill('Mars')
    const tab = await newTab(options)
    await signIn(tab)
    await walk(tab, name)
  })
}
