/** Reads gettext's .po files: msgid to translation. */
export type Words = Record<string, string | string[]>

function unquote(text: string): string {
  return JSON.parse(text.trim()) as string
}

/** Translations by msgid; empty ones are left out. */
export function parsePo(source: string): Words {
  const words: Words = {}
  for (const entry of source.replaceAll('\r', '').split(/\n\n+/)) {
    const fields: Record<string, string> = {}
    let field = ''
    for (const line of entry.split('\n')) {
      const start = /^(msgid|msgid_plural|msgstr(?:\[\d\])?) (".*")$/.exec(line)
      if (start) {
        field = start[1] ?? ''
        fields[field] = unquote(start[2] ?? '""')
      } else if (field && line.startsWith('"')) {
        fields[field] = (fields[field] ?? '') + unquote(line)
      }
    }
    const id = fields.msgid
    if (!id) continue
    if (fields.msgid_plural !== undefined) {
      const forms = [fields['msgstr[0]'] ?? '', fields['msgstr[1]'] ?? '']
      if (forms.every(Boolean)) words[id] = forms
    } else if (fields.msgstr) {
      words[id] = fields.msgstr
    }
  }
  return words
}
