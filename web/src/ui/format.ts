import { locale, t } from './words.ts'

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

const numbers = new Map<string, Intl.NumberFormat>()

function number(digits: number): Intl.NumberFormat {
  const key = locale() + String(digits)
  let f = numbers.get(key)
  if (!f) numbers.set(key, (f = new Intl.NumberFormat(locale(), { minimumFractionDigits: digits, maximumFractionDigits: digits })))
  return f
}

/** 1234567 → "1.2 MB", in the way of the language. */
export function bytes(n: number): string {
  let unit = 0
  while (n >= 999.5 && unit < units.length - 1) {
    n /= 1000
    unit++
  }
  const digits = unit > 0 && n < 9.95 ? 1 : 0
  return `${number(digits).format(n)} ${units[unit] ?? ''}`
}

const formats = new Map<string, Intl.DateTimeFormat>()

/** Making a formatter costs a hundred times what using it does. */
function format(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = locale() + JSON.stringify(options)
  let f = formats.get(key)
  if (!f) formats.set(key, (f = new Intl.DateTimeFormat(locale(), options)))
  return f
}

const day = 86_400_000

/** "just now", "14:05", "Yesterday", "Tue", "3 Nov", "3 Nov 2024". */
export function when(time: number, now = Date.now()): string {
  if (!time) return ''
  const age = now - time
  if (age >= -60_000 && age < 60_000) return t('just now')
  const today = new Date(now).setHours(0, 0, 0, 0)
  if (time >= today && time < today + day) return format({ hour: '2-digit', minute: '2-digit' }).format(time)
  if (time >= today - day && time < today) return t('Yesterday')
  if (time >= today - 6 * day && time < today) return format({ weekday: 'short', hour: '2-digit', minute: '2-digit' }).format(time)
  if (new Date(time).getFullYear() === new Date(now).getFullYear()) return format({ day: 'numeric', month: 'short' }).format(time)
  return format({ day: 'numeric', month: 'short', year: 'numeric' }).format(time)
}

export function fully(time: number): string {
  return time ? format({ dateStyle: 'full', timeStyle: 'short' }).format(time) : ''
}

/** "8 s", "3 min", "2 h". */
export function duration(seconds: number): string {
  if (seconds < 60) return t('{n} s', { n: Math.max(1, Math.round(seconds)) })
  if (seconds < 3600) return t('{n} min', { n: Math.round(seconds / 60) })
  return t('{n} h', { n: Math.round(seconds / 3600) })
}
