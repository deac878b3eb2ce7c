// An OpenID Connect provider for tests that signs in whoever is named, without
// a password: the login_hint is the account. What it says of people is in the
// file PEOPLE, {"<sub>": {"<claim>": …}}, which is read anew each time, and its
// keys are in the file KEYS. With the resource CLOUD access tokens are JWTs that
// hold the claims, without they are opaque and userinfo has them. It listens on
// PORT of 127.0.0.1, tells CLOUD of sign-outs, and prints "ready".
import { readFileSync } from "node:fs"
import http from "node:http"
import Provider from "oidc-provider"

const { PORT, PEOPLE, KEYS, CLOUD } = process.env
const issuer = `http://127.0.0.1:${PORT}`
const people = () => JSON.parse(readFileSync(PEOPLE, "utf8"))
const scope = "openid profile email offline_access"

const native = (client_id) => ({
  client_id,
  application_type: "native",
  token_endpoint_auth_method: "none",
  grant_types: ["authorization_code", "refresh_token"],
  redirect_uris: ["http://127.0.0.1/callback"],
  post_logout_redirect_uris: ["http://127.0.0.1/left"],
  backchannel_logout_uri: `${CLOUD}/backchannel_logout`,
  backchannel_logout_session_required: true,
})

const provider = new Provider(issuer, {
  clients: [native("web"), native("OpenCloudDesktop")],
  jwks: JSON.parse(readFileSync(KEYS, "utf8")),
  cookies: { keys: ["a key for tests"] },
  scopes: scope.split(" "),
  claims: { openid: ["sub"], profile: ["preferred_username", "name", "groups", "roles", "realm_access"], email: ["email", "email_verified"] },
  findAccount: (_ctx, id) => (people()[id] ? { accountId: id, claims: () => ({ ...people()[id], sub: id }) } : undefined),
  extraTokenClaims: (ctx, token) => {
    const { AuthorizationCode: code, RefreshToken: refresh } = ctx.oidc.entities
    return { ...people()[token.accountId], sid: (code ?? refresh)?.sid }
  },
  features: {
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({ scope, audience: "cloud", accessTokenFormat: "jwt", accessTokenTTL: 300 }),
    },
  },
  issueRefreshToken: (_ctx, client, code) => client.grantTypeAllowed("refresh_token") && code.scopes.has("offline_access"),
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  loadExistingGrant: async (ctx) => {
    const { client, session, params } = ctx.oidc
    const grant = new ctx.oidc.provider.Grant({ clientId: client.clientId, accountId: session.accountId })
    grant.addOIDCScope(scope)
    if (params.resource) grant.addResourceScope(params.resource, scope)
    await grant.save()
    return grant
  },
  // What it calls is on this machine, from which it would keep away otherwise.
  fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
})

for (const event of ["server_error", "backchannel.error", "grant.error", "authorization.error", "userinfo.error"]) {
  provider.on(event, (_ctx, err) => console.error(event, err.message, err.error_detail ?? ""))
}

const callback = provider.callback()
http
  .createServer(async (req, res) => {
    if (!req.url.startsWith("/interaction/")) return callback(req, res)
    const { params } = await provider.interactionDetails(req, res)
    await provider.interactionFinished(req, res, { login: { accountId: params.login_hint }, consent: {} })
  })
  .listen(Number(PORT), "127.0.0.1", () => console.log("ready"))
