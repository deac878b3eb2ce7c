import { say } from '../ui/toasts.ts'
import { t } from '../ui/words.ts'
import { explain } from './explain.ts'

/** What can be taken back, the latest last. */
interface Step {
  run: () => Promise<void>
}

const steps: Step[] = []
const most = 50

/** Tells what was done, and how to take it back. */
export function done(text: string, run: () => Promise<void>) {
  const step = { run }
  steps.push(step)
  if (steps.length > most) steps.shift()
  say(text, { action: { label: t('Undo'), run: () => void take(step) } })
}

async function take(step: Step) {
  const i = steps.indexOf(step)
  if (i < 0) return
  steps.splice(i, 1)
  try {
    await step.run()
  } catch (err) {
    say(t('This could not be taken back. {why}', { why: explain(err) }), { kind: 'failed' })
  }
}

export function undo() {
  const step = steps.at(-1)
  if (step) void take(step)
}
