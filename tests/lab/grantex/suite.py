"""The Grantex SDK (PyPI `grantex`, unmodified) against authd: every method of `sso` and `scim`, once right and once wrong.

    python suite.py CASE < facts.json

The facts name the server, keys of two organizations and the counterparts; the answer is one line of JSON. A sign-in has
two halves: `login` answers where to send somebody, `callback` hands over what came back."""
import json
import sys

from grantex import Grantex
from grantex._errors import GrantexApiError, GrantexAuthError
from grantex._types import (
    CreateScimUserParams, CreateSsoConfigParams, CreateSsoConnectionParams, SsoEnforcementParams, SsoLdapCallbackParams,
    SsoOidcCallbackParams, SsoSamlCallbackParams, UpdateSsoConnectionParams,
)

facts = json.load(sys.stdin)
ISSUER, SECRET = facts.get("issuer"), facts.get("clientSecret")


def client(name="key"):
    return Grantex(api_key=facts[name], base_url=facts["url"], max_retries=0)


def refused(call, status, code, *says):
    """The call is refused so, by the SDK's own error; the message has all of these words."""
    try:
        answer = call()
    except GrantexApiError as error:
        assert (error.status_code, error.code) == (status, code), (error.status_code, error.code, str(error))
        assert isinstance(error, GrantexAuthError) == (status in (401, 403))
        assert error.request_id and error.body["requestId"] == error.request_id and error.body["reason"], error.body
        for word in says:
            assert word in str(error), f"{word!r} is not in {error}"
        return error
    raise AssertionError(f"it answered {answer!r}")


def oidc(name="Okta", **more):
    return CreateSsoConnectionParams(name=name, protocol="oidc", issuer_url=ISSUER, client_id="basic", client_secret=SECRET, **more)


