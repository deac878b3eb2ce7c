import { inLink, propfind } from '../client/dav.ts'
import { Problem } from '../client/http.ts'
import { itemOf, type Item } from '../client/item.ts'
import { at } from '../client/place.ts'
import { visit } from '../client/session.ts'

/** What somebody sees who holds a link. */
export interface Link {
  token: string
  kind: 'folder' | 'file' | 'drop'
  item: Item
  owner: string
  ends: number // milliseconds since 1970; 0: never
  url: string // of a file
}

export type Answer = { link: Link } | { refused: 'password' | 'wrong' | 'account' | 'gone' | 'tries' | 'trouble' }

const props = ['resourcetype', 'getlastmodified', 'getetag', 'fileid', 'name', 'size', 'permissions', 'downloadURL', 'public-link-permission', 'public-link-item-type', 'public-link-share-owner', 'public-link-expiration']

/** The number of permissions of a link by which files are handed in and nothing is seen. */
const onlyCreate = '4'

export async function openLink(token: string, password = ''): Promise<Answer> {
  visit(token, password)
  try {
    const [root] = await propfind(inLink(token), '0', props)
    if (!root) return { refused: 'gone' }
    const p = root.props
    const common = { token, owner: p['public-link-share-owner'] ?? '', ends: Date.parse(p['public-link-expiration'] ?? '') || 0 }
    if (p['public-link-item-type'] === 'file') {
      const [, file] = await propfind(inLink(token), '1', props)
      if (!file) return { refused: 'gone' }
      return { link: { ...common, kind: 'file', item: itemOf(file.href, file.props), url: file.props.downloadURL ?? '' } }
    }
    return { link: { ...common, kind: p['public-link-permission'] === onlyCreate ? 'drop' : 'folder', item: itemOf(root.href, p), url: '' } }
  } catch (err) {
    const status = err instanceof Problem ? err.status : 0
    if (status === 401) return { refused: password ? 'wrong' : (await isForAccounts(token)) ? 'account' : 'password' }
    return { refused: status === 404 ? 'gone' : status === 429 ? 'tries' : 'trouble' }
  }
}

/** Whether a link that refuses opens to those who sign in, not to those who know a password. */
async function isForAccounts(token: string): Promise<boolean> {
  const answer = await fetch(at(inLink(token)), { method: 'PROPFIND', headers: { Depth: '0', 'X-Requested-With': 'XMLHttpRequest' }, credentials: 'omit' })
  return (await answer.text()).includes('ERR_MISSING_BEARER_AUTH')
}
