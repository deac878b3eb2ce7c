import { capabilities } from '../client/capabilities.ts'
import type { LinkType, Permission } from '../client/sharing.ts'
import { ask } from '../ui/ask.ts'
import { copyText } from '../ui/copy.ts'
import TextDialog from '../ui/TextDialog.vue'
import { say } from '../ui/toasts.ts'
import { t } from '../ui/words.ts'
import { makePassword } from './password.ts'

/** Whether the server takes a link of a type from this user only with a password. */
export async function needsPassword(type: LinkType, abilities: Set<string>): Promise<boolean> {
  const rules = (await capabilities()).files_sharing?.public?.password?.enforced_for
  switch (type) {
    case 'view':
    case 'blocksDownload':
      return (rules?.read_only ?? false) && !abilities.has('ReadOnlyPublicLinkPassword.Delete.all')
    case 'upload':
      return rules?.read_write ?? false
    case 'edit':
      return rules?.read_write_delete ?? false
    case 'createOnly':
      return rules?.upload_only ?? false
    case 'internal':
      return false
  }
}

export async function askPassword(title: string, yes: string, removable = false): Promise<string | undefined> {
  const policy = (await capabilities()).password_policy
  return ask<string>(TextDialog, {
    title, yes, label: t('Password'), text: t('Tell the password to those who get the link, by another way than the link.'),
    make: () => makePassword(policy), none: removable ? t('Without password') : undefined,
  })
}

/** Copies the address of a link, and says so. */
export async function copyLink(p: Permission, password = ''): Promise<void> {
  const url = p.link?.webUrl
  if (!url) return
  if (!(await copyText(url))) {
    say(t('The browser lets nothing be copied. The address is {url}', { url }))
    return
  }
  say(t('The link is copied'), password ? { action: { label: t('Copy the password'), run: () => void copyText(password) } } : {})
}