def connections():
    sso, stranger = client().sso, client("strangerKey").sso
    made = sso.create_connection(oidc(domains=["grantex.test"], group_attribute="groups",
                                      group_mappings={"engineers": ["docs.write"]}, default_scopes=["docs.read"]))
    assert (made.name, made.protocol, made.status, made.developer_id) == ("Okta", "oidc", "active", facts["org"]), made
    assert made.domains == ("grantex.test",) and made.jit_provisioning is False and made.enforce is False
    assert (made.issuer_url, made.client_id, made.group_attribute) == (ISSUER, "basic", "groups")
    assert made.group_mappings == {"engineers": ["docs.write"]} and made.default_scopes == ("docs.read",)
    assert made.created_at.endswith("Z") and made.updated_at.endswith("Z")
    assert sso.get_connection(made.id) == made
    assert made in sso.list_connections().connections

    changed = sso.update_connection(made.id, UpdateSsoConnectionParams(
        name="Renamed", status="testing", jit_provisioning=True, default_scopes=["a", "b"], domains=["grantex.test", "more.grantex.test"]))
    assert (changed.name, changed.status, changed.jit_provisioning, changed.default_scopes) == ("Renamed", "testing", True, ("a", "b"))
    assert set(changed.domains) == {"grantex.test", "more.grantex.test"}
    assert sso.update_connection(made.id, UpdateSsoConnectionParams(status="inactive")).status == "inactive"
    assert sso.update_connection(made.id, UpdateSsoConnectionParams(status="active")).status == "active"

    raw = client()._http
    shown = raw.get(f"/v1/sso/connections/{made.id}")
    for field in ("defaultRole", "attributeMapping", "groupAttribute", "enforce"):
        assert field in shown, field
    assert SECRET not in json.dumps(shown) and "clientSecret" not in shown

    bad = lambda **fields: lambda: sso.create_connection(CreateSsoConnectionParams(**fields))
    refused(bad(name="x", protocol="ftp"), 400, "BAD_REQUEST", "`protocol`", "oidc, saml, ldap")
    refused(bad(name="x", protocol="oidc", issuer_url=ISSUER), 400, "BAD_REQUEST", "`clientId`", "`clientSecret`")
    refused(bad(name="x", protocol="saml", idp_entity_id="urn:x"), 400, "BAD_REQUEST", "`idpSsoUrl`", "`idpCertificate`")
    refused(bad(name="x", protocol="ldap"), 400, "BAD_REQUEST", "`ldapUrl`", "`ldapBindDn`", "`ldapBindPassword`", "`ldapSearchBase`")
    refused(bad(name="", protocol="oidc"), 400, "BAD_REQUEST", "`name`")
    refused(bad(name="x", protocol="saml", idp_entity_id="urn:x", idp_sso_url="https://i.test/", idp_certificate="nonsense"), 400, "BAD_REQUEST")
    refused(lambda: raw.post("/v1/sso/connections", {"name": "x", "protocol": "oidc", "issuerUrl": ISSUER, "clientId": "c", "clientSecret": "s", "isuer": 1}),
            400, "BAD_REQUEST", "`isuer`")
    refused(lambda: sso.update_connection(made.id, UpdateSsoConnectionParams()), 400, "BAD_REQUEST")
    refused(lambda: sso.update_connection(made.id, UpdateSsoConnectionParams(status="on")), 400, "BAD_REQUEST", "`status`")
    refused(lambda: sso.update_connection(made.id, UpdateSsoConnectionParams(ldap_url="ldaps://x")), 400, "BAD_REQUEST", "`ldapUrl`")
    refused(lambda: sso.get_connection("nothing"), 404, "NOT_FOUND")
    refused(lambda: stranger.get_connection(made.id), 404, "NOT_FOUND")
    refused(lambda: stranger.update_connection(made.id, UpdateSsoConnectionParams(name="mine")), 404, "NOT_FOUND")
    refused(lambda: stranger.delete_connection(made.id), 404, "NOT_FOUND")
    refused(lambda: stranger.test_connection(made.id), 404, "NOT_FOUND")
    assert made.id not in [one.id for one in stranger.list_connections().connections]
    refused(lambda: stranger.create_connection(oidc(domains=["grantex.test"])), 409, "CONFLICT", "grantex.test")
    refused(lambda: client("weakKey").sso.create_connection(oidc()), 403, "FORBIDDEN")
    refused(lambda: client("weakKey").sso.delete_connection(made.id), 403, "FORBIDDEN")
    refused(lambda: client("noKey").sso.list_connections(), 401, "UNAUTHORIZED")

    # a tenant's own key claims a domain, and vouches for none
    claimed = client("tenantKey").sso.create_connection(oidc(name="Tenant", domains=["claimed.test"]))
    assert claimed.domains == ("claimed.test",)
    refused(lambda: client("tenantKey").sso.get_login_url(facts["org"], domain="claimed.test"), 404, "NOT_FOUND")
    client("tenantKey").sso.delete_connection(claimed.id)

    assert sso.delete_connection(made.id) is None
    refused(lambda: sso.get_connection(made.id), 404, "NOT_FOUND")
    refused(lambda: sso.delete_connection(made.id), 404, "NOT_FOUND")
    # a deleted connection frees its domain
    again = stranger.create_connection(oidc(domains=["grantex.test"]))
    stranger.delete_connection(again.id)
    return "ok"


