import { expect, test } from 'vitest'
import { ref } from 'vue'
import { freeName, splitName, type Item } from '../client/item.ts'
import { each } from './batch.ts'
import { settle, type Choice } from './conflicts.ts'
import { useSelection } from './selection.ts'
import { filtered, sorted } from './sort.ts'

function item(name: string, more: Partial<Item> = {}): Item {
  return { id: name, name, dir: false, size: 0, mtime: 0, etag: '', can: '', shares: '', rank: 0, ...more }
}

test('names', () => {
  expect(splitName('plan.tar.gz', false)).toEqual(['plan.tar', '.gz'])
  expect(splitName('.profile', false)).toEqual(['.profile', ''])
  expect(splitName('v1.2', true)).toEqual(['v1.2', ''])
  const taken = new Set(['a.txt', 'a (2).txt', 'dir'])
  expect(freeName('a.txt', false, (n) => taken.has(n))).toBe('a (3).txt')
  expect(freeName('dir', true, (n) => taken.has(n))).toBe('dir (2)')
  expect(freeName('b', false, (n) => taken.has(n))).toBe('b')
})

test('what has a name that is taken is settled with one question', async () => {
  const all = [item('a.txt'), item('dir', { dir: true }), item('new.txt')]
  const taken = new Map([['a.txt', false], ['dir', true]])
  const run = async (choice?: Choice) => {
    let asked = 0
    const got = await settle(all, taken, (names, folders) => {
      asked++
      expect(names).toEqual(['a.txt', 'dir'])
      expect(folders).toBe(true)
      return Promise.resolve(choice)
    })
    expect(asked).toBe(1)
    return got?.map((p) => p.name + (p.over ? '!' : ''))
  }
  expect(await run('both')).toEqual(['a (2).txt', 'dir (2)', 'new.txt'])
  expect(await run('replace')).toEqual(['a.txt!', 'dir (2)', 'new.txt'])
  expect(await run('skip')).toEqual(['new.txt'])
  expect(await run()).toBeUndefined()
  // Without a conflict nobody is asked, and two of one name do not meet.
  const twice = await settle([item('x'), item('x')], new Map(), () => Promise.reject(new Error('asked')))
  expect(twice?.map((p) => p.name)).toEqual(['x', 'x (2)'])
})

test('orders', () => {
  const rows = ['dir', 'a', 'b', 'c'].map((name, rank) => item(name, { rank, dir: name === 'dir', size: [9, 3, 1, 3][rank] ?? 0 }))
  const names = (key: 'name' | 'size', down: boolean) => sorted(rows, { key, down }).map((r) => r.name).join(' ')
  expect(names('name', false)).toBe('dir a b c')
  expect(names('name', true)).toBe('dir c b a')
  expect(names('size', false)).toBe('b a c dir')
  expect(names('size', true)).toBe('dir a c b')
  expect(filtered(['Plan of Mars.md', 'mars.txt', 'plan.md'].map((n) => item(n)), ' PLAN mars').map((r) => r.name)).toEqual(['Plan of Mars.md'])
})

test('selecting', () => {
  const rows = ref('abcdef'.split('').map((n) => item(n)))
  const s = useSelection(rows)
  const chosen = () => s.items.value.map((i) => i.name).join('')
  s.move(1, 'select')
  expect(chosen()).toBe('b')
  s.move(3, 'extend')
  expect(chosen()).toBe('bcd')
  s.move(0, 'extend')
  expect(chosen()).toBe('ab')
  s.move(4, 'walk')
  s.toggle('e')
  expect(chosen()).toBe('abe')
  s.extend('f', true)
  expect(chosen()).toBe('abef')
  s.all()
  expect(chosen()).toBe('abcdef')
  // What is gone is not selected, and the keyboard is where it was.
  s.only('c')
  s.settle()
  rows.value = rows.value.filter((i) => i.name !== 'c')
  s.settle()
  expect([chosen(), s.active.value]).toEqual(['', 'd'])
})

test('a batch goes on when one of it fails', async () => {
  let atOnce = 0
  let most = 0
  const { done, failed } = await each([1, 2, 3, 4, 5, 6], async (n) => {
    most = Math.max(most, ++atOnce)
    await Promise.resolve()
    atOnce--
    if (n === 2) throw new Error('two')
  }, 3)
  expect([done.sort(), failed.map((f) => f.one), most]).toEqual([[1, 3, 4, 5, 6], [2], 3])
})
