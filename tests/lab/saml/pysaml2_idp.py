"""An identity provider on PyPI pysaml2, which signs and encrypts with the command `xmlsec1`.

    python pysaml2_idp.py --port 7020 --domain example.test --sp-metadata sp.xml --key idp.key --cert idp.crt [--want-signed]

There is no page to sign in: it answers at once. Every form that it gives is posted by the page's own script.

    GET /metadata            its metadata
    GET|POST /sso            a sign-in; `/set?user=bob&sign=assertion&enc=aes256-gcm&alg=sha1` says how, from then on
    GET /begin?acs=…&aud=…   an answer that nobody asked for
    GET /logout?slo=…&by=…   a signed LogoutRequest for whoever signed in last, by `redirect` or `post`
    GET|POST /slo            takes the LogoutResponse, and says what pysaml2 thinks of it; or the service's own order to end
                             a session, which it answers, signed, by `/set?logout=redirect` or `post`
    GET /ended               the last such order: whom it named, which session, by which binding
"""

import argparse
import functools
import json
import re
import urllib.parse
from wsgiref.simple_server import WSGIRequestHandler, make_server

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, entity, sigver
from saml2 import xmldsig as ds
from saml2.authn_context import PASSWORDPROTECTEDTRANSPORT
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.saml import NAMEID_FORMAT_EMAILADDRESS, NAMEID_FORMAT_PERSISTENT, NAMEID_FORMAT_TRANSIENT, NameID
from saml2.server import Server

arguments = argparse.ArgumentParser()
arguments.add_argument("--port", type=int, default=7020)
arguments.add_argument("--host", default="localhost")
arguments.add_argument("--domain", default="example.test")
arguments.add_argument("--want-signed", action="store_true")
for name in ("--sp-metadata", "--key", "--cert"):
    arguments.add_argument(name, required=True)
arguments = arguments.parse_args()
base = f"http://{arguments.host}:{arguments.port}"

config = IdPConfig().load({
    "entityid": f"{base}/metadata",
    "key_file": arguments.key,
    "cert_file": arguments.cert,
    "xmlsec_binary": "/usr/bin/xmlsec1",
    "metadata": {"local": [arguments.sp_metadata]},
    "service": {"idp": {
        "name": "pysaml2",
        "endpoints": {
            "single_sign_on_service": [(f"{base}/sso", BINDING_HTTP_REDIRECT), (f"{base}/sso", BINDING_HTTP_POST)],
            "single_logout_service": [(f"{base}/slo", BINDING_HTTP_REDIRECT), (f"{base}/slo", BINDING_HTTP_POST)],
        },
        "policy": {"default": {
            "lifetime": {"minutes": 5},
            "attribute_restrictions": None,
            "name_form": "urn:oasis:names:tc:SAML:2.0:attrname-format:uri",
        }},
        "name_id_format": [NAMEID_FORMAT_EMAILADDRESS],
        "want_authn_requests_signed": arguments.want_signed,
    }},
})
idp = Server(config=config)

PEOPLE = {
    "ada": {"uid": "ada", "mail": f"ada@{arguments.domain}", "givenName": "Ada", "sn": "Lovelace",
            "isMemberOf": ["engineers", "staff"]},
    "bob": {"uid": "bob", "mail": f"bob@{arguments.domain}", "givenName": "Bob", "sn": "Öber & <Söhne>"},
}
SIGNATURES = {
    "sha1": (ds.SIG_RSA_SHA1, ds.DIGEST_SHA1),
    "sha256": (ds.SIG_RSA_SHA256, ds.DIGEST_SHA256),
    "sha512": (ds.SIG_RSA_SHA512, ds.DIGEST_SHA512),
}
# What xmlsec1 calls the content key, and what XML encryption calls the algorithm.
CIPHERS = {
    "aes128-gcm": ("aes-128", "http://www.w3.org/2009/xmlenc11#aes128-gcm"),
    "aes256-gcm": ("aes-256", "http://www.w3.org/2009/xmlenc11#aes256-gcm"),
    "aes128-cbc": ("aes-128", "http://www.w3.org/2001/04/xmlenc#aes128-cbc"),
    "aes256-cbc": ("aes-256", "http://www.w3.org/2001/04/xmlenc#aes256-cbc"),
    "3des": ("des-192", "http://www.w3.org/2001/04/xmlenc#tripledes-cbc"),
}
FORMATS = {
    "email": NAMEID_FORMAT_EMAILADDRESS,
    "persistent": NAMEID_FORMAT_PERSISTENT,
    "transient": NAMEID_FORMAT_TRANSIENT,
}
flags = {}
last = {}
ended = {}
plain_template, plain_encrypt = sigver.pre_encryption_part, sigver.SecurityContext.encrypt_assertion