def documented():
    """The fields of the documentation that the SDK's own classes do not have."""
    raw = client()._http
    made = raw.post("/v1/sso/connections", {
        "name": "Full", "protocol": "oidc", "issuerUrl": ISSUER, "clientId": "basic", "clientSecret": SECRET, "defaultRole": "member",
        "attributeMapping": {"email": "mail", "firstName": "given"}, "redirectUri": "https://app.grantex.test/cb"})
    assert made["defaultRole"] == "member" and made["attributeMapping"]["email"] == "mail", made
    assert made["callbackUrls"] == ["https://app.grantex.test/cb"]
    client().sso.delete_connection(made["id"])
    pem = facts["certificate"]
    saml = raw.post("/v1/sso/connections", {"name": "Saml", "protocol": "saml", "idpEntityId": "urn:doc:idp", "idpSsoUrl": "https://idp.doc.test/sso",
                                            "idpCertificate": "".join(pem.split("-----")[2].split())})
    assert (saml["idpEntityId"], saml["idpSsoUrl"]) == ("urn:doc:idp", "https://idp.doc.test/sso")
    assert saml["spEntityId"] and saml["spAcsUrl"]
    # what was set is shown, as a PEM that can be set again
    assert "".join(saml["idpCertificate"].split()) == "".join(pem.split()), saml["idpCertificate"]
    assert client().sso.get_connection(saml["id"]).id == saml["id"]
    again = raw.patch(f"/v1/sso/connections/{saml['id']}", {"idpCertificate": saml["idpCertificate"], "attributeMapping": {"email": "mail", "name": "cn"}})
    assert again["attributeMapping"] == {"email": "mail", "name": "cn"} and again["idpCertificate"] == saml["idpCertificate"], again
    tested = raw.post(f"/v1/sso/connections/{saml['id']}/test", {})
    assert tested["success"] is True and isinstance(tested["responseTime"], (int, float)), tested
    assert tested["idpEntityId"] == "urn:doc:idp" and "idp.doc.test" in tested["message"]
    client().sso.delete_connection(saml["id"])
    # a provider that does not answer now is no reason against a connection
    late = client().sso.create_connection(CreateSsoConnectionParams(
        name="Late", protocol="oidc", issuer_url=facts["silentIssuer"], client_id="c", client_secret="s"))
    assert late.status == "active"
    # nor against changing it, or switching it off and on
    for change in (UpdateSsoConnectionParams(client_secret="other"), UpdateSsoConnectionParams(status="inactive"), UpdateSsoConnectionParams(status="active")):
        late = client().sso.update_connection(late.id, change)
    assert late.status == "active"
    off = raw.post("/v1/sso/connections", {"name": "Off", "protocol": "oidc", "issuerUrl": ISSUER, "clientId": "c", "clientSecret": "s", "status": "inactive"})
    assert off["status"] == "inactive", off
    client().sso.delete_connection(off["id"])
    refused(lambda: raw.post("/v1/sso/connections", {"name": "x", "protocol": "ldap", "ldapUrl": "http://x", "ldapBindDn": "cn=x", "ldapBindPassword": "p", "ldapSearchBase": "dc=x"}),
            400, "BAD_REQUEST", "`ldapUrl`")
    refused(lambda: raw.post("/v1/sso/connections", {"name": "x", "protocol": "saml", "metadataUrl": 5}), 400, "BAD_REQUEST", "`metadataUrl`")
    client().sso.delete_connection(late.id)
    return "ok"


def tests():
    sso = client().sso
    good = sso.create_connection(oidc())
    found = sso.test_connection(good.id)
    assert found.success and found.protocol == "oidc" and found.issuer == ISSUER, found
    assert found.authorization_endpoint.startswith(ISSUER) and found.token_endpoint and found.jwks_uri
    broken = sso.create_connection(CreateSsoConnectionParams(
        name="Silent", protocol="oidc", issuer_url=facts["silentIssuer"], client_id="c", client_secret="s"))
    try:
        sso.test_connection(broken.id)
        raise AssertionError("a silent provider passed")
    except GrantexApiError as error:
        assert error.status_code == 422, error.status_code
        assert error.body["success"] is False and error.body["protocol"] == "oidc" and error.body["error"] and "responseTime" in error.body
    refused(lambda: sso.test_connection("conn_none"), 404, "NOT_FOUND")
    for one in (good, broken):
        sso.delete_connection(one.id)
    return "ok"


def config():
    sso = client().sso
    params = CreateSsoConfigParams(issuer_url=ISSUER, client_id="basic", client_secret=SECRET, redirect_uri="https://app.grantex.test/legacy")
    refused(sso.get_config, 404, "NOT_FOUND")
    refused(sso.delete_config, 404, "NOT_FOUND")
    made = sso.create_config(params)
    assert (made.issuer_url, made.client_id, made.redirect_uri) == (ISSUER, "basic", "https://app.grantex.test/legacy"), made
    assert sso.get_config() == made
    params.redirect_uri = "https://app.grantex.test/other"
    assert sso.create_config(params).redirect_uri == "https://app.grantex.test/other"
    assert len([one for one in sso.list_connections().connections if one.name == "SSO"]) == 1
    params.redirect_uri = "not an address"
    refused(lambda: sso.create_config(params), 400, "BAD_REQUEST", "redirect")
    params.client_secret = ""
    refused(lambda: sso.create_config(params), 400, "BAD_REQUEST", "`clientSecret`")
    refused(lambda: client("strangerKey").sso.get_config(), 404, "NOT_FOUND")
    assert sso.delete_config() is None
    refused(sso.get_config, 404, "NOT_FOUND")
    params.client_secret, params.redirect_uri = SECRET, "https://app.grantex.test/legacy"
    sso.create_config(params)
    sso.delete_config()
    return "ok"


