# A relying party of Authlib. It says JSON lines and is answered by lines: it
# says where a browser must go, and is told where that came back.
import json
import sys

import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import JsonWebKey, jwt
from authlib.oidc.core import CodeIDToken

issuer, client_id, redirect = sys.argv[1:]


def ask(what):
    print(json.dumps(what), flush=True)
    return sys.stdin.readline().strip()


meta = requests.get(issuer + "/.well-known/openid-configuration").json()
session = OAuth2Session(
    client_id, scope="openid profile email offline_access", redirect_uri=redirect,
    token_endpoint_auth_method="none", code_challenge_method="S256",
)
verifier, nonce = generate_token(48), generate_token(16)
go, state = session.create_authorization_url(meta["authorization_endpoint"], code_verifier=verifier, nonce=nonce)
back = ask({"go": go})
token = session.fetch_token(meta["token_endpoint"], authorization_response=back, state=state, code_verifier=verifier)
keys = JsonWebKey.import_key_set(requests.get(meta["jwks_uri"]).json())
claims = jwt.decode(
    token["id_token"], keys, claims_cls=CodeIDToken,
    claims_options={"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": client_id}},
    claims_params={"nonce": nonce, "client_id": client_id, "access_token": token["access_token"]},
)
claims.validate()
info = session.get(meta["userinfo_endpoint"]).json()
next_token = session.refresh_token(meta["token_endpoint"], refresh_token=token["refresh_token"])
me = session.get(issuer + "/graph/v1.0/me").json()
session.revoke_token(meta["revocation_endpoint"], token=next_token["refresh_token"])
again = requests.post(
    meta["token_endpoint"],
    data={"grant_type": "refresh_token", "client_id": client_id, "refresh_token": next_token["refresh_token"]},
).json()
ask({
    "sub": claims["sub"], "acr": claims["acr"], "info": info, "me": me,
    "rotated": next_token["refresh_token"] != token["refresh_token"], "revoked": again.get("error", ""),
})
