import { UserManager, WebStorageStateStore, type User } from 'oidc-client-ts'
import { at, base } from './place.ts'

/**
 * Who is signed in. Tokens live as long as the tab: another one signs in by
 * itself, with the cookie of whoever signs people in.
 */
let manager: UserManager | undefined
let user: User | null = null
let renewing: Promise<boolean> | undefined

interface Webfinger {
  links?: { rel: string; href: string }[]
  properties?: Record<string, unknown>
}

const ns = 'http://opencloud.eu/ns/oidc/'

async function discover(): Promise<UserManager> {
  const query = new URLSearchParams({ resource: base.href, platform: 'web', rel: 'http://openid.net/specs/connect/1.0/issuer' })
  const answer = await fetch(at('/.well-known/webfinger?' + query.toString()))
  if (!answer.ok) throw new Error(`webfinger: ${String(answer.status)}`)
  const found = (await answer.json()) as Webfinger
  const authority = found.links?.[0]?.href
  if (!authority) throw new Error('webfinger names no issuer')
  const scopes = found.properties?.[ns + 'scopes']
  const store = new WebStorageStateStore({ store: sessionStorage, prefix: 'oc.' })
  return new UserManager({
    authority,
    client_id: String(found.properties?.[ns + 'client_id'] ?? 'web'),
    scope: Array.isArray(scopes) ? scopes.join(' ') : 'openid profile email',
    redirect_uri: at('/oidc-callback.html'),
    silent_redirect_uri: at('/oidc-silent-redirect.html'),
    post_logout_redirect_uri: at('/'),
    userStore: store,
    stateStore: store,
    loadUserInfo: false,
    monitorSession: false,
    automaticSilentRenew: false,
    silentRequestTimeoutInSeconds: 15,
  })
}

/** How long before its end a token is renewed, in seconds. */
const early = 30

let timer = 0
function schedule() {
  clearTimeout(timer)
  if (!user?.expires_in) return
  timer = window.setTimeout(() => void renew(), Math.max(1, user.expires_in - early) * 1000)
}

/** Resolves when somebody is signed in; if the page has to leave for that, never. */
export async function signIn(): Promise<{ returnTo: string | undefined }> {
  manager = await discover()
  const here = location.pathname.slice(base.pathname.length - 1)
  if (here === '/oidc-callback.html') {
    try {
      user = await manager.signinRedirectCallback()
      schedule()
      return { returnTo: (user.state as { to?: string } | undefined)?.to ?? '/' }
    } catch {
      // A stale or reloaded answer: begin anew.
      return leave('/')
    }
  }
  user = await manager.getUser()
  if (user && !user.expired) {
    schedule()
    return { returnTo: undefined }
  }
  return leave(here + location.search)
}

async function leave(to: string): Promise<never> {
  await manager?.removeUser()
  await manager?.signinRedirect({ state: { to } })
  return new Promise(() => undefined)
}

/** Whether it is this server that signs people in. */
export function signsInHere(): boolean {
  return manager?.settings.authority.replace(/\/$/, '') === base.href.replace(/\/$/, '')
}

/** What a page sends that somebody sees by a link, without an account. */
let ticket: Record<string, string> | undefined

/** Makes this page one of whoever holds a link; nobody signs in on it. */
export function visit(link: string, password: string) {
  ticket = { 'public-token': link }
  if (password) ticket.Authorization = 'Basic ' + btoa(String.fromCharCode(...new TextEncoder().encode(`public:${password}`)))
}

export function endVisit() {
  ticket = undefined
}

export function credentials(): Record<string, string> {
  return ticket ?? { Authorization: `Bearer ${user?.access_token ?? ''}` }
}

/** Whether who is refused can do something about it by signing in. */
export function canSignIn(): boolean {
  return !ticket
}

/** Gets a new token behind the scenes; false when nobody is signed in any more. */
export function renew(): Promise<boolean> {
  if (ticket) return Promise.resolve(false)
  renewing ??= (async () => {
    try {
      user = (await manager?.signinSilent()) ?? null
      schedule()
      return user !== null
    } catch {
      return false
    } finally {
      renewing = undefined
    }
  })()
  return renewing
}

/** Has the user sign in again and come back to this page. */
export function signInAgain(): Promise<never> {
  return leave(location.pathname.slice(base.pathname.length - 1) + location.search)
}

export async function signOut(): Promise<void> {
  clearTimeout(timer)
  const hint = user?.id_token
  user = null
  await manager?.removeUser()
  await manager?.signoutRedirect({ id_token_hint: hint })
}
