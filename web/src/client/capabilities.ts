import { json } from './http.ts'

export interface Capabilities {
  files?: { tus_support?: { max_chunk_size?: number; http_method_override?: string } }
}

let asked: Promise<Capabilities> | undefined

/** What the server can do; asked for once. */
export function capabilities(): Promise<Capabilities> {
  asked ??= json<{ ocs: { data: { capabilities: Capabilities } } }>('/ocs/v1.php/cloud/capabilities?format=json').then((a) => a.ocs.data.capabilities)
  return asked
}