def scim():
    api = client().scim
    made = api.create_token("okta")
    assert made.token and made.label == "okta" and made.last_used_at is None, made
    assert [(one.id, one.label) for one in api.list_tokens().tokens] == [(made.id, "okta")]
    assert made.token not in repr(api.list_tokens())
    refused(lambda: api.create_token(""), 400, "BAD_REQUEST", "`label`")
    refused(lambda: client("strangerKey").scim.revoke_token(made.id), 404, "NOT_FOUND")
    refused(lambda: client("weakKey").scim.create_token("x"), 403, "FORBIDDEN")
    refused(lambda: api.revoke_token("nothing"), 404, "NOT_FOUND")

    for bearer in (api, Grantex(api_key=made.token, base_url=facts["url"], max_retries=0).scim):
        user = bearer.create_user(CreateScimUserParams(user_name="ada@scim.test", display_name="Ada", external_id="x-1",
                                                       emails=[{"value": "ada@scim.test", "primary": True}]))
        assert (user.user_name, user.active, user.external_id, user.display_name) == ("ada@scim.test", True, "x-1", "Ada"), user
        assert user.emails[0].value == "ada@scim.test" and user.meta.resource_type == "User"
        assert bearer.get_user(user.id).id == user.id
        listed = bearer.list_users(start_index=1, count=1)
        assert (listed.start_index, listed.items_per_page) == (1, 1) and listed.total_results >= 1
        assert bearer.update_user(user.id, [{"op": "replace", "path": "displayName", "value": "Ada L."}]).display_name == "Ada L."
        off = bearer.update_user(user.id, [{"op": "replace", "path": "active", "value": "False"}])
        assert off.active is False
        assert bearer.update_user(user.id, [{"op": "replace", "path": "displayName", "value": "A"}]).active is False
        put = bearer.replace_user(user.id, CreateScimUserParams(user_name="ada@scim.test", display_name="Put", external_id="x-1"))
        assert put.display_name == "Put" and put.active is True
        for call, status in [
            (lambda: bearer.create_user(CreateScimUserParams(user_name="ada@scim.test")), 409),
            (lambda: bearer.create_user(CreateScimUserParams(user_name="")), 400),
            (lambda: bearer.get_user("nobody"), 404),
            (lambda: bearer.update_user(user.id, [{"op": "magic"}]), 400),
            (lambda: bearer.replace_user("nobody", CreateScimUserParams(user_name="x@scim.test")), 404),
            (lambda: bearer.list_users(count=-1) and bearer.get_user("nobody"), 404),
        ]:
            try:
                raise AssertionError(f"it answered {call()!r}")
            except GrantexApiError as error:
                assert error.status_code == status, (status, error.status_code, str(error))
        bearer.delete_user(user.id)
        try:
            bearer.delete_user(user.id)
            raise AssertionError("twice")
        except GrantexApiError as error:
            assert error.status_code == 404
    try:
        client("weakKey").scim.list_users()
        raise AssertionError("without the grant")
    except GrantexAuthError as error:
        assert error.status_code == 403, error.status_code
    assert api.revoke_token(made.id) is None
    assert api.list_tokens().tokens == ()
    try:
        Grantex(api_key=made.token, base_url=facts["url"], max_retries=0).scim.list_users()
        raise AssertionError("a revoked token")
    except GrantexAuthError as error:
        assert error.status_code == 401
    return "ok"


def login():
    """Where to send somebody; `redirectUri` as the documentation has it, which the SDK's own method does not."""
    if facts.get("redirectUri"):
        import urllib.parse
        query = urllib.parse.urlencode({"org": facts["org"], "domain": facts["domain"], "redirect_uri": facts["redirectUri"]})
        answer = client()._http.get(f"/sso/login?{query}")
        return answer
    answer = client().sso.get_login_url(facts["org"], domain=facts.get("domain"))
    return {"authorizeUrl": answer.authorize_url, "connectionId": answer.connection_id, "protocol": answer.protocol}


