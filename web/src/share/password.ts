/** What the server demands of a password. */
export interface Policy {
  min_characters?: number
  min_lowercase_characters?: number
  min_uppercase_characters?: number
  min_digits?: number
  min_special_characters?: number
}

const sets = {
  lower: 'abcdefghijkmnopqrstuvwxyz',
  upper: 'ABCDEFGHJKLMNPQRSTUVWXYZ',
  digit: '23456789',
  special: '-_.+!?',
}

/** A number below n, each as likely as the others. */
function below(n: number): number {
  const most = Math.floor(0x1_0000_0000 / n) * n
  const cell = new Uint32Array(1)
  do crypto.getRandomValues(cell)
  while ((cell[0] ?? 0) >= most)
  return (cell[0] ?? 0) % n
}

function pick(from: string, n: number): string[] {
  return Array.from({ length: n }, () => from[below(from.length)] ?? '')
}

/** A password that nobody guesses, that fits the policy, and that can be read out: no letters that look alike. */
export function makePassword(policy: Policy = {}): string {
  const chars = [
    ...pick(sets.lower, Math.max(2, policy.min_lowercase_characters ?? 0)),
    ...pick(sets.upper, Math.max(2, policy.min_uppercase_characters ?? 0)),
    ...pick(sets.digit, Math.max(2, policy.min_digits ?? 0)),
    ...pick(sets.special, Math.max(1, policy.min_special_characters ?? 0)),
  ]
  const length = Math.max(14, policy.min_characters ?? 0)
  chars.push(...pick(sets.lower + sets.upper + sets.digit, Math.max(0, length - chars.length)))
  for (let i = chars.length - 1; i > 0; i--) {
    const j = below(i + 1)
    ;[chars[i], chars[j]] = [chars[j] ?? '', chars[i] ?? '']
  }
  return chars.join('')
}
