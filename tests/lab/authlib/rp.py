"""A relying party on PyPI authlib: one sign-in, and everything that follows from it.

Reads one JSON line (issuer, clientId, clientSecret, redirectUri), writes one with the address to sign in at, reads one with
the address that the app was returned to, and writes one with what came of it.
"""

import json
import os
import sys

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry


def tell(value):
    print(json.dumps(value), flush=True)


def verified(token, fetch_keys, metadata, client, nonce=None, access_token=None):
    """The claims of an id token, checked by authlib alone; an unknown key is looked for once more, as authlib's clients do."""
    registry = JWSRegistry(algorithms=metadata["id_token_signing_alg_values_supported"])
    try:
        decoded = jwt.decode(token, key=KeySet.import_key_set(fetch_keys()), registry=registry)
    except InvalidKeyIdError:
        decoded = jwt.decode(token, key=KeySet.import_key_set(fetch_keys(force=True)), registry=registry)
    options = {"iss": {"essential": True, "values": [metadata["issuer"]]}}
    params = {"client_id": client, "nonce": nonce, "access_token": access_token}
    claims = CodeIDToken(decoded.claims, decoded.header, options, {k: v for k, v in params.items() if v})
    claims.validate(leeway=0)
    return dict(claims)


def main():
    given = json.loads(sys.stdin.readline())
    session = OAuth2Session(
        given["clientId"],
        given["clientSecret"],
        redirect_uri=given["redirectUri"],
        scope="openid email profile offline_access",
        token_endpoint_auth_method="client_secret_basic",
        code_challenge_method="S256",
    )
    session.trust_env = False
    metadata = session.get(given["issuer"] + "/.well-known/openid-configuration", withhold_token=True).json()
    held = {}

    def keys(force=False):
        if force or not held:
            held.update(session.get(metadata["jwks_uri"], withhold_token=True).json())
        return held

    keys()
    nonce, verifier = generate_token(), generate_token(64)
    url, state = session.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce
    )
    tell({"url": url})

    returned = json.loads(sys.stdin.readline())["url"]
    token = session.fetch_token(
        metadata["token_endpoint"], authorization_response=returned, state=state, code_verifier=verifier
    )
    claims = verified(token["id_token"], keys, metadata, given["clientId"], nonce, token["access_token"])
    try:
        verified(token["id_token"], keys, metadata, given["clientId"], "another nonce")
        foreign = "taken"
    except Exception as error:  # authlib and joserfc have several kinds
        foreign = type(error).__name__
    userinfo = session.get(metadata["userinfo_endpoint"]).json()

    first = dict(token)
    refreshed = session.refresh_token(metadata["token_endpoint"], refresh_token=first["refresh_token"])
    told = session.introspect_token(
        metadata["introspection_endpoint"], token=refreshed["access_token"], token_type_hint="access_token"
    ).json()
    revoked = session.revoke_token(
        metadata["revocation_endpoint"], token=refreshed["refresh_token"], token_type_hint="refresh_token"
    ).status_code
    after = session.introspect_token(
        metadata["introspection_endpoint"], token=refreshed["access_token"], token_type_hint="access_token"
    ).json()
    tell(
        {
            "claims": claims,
            "foreignNonce": foreign,
            "userinfo": userinfo,
            "rotated": first["refresh_token"] != refreshed["refresh_token"],
            "introspected": told,
            "revoked": revoked,
            "after": after,
        }
    )


if __name__ == "__main__":
    try:
        main()
    except JoseError as error:
        tell({"error": f"{type(error).__name__}: {error}"})
        sys.exit(1)