def logins():
    sso = client().sso
    refused(lambda: sso.get_login_url(facts["org"], domain="nobody.test"), 404, "NOT_FOUND")
    refused(lambda: sso.get_login_url("org_none"), 404, "NOT_FOUND")
    refused(lambda: client()._http.get("/sso/login"), 400, "BAD_REQUEST", "`org`")
    refused(lambda: client()._http.get(f"/sso/login?org={facts['org']}&domain={facts['domain']}&redirect_uri=https%3A%2F%2Fevil.test%2F"),
            400, "BAD_REQUEST", "redirect_uri")
    public = client("noKey").sso.get_login_url(facts["org"], domain=facts["domain"])
    assert public.protocol == "oidc" and public.authorize_url.startswith(ISSUER)
    return "ok"


def shown(result):
    return {"sessionId": result.session_id, "email": result.email, "name": result.name, "sub": result.sub, "groups": list(result.groups),
            "mappedScopes": list(result.mapped_scopes), "principalId": result.principal_id, "developerId": result.developer_id,
            "expiresAt": result.expires_at}


def callback():
    sso = client(facts.get("as", "key")).sso
    kind = facts["protocol"]
    if kind == "oidc":
        params = SsoOidcCallbackParams(code=facts["code"], state=facts["state"], redirect_uri=facts.get("redirectUri"))
        call = lambda: sso.handle_oidc_callback(params)
    elif kind == "saml":
        params = SsoSamlCallbackParams(saml_response=facts["SAMLResponse"], relay_state=facts["RelayState"])
        call = lambda: sso.handle_saml_callback(params)
    elif kind == "ldap":
        params = SsoLdapCallbackParams(username=facts["username"], password=facts["password"], connection_id=facts["connectionId"], org=facts["org"])
        call = lambda: sso.handle_ldap_callback(params)
    else:
        answer = lambda: sso.handle_callback(facts["code"], facts["state"])
        call = lambda: answer()
    try:
        result = call()
    except GrantexApiError as error:
        return {"refused": [error.status_code, error.code], "reason": (error.body or {}).get("reason"), "message": str(error)}
    if kind == "legacy":
        return {"email": result.email, "name": result.name, "sub": result.sub, "developerId": result.developer_id}
    return shown(result)


def sessions():
    """What a sign-in left behind, and its end."""
    sso = client().sso
    found = {one.id: one for one in sso.list_sessions().sessions}
    one = found[facts["sessionId"]]
    assert (one.connection_id, one.email, one.idp_subject) == (facts["connectionId"], facts["email"], facts["sub"]), one
    assert set(one.groups) == set(facts["groups"]) and set(one.mapped_scopes) == set(facts["mappedScopes"]), one
    assert one.principal_id == facts["principalId"] and one.created_at and one.expires_at
    raw = [row for row in client()._http.get("/v1/sso/sessions")["sessions"] if row["id"] == one.id][0]
    assert raw["connectionName"] == facts["connectionName"], raw
    assert all(row.id != one.id for row in client("strangerKey").sso.list_sessions().sessions)
    refused(lambda: client("strangerKey").sso.revoke_session(one.id), 404, "NOT_FOUND")
    refused(lambda: client("weakKey").sso.list_sessions(), 403, "FORBIDDEN")
    refused(lambda: sso.revoke_session("nothing"), 404, "NOT_FOUND")
    assert sso.revoke_session(one.id) is None
    assert all(row.id != one.id for row in sso.list_sessions().sessions)
    return "ok"


def enforcement():
    sso = client().sso
    refused(lambda: sso.set_enforcement(SsoEnforcementParams(enforce="yes")), 400, "BAD_REQUEST", "`enforce`")
    # nobody who could help has signed in yet
    refused(lambda: sso.set_enforcement(SsoEnforcementParams(enforce=True)), 400, "BAD_REQUEST", "sign in")
    off = sso.set_enforcement(SsoEnforcementParams(enforce=False))
    assert (off.enforce, off.developer_id) == (False, facts["org"])
    raw = client()._http.post("/v1/sso/enforce", {"enforce": False, "exemptRoles": ["owner"]})
    assert raw == {"enforce": False, "exemptRoles": ["owner"], "developerId": facts["org"]}, raw
    refused(lambda: client()._http.post("/v1/sso/enforce", {"enforce": False, "exemptRoles": "owner"}), 400, "BAD_REQUEST", "`exemptRoles`")
    refused(lambda: client("weakKey").sso.set_enforcement(SsoEnforcementParams(enforce=False)), 403, "FORBIDDEN")
    return "ok"


print(json.dumps(globals()[sys.argv[1]]()))
