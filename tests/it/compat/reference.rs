//! The tables of the reference are the tables of the program.

use std::path::PathBuf;

use authd::compat::convex::{FUNCTIONS, Kind};
use authd::compat::grantex::METHODS;
use authd::config::Environment;

fn held(name: &str, made: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(name);
    if Environment::read().get("AUTHD_UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "docs/reference/{name} is not what the program makes: run the tests once with AUTHD_UPDATE_REFERENCE=1"
    );
}

#[test]
fn every_function_of_convex_stands_in_the_reference() {
    let mut page = String::from(
        "# What the Convex client can call\n\n\
         `new ConvexHttpClient(<authd>)`, `client.setAuth(<bearer>)`. The bearer is an access token of authd's own API, an API key\n\
         of the organization, or a token of an issuer that the organization trusts. A *group* is an organization of authd.\n\
         [Moving from Convex](../guides/moving-from-convex.md) says how to begin. This page is made from the program.\n\n\
         | function | kind | grant | arguments | result | operations |\n|---|---|---|---|---|---|\n",
    );
    for function in FUNCTIONS {
        let kind = match function.kind {
            Kind::Query => "query",
            Kind::Mutation => "mutation",
            Kind::Action => "action",
        };
        let names: Vec<String> = std::iter::once(&function.name)
            .chain(function.aliases)
            .map(|name| format!("`{}:{name}`", function.module))
            .collect();
        let grant = function.grant.map_or("public".to_owned(), |grant| format!("`{grant}`"));
        page.push_str(&format!(
            "| {} | {kind} | {grant} | {} | {} | {} |\n",
            names.join(", "),
            function.takes,
            function.gives,
            function.asks
        ));
    }
    page.push_str(
        "\nA failure is HTTP 560 with `errorData: {code, message}`. The codes: `INVALID_PARAMETERS`, `NOT_SIGNED_IN`,\n\
         `MISSING_GRANTS`, `NOT_A_MEMBER`, `FORBIDDEN`, `RATE_LIMITED`, `GROUP_CONNECTION_DOMAIN_TAKEN`, `INTERNAL_ERROR`. A\n\
         function that there is not, or that is of another kind, is an error without data, as Convex has it. Times are\n\
         milliseconds. A name in an object that Convex cannot carry (it allows printable ASCII) is percent-encoded.\n",
    );
    held("convex.md", &page);
}

#[test]
fn every_method_of_grantex_stands_in_the_reference() {
    let mut page = String::from(
        "# What the Grantex SDK can call\n\n\
         `Grantex(api_key=<API key of the organization>, base_url=<authd>)`. A *developer* is an organization of authd.\n\
         [Moving from Grantex](../guides/moving-from-grantex.md) says how to begin. This page is made from the program.\n\n\
         | method | request | answer | authd |\n|---|---|---|---|\n",
    );
    for method in METHODS {
        page.push_str(&format!(
            "| `{}.{}` | `{}` | {} | {} |\n",
            method.client,
            method.name,
            method.request,
            method.answer,
            method.asks.replace('|', "\\|")
        ));
    }
    page.push_str(
        "\nAn error is `{message, code, reason, requestId}`; `reason` is one of [authd's own codes](errors.md).\n\n\
         | code | status | when |\n|---|---|---|\n\
         | `BAD_REQUEST` | 400 | malformed input or configuration; a state or RelayState that is unknown or used |\n\
         | `UNAUTHORIZED` | 401 | no API key, or one that does not hold |\n\
         | `SSO_AUTH_FAILED` | 401 | a token, an assertion, a password or a person is refused |\n\
         | `FORBIDDEN` | 403 | the key lacks a grant |\n\
         | `NOT_FOUND` | 404 | no such thing in this organization; no connection for the domain |\n\
         | `CONFLICT` | 409 | a domain that another organization has verified; an entity id that is taken |\n\
         | `RATE_LIMITED` | 429 | too many |\n\
         | `SSO_ERROR` | 502 | the identity provider or the directory cannot be reached |\n\n\
         Connections have the fields of the SDK's documentation, those included that its classes do not read: `defaultRole`,\n\
         `attributeMapping`, `metadataUrl`. Two are authd's own: `callbackUrls`, the app's addresses that a provider may answer to\n\
         (`redirectUri` in a request adds one), and `scopes`, what an OpenID provider is asked for. Status: `active`, `inactive` (disabled), `testing` (draft).\n\
         A connection is made and changed whether or not its provider answers now; `test_connection` tells. `enforce` is what the\n\
         connection says itself, else what `set_enforcement` says for all. `attributeMapping` names claims or attributes; a field that\n\
         has no name here is kept with the person. A session lasts until its `expiresAt`, used or not, unless it is revoked.\n",
    );
    held("grantex.md", &page);
}
