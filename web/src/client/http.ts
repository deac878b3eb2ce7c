import { at } from './place.ts'
import { canSignIn, credentials, renew, signInAgain } from './session.ts'

/** What went wrong, with a sentence of the server's if it had one. */
export class Problem extends Error {
  constructor(
    readonly status: number, // 0: no answer
    readonly sentence: string,
  ) {
    super(sentence || `status ${String(status)}`)
  }
}

/** Of this tab: what it caused itself it need not be told of. */
export const initiator = crypto.randomUUID()

export function headers(more?: Record<string, string>): Record<string, string> {
  return {
    ...credentials(),
    'X-Requested-With': 'XMLHttpRequest',
    'X-Request-ID': crypto.randomUUID(),
    'Initiator-ID': initiator,
    ...more,
  }
}

/** The sentence in the body of a failure: of WebDAV, Graph or OCS. */
export function sentenceOf(body: string): string {
  const xml = /<s:message>([^<]*)</.exec(body)?.[1]
  if (xml) return xml.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&amp;', '&')
  try {
    const json = JSON.parse(body) as { error?: { message?: string }; ocs?: { meta?: { message?: string } } }
    return json.error?.message ?? json.ocs?.meta?.message ?? ''
  } catch {
    return ''
  }
}

export interface Call {
  method?: string
  headers?: Record<string, string>
  body?: BodyInit
  signal?: AbortSignal
}

/** Asks the server; whatever is no success is thrown as a Problem. */
export async function request(path: string, call: Call = {}): Promise<Response> {
  const send = () => fetch(at(path), { ...call, headers: headers(call.headers), credentials: 'omit' })
  let answer: Response
  try {
    answer = await send()
    if (answer.status === 401 && canSignIn()) {
      if (!(await renew())) return await signInAgain()
      answer = await send()
    }
  } catch (err) {
    if (call.signal?.aborted) throw err
    throw new Problem(0, '')
  }
  if (!answer.ok) throw new Problem(answer.status, sentenceOf(await answer.text()))
  return answer
}

export async function json<T>(path: string, call?: Call): Promise<T> {
  return (await (await request(path, call)).json()) as T
}