def answer(query, request_id, acs, sp, relay_state):
    query = {**flags, **query}
    person = PEOPLE[query.get("user", "ada")]
    signature, digest = SIGNATURES[query.get("alg", "sha256")]
    sign = query.get("sign", "both")
    if cipher := query.get("enc"):
        key_type, algorithm = CIPHERS[cipher]
        entity.pre_encryption_part = functools.partial(plain_template, msg_enc=algorithm)
        sigver.SecurityContext.encrypt_assertion = functools.partialmethod(plain_encrypt, key_type=key_type)
    name_id = NameID(format=FORMATS[query.get("format", "email")], text=person["mail"])
    response = idp.create_authn_response(
        person, request_id, acs, sp, name_id=name_id, userid=person["uid"],
        authn={"class_ref": PASSWORDPROTECTEDTRANSPORT, "authn_auth": base},
        sign_assertion=sign in ("both", "assertion"), sign_response=sign in ("both", "response"),
        encrypt_assertion=bool(query.get("enc")), encrypt_assertion_self_contained=True,
        sign_alg=signature, digest_alg=digest,
    )
    index = re.search('SessionIndex="([^"]+)"', str(response))
    last.update(sp=sp, name_id=name_id, index=index and index[1])
    return posted(BINDING_HTTP_POST, str(response), acs, relay_state, response=True)


def posted(binding, message, to, relay_state="", **more):
    return idp.apply_binding(binding, message, to, relay_state, **more)["data"].encode()


def logout(query):
    redirect = query.get("by", "redirect") == "redirect"
    binding = BINDING_HTTP_REDIRECT if redirect else BINDING_HTTP_POST
    _, request = idp.create_logout_request(
        query["slo"], last["sp"], name_id=last["name_id"], sign=not redirect and query.get("sign") != "none",
        sign_alg=ds.SIG_RSA_SHA256, digest_alg=ds.DIGEST_SHA256,
    )
    if redirect:
        info = idp.apply_binding(binding, str(request), query["slo"], sign=query.get("sign") != "none",
                                 sigalg=ds.SIG_RSA_SHA256)
        return "303 See Other", [("location", dict(info["headers"])["Location"])], b""
    return "200 OK", [("content-type", "text/html")], posted(binding, str(request), query["slo"])


def sign_out(query, binding):
    """The service's order: checked (a provider that wants requests signed wants this one signed, too), and answered."""
    relay_state = query.get("RelayState")
    asked = idp.parse_logout_request(query["SAMLRequest"], binding, relay_state=relay_state, sigalg=query.get("SigAlg"),
                                     signature=query.get("Signature")).message
    indexes = [one.text for one in asked.session_index]
    if asked.name_id.text != last["name_id"].text or indexes != [last["index"]]:
        raise ValueError("an order for somebody else")
    ended.update(name=asked.name_id.text, index=indexes[0], by="GET" if binding == BINDING_HTTP_REDIRECT else "POST")
    redirect = flags.get("logout", "redirect") == "redirect"
    back = BINDING_HTTP_REDIRECT if redirect else BINDING_HTTP_POST
    _, to = idp.pick_binding("single_logout_service", [back], "spsso", entity_id=asked.issuer.text)
    told = idp.create_logout_response(asked, [back], sign=not redirect, sign_alg=ds.SIG_RSA_SHA256,
                                      digest_alg=ds.DIGEST_SHA256)
    if redirect:
        info = idp.apply_binding(back, str(told), to, relay_state, response=True, sign=True, sigalg=ds.SIG_RSA_SHA256)
        return "303 See Other", [("location", dict(info["headers"])["Location"])], b""
    return "200 OK", [("content-type", "text/html")], posted(back, str(told), to, relay_state, response=True)


def metadata():
    """With the logout addresses of one binding alone, where that is said."""
    text = str(entity_descriptor(config))
    for word, binding in (("redirect", BINDING_HTTP_REDIRECT), ("post", BINDING_HTTP_POST)):
        if flags.get("slo", word) != word:
            text = re.sub(f'<[^<>]*SingleLogoutService [^<>]*"{binding}"[^<>]*/>', "", text)
    return text.encode()


def application(environ, start):
    query = dict(urllib.parse.parse_qsl(environ["QUERY_STRING"]))
    path, binding = environ["PATH_INFO"], BINDING_HTTP_REDIRECT
    if environ["REQUEST_METHOD"] == "POST":
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"] or 0)).decode()
        query.update(urllib.parse.parse_qsl(body))
        binding = BINDING_HTTP_POST
    status, headers, body = "200 OK", [("content-type", "text/html")], b""
    if path == "/metadata":
        headers, body = [("content-type", "application/samlmetadata+xml")], metadata()
    elif path == "/ended":
        headers, body = [("content-type", "application/json")], json.dumps(ended).encode()
    elif path == "/favicon.ico":
        status, headers = "204 No Content", []
    elif path == "/set":
        flags.clear()
        flags.update(query)
    elif path == "/sso":
        relay_state = query.pop("RelayState", "")
        asked = idp.parse_authn_request(query["SAMLRequest"], binding, relay_state=relay_state,
                                        sigalg=query.get("SigAlg"), signature=query.get("Signature")).message
        acs = asked.assertion_consumer_service_url
        body = answer({}, asked.id, acs, asked.issuer.text, relay_state)
    elif path == "/begin":
        body = answer(query, None, query["acs"], query["aud"], query.get("RelayState", ""))
    elif path == "/logout":
        status, headers, body = logout(query)
    elif path == "/slo" and "SAMLRequest" in query:
        status, headers, body = sign_out(query, binding)
    elif path == "/slo":
        told = idp.parse_logout_request_response(query["SAMLResponse"], binding)
        said = {"status": told.response.status.status_code.value, "issuer": told.response.issuer.text}
        body = f'<pre id="slo">{json.dumps(said)}</pre>'.encode()
    else:
        status = "404 Not Found"
    start(status, headers)
    return [body]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


make_server("127.0.0.1", arguments.port, application, handler_class=Quiet).serve_forever()
