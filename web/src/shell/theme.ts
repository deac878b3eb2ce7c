import { ref } from 'vue'

/** Light, dark, or what the system says. */
export type Theme = 'system' | 'light' | 'dark'

const key = 'oc.theme'
const stored = localStorage.getItem(key)
export const theme = ref<Theme>(stored === 'light' || stored === 'dark' ? stored : 'system')

export function apply(to: Theme = theme.value) {
  theme.value = to
  if (to === 'system') {
    delete document.documentElement.dataset.theme
    localStorage.removeItem(key)
  } else {
    document.documentElement.dataset.theme = to
    localStorage.setItem(key, to)
  }
}
