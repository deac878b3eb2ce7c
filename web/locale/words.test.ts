import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parsePo } from './po.ts'

const src = join(import.meta.dirname, '..', 'src')

/** All texts of the app: the first string of each t() and tn(). */
function used(): Map<string, boolean> {
  const found = new Map<string, boolean>()
  for (const name of readdirSync(src, { recursive: true, encoding: 'utf8' })) {
    if (!/\.(ts|vue)$/.test(name) || name.endsWith('.test.ts')) continue
    for (const [, fn, text = ''] of readFileSync(join(src, name), 'utf8').matchAll(/\b(tn?)\('((?:[^'\\]|\\.)*)'/g)) found.set(text.replaceAll("\\'", "'"), fn === 'tn')
  }
  return found
}

test('every text has words in every language, and no words are left over', () => {
  for (const file of readdirSync(import.meta.dirname).filter((f) => f.endsWith('.po'))) {
    const words = parsePo(readFileSync(join(import.meta.dirname, file), 'utf8'))
    const texts = used()
    expect([...texts.keys()].filter((text) => !(text in words)), `${file}: missing`).toEqual([])
    expect(Object.keys(words).filter((text) => !texts.has(text)), `${file}: left over`).toEqual([])
    for (const [text, plural] of texts) {
      expect(Array.isArray(words[text]), `${file}: ${text}`).toBe(plural)
      const values = (s: string) => [...new Set(s.match(/\{\w+\}/g))].sort().join()
      for (const translation of [words[text] ?? []].flat()) {
        for (const value of (translation.match(/\{\w+\}/g) ?? [])) expect(value === '{n}' || values(text).includes(value), `${file}: ${value} in ${translation}`).toBe(true)
      }
    }
  }
})

test('po files', () => {
  expect(parsePo('msgid ""\nmsgstr "Language: de\\n"\n\n#: a\nmsgid "a \\"b\\""\nmsgstr ""\n"lang"\n\nmsgid "one"\nmsgid_plural "many"\nmsgstr[0] "ein"\nmsgstr[1] "viele"\n\nmsgid "open"\nmsgstr ""\n')).toEqual({ 'a "b"': 'lang', one: ['ein', 'viele'] })
})
