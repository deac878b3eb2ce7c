import { at } from './place.ts'

export interface Capabilities {
  files?: { tus_support?: { max_chunk_size?: number; http_method_override?: string } }
  files_sharing?: {
    search_min_length?: number
    public?: { enabled?: boolean; password?: { enforced_for?: { read_only?: boolean; read_write?: boolean; read_write_delete?: boolean; upload_only?: boolean } } }
  }
  password_policy?: { min_characters?: number; min_lowercase_characters?: number; min_uppercase_characters?: number; min_digits?: number; min_special_characters?: number }
}

let asked: Promise<Capabilities> | undefined

/** What the server can do, which anybody may know; asked for once. */
export function capabilities(): Promise<Capabilities> {
  asked ??= fetch(at('/ocs/v1.php/cloud/capabilities?format=json'), { credentials: 'omit' })
    .then((answer) => answer.json() as Promise<{ ocs: { data: { capabilities: Capabilities } } }>)
    .then((a) => a.ocs.data.capabilities)
  return asked
}
