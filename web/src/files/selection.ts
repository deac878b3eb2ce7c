import { computed, shallowRef, watch, type Ref } from 'vue'
import type { Item } from '../client/item.ts'

/** What is selected in a list, and where the keyboard is. */
export function useSelection(rows: Ref<Item[]>) {
  const chosen = shallowRef(new Set<string>())
  const active = shallowRef('') // id
  let anchor = ''

  const index = computed(() => rows.value.findIndex((r) => r.id === active.value))
  const items = computed(() => (chosen.value.size ? rows.value.filter((r) => chosen.value.has(r.id)) : []))

  function only(id: string) {
    chosen.value = new Set(id ? [id] : [])
    active.value = anchor = id
  }

  function toggle(id: string) {
    const next = new Set(chosen.value)
    if (!next.delete(id)) next.add(id)
    chosen.value = next
    active.value = anchor = id
  }

  /** From where the selection began to a row; with add, besides what is selected. */
  function extend(id: string, add = false) {
    const list = rows.value
    const to = list.findIndex((r) => r.id === id)
    const from = Math.max(0, list.findIndex((r) => r.id === anchor))
    if (to < 0) return
    const next = add ? new Set(chosen.value) : new Set<string>()
    for (let i = Math.min(from, to); i <= Math.max(from, to); i++) next.add(list[i]?.id ?? '')
    chosen.value = next
    active.value = id
  }

  function move(to: number, how: 'select' | 'extend' | 'walk') {
    const row = rows.value[Math.max(0, Math.min(rows.value.length - 1, to))]
    if (!row) return
    if (how === 'select') only(row.id)
    else if (how === 'extend') extend(row.id)
    else active.value = row.id
  }

  function all() {
    chosen.value = new Set(rows.value.map((r) => r.id))
  }

  function none() {
    chosen.value = new Set()
  }

  /** Forgets what is not there any more; the keyboard stays where it was. */
  let last = 0
  watch(index, (i) => { if (i >= 0) last = i }, { flush: 'sync' })
  function settle() {
    if (index.value < 0 && active.value) {
      active.value = rows.value[Math.min(last, rows.value.length - 1)]?.id ?? ''
    }
    if (chosen.value.size) {
      const there = new Set(rows.value.map((r) => r.id))
      const left = [...chosen.value].filter((id) => there.has(id))
      if (left.length !== chosen.value.size) chosen.value = new Set(left)
    }
  }

  function renamed(from: string, to: string) {
    if (active.value === from) active.value = to
    if (chosen.value.has(from)) chosen.value = new Set([...chosen.value].map((id) => (id === from ? to : id)))
  }

  return { chosen, active, index, items, only, toggle, extend, move, all, none, settle, renamed }
}

export type Selection = ReturnType<typeof useSelection>
