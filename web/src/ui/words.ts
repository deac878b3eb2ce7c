import { computed, shallowRef } from 'vue'

/**
 * The words of the user's language. Texts in the code are English, and keys of
 * locale/<language>.po, which is loaded when it is wanted.
 */
type Words = Record<string, string | string[]>
type Values = Record<string, string | number>

export const languages = { en: 'English', de: 'Deutsch' } as const
export type Language = keyof typeof languages

const load: Record<string, () => Promise<{ default: Words }>> = {
  de: () => import('../../locale/de.po'),
}

const words = shallowRef<Words>({})
export const language = shallowRef<Language>('en')

const key = 'oc.language'

/** The one that was chosen here, else the first of the browser's that we speak. */
export function preferred(): Language {
  for (const tag of [localStorage.getItem(key), ...navigator.languages]) {
    const known = tag?.slice(0, 2).toLowerCase() ?? ''
    if (known in languages) return known as Language
  }
  return 'en'
}

const country = computed(() => navigator.languages.find((tag) => tag.toLowerCase().startsWith(language.value)) ?? language.value)

/** How numbers and dates are written: as in the user's country, if it speaks the language. */
export function locale(): string {
  return country.value
}

export async function speak(to: Language, remember = false) {
  words.value = (await load[to]?.())?.default ?? {}
  language.value = to
  document.documentElement.lang = to
  if (remember) localStorage.setItem(key, to)
}

function fill(text: string, values?: Values): string {
  return values ? text.replace(/\{(\w+)\}/g, (all, name: string) => String(values[name] ?? all)) : text
}

/** A text, with values for what stands in braces. */
export function t(text: string, values?: Values): string {
  const found = words.value[text]
  return fill(typeof found === 'string' ? found : text, values)
}

/** One of two texts by a number, which is {n} in it. */
export function tn(one: string, many: string, n: number, values?: Values): string {
  const found = words.value[one]
  const [first, other] = Array.isArray(found) ? found : [one, many]
  return fill((n === 1 ? first : other) ?? many, { n: n.toLocaleString(locale()), ...values })
}
