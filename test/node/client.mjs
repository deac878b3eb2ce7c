// A relying party of openid-client. It says JSON lines and is answered by
// lines: it says where a browser must go, and is told where that came back.
import * as readline from "node:readline";
import * as client from "openid-client";

const [issuer, id, redirect, after] = process.argv.slice(2);
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const ask = async (what) => {
  console.log(JSON.stringify(what));
  return (await lines.next()).value;
};
const config = await client.discovery(new URL(issuer), id, undefined, client.None());

async function signIn() {
  const pkceCodeVerifier = client.randomPKCECodeVerifier();
  const expectedState = client.randomState();
  const expectedNonce = client.randomNonce();
  const go = client.buildAuthorizationUrl(config, {
    redirect_uri: redirect, scope: "openid profile email offline_access", state: expectedState, nonce: expectedNonce, max_age: "3600",
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: "S256",
  });
  const back = new URL(await ask({ go: go.href }));
  return client.authorizationCodeGrant(config, back, { pkceCodeVerifier, expectedState, expectedNonce, maxAge: 3600, idTokenExpected: true });
}
const refused = (what) => what.then(() => "", (e) => e.error ?? String(e));

let tokens = await signIn();
const claims = tokens.claims();
const info = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
const next = await client.refreshTokenGrant(config, tokens.refresh_token);
const me = await client.fetchProtectedResource(config, next.access_token, new URL(issuer + "/graph/v1.0/me"), "GET");
await ask({ sub: claims.sub, acr: claims.acr, info, me: await me.json(), rotated: next.refresh_token !== tokens.refresh_token });
// Somebody has ended the session meanwhile.
await ask({ ended: await refused(client.refreshTokenGrant(config, next.refresh_token)) });

tokens = await signIn();
await client.tokenRevocation(config, tokens.refresh_token);
const revoked = await refused(client.refreshTokenGrant(config, tokens.refresh_token));
const leave = client.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: after, state: "bye" });
await ask({ revoked, leave: leave.href });
process.exit(0);
