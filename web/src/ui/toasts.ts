import { shallowRef } from 'vue'

/** Short messages that go away by themselves. */
export interface Toast {
  id: number
  text: string
  kind: 'done' | 'failed'
  action?: { label: string; run: () => void }
}

export const toasts = shallowRef<Toast[]>([])
let count = 0
const timers = new Map<number, number>()

const life = 10_000

export function say(text: string, more: Partial<Pick<Toast, 'kind' | 'action'>> = {}): number {
  const toast: Toast = { id: ++count, text, kind: 'done', ...more }
  toasts.value = [...toasts.value.slice(-2), toast]
  rest(toast.id)
  return toast.id
}

export function dismiss(id: number) {
  clearTimeout(timers.get(id))
  timers.delete(id)
  toasts.value = toasts.value.filter((x) => x.id !== id)
}

/** Who points at a message or has it in focus is still reading. */
export function hold(id: number) {
  clearTimeout(timers.get(id))
}

export function rest(id: number) {
  clearTimeout(timers.get(id))
  timers.set(id, window.setTimeout(dismiss, life, id))
}
