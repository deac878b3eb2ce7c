import { shallowRef, type Component } from 'vue'

/** The dialog that is open: one at a time, and who asked waits for it. */
export interface Asked {
  id: number
  component: Component
  props: Record<string, unknown>
  answer: (value: unknown) => void
}

export const asked = shallowRef<Asked>()
let count = 0

/** Opens a dialog, which answers by its event "answer"; undefined: closed. */
export function ask<T>(component: Component, props: Record<string, unknown> = {}): Promise<T | undefined> {
  asked.value?.answer(undefined)
  const before = document.activeElement
  return new Promise((resolve) => {
    const mine: Asked = {
      id: ++count,
      component,
      props,
      answer(value) {
        if (asked.value === mine) asked.value = undefined
        resolve(value as T | undefined)
        if (before instanceof HTMLElement) setTimeout(() => { before.focus({ preventScroll: true }) })
      },
    }
    asked.value = mine
  })
}
