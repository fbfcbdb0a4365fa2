//! Every page with sample texts: ordinary, hostile, or without its optional parts.

use authd::env::Timestamp;
use authd::http::page::*;

/// The texts that differ between the samples of a page.
pub struct Text {
    /// Stands in every field that is text or a value.
    pub any: Box<dyn Fn(&str) -> String>,
    /// Stands in every address.
    pub href: Box<dyn Fn(&str) -> String>,
}

impl Text {
    pub fn ordinary() -> Self {
        Self { any: Box::new(str::to_owned), href: Box::new(str::to_owned) }
    }

    pub fn hostile(payload: &str) -> Self {
        let (any, href) = (payload.to_owned(), payload.to_owned());
        Self { any: Box::new(move |_| any.clone()), href: Box::new(move |_| href.clone()) }
    }

    pub fn t(&self, ordinary: &str) -> String {
        (self.any)(ordinary)
    }

    pub fn some(&self, ordinary: &str) -> Option<String> {
        Some(self.t(ordinary))
    }

    pub fn h(&self, ordinary: &str) -> String {
        (self.href)(ordinary)
    }
}

const TOKEN: &str = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFUzI1NiIsImtpZCI6InNrXzAxIn0.\
    eyJpc3MiOiJodHRwOi8vMTI3LjAuMC4xOjgwODAiLCJzdWIiOiIwMWswIiwiYXVkIjoiYXBwXzAxIiwiZW1haWwiOiJhZGFAYWNtZS5leGFtcGxlIn0.\
    c2lnbmF0dXJlLW9mLXRoZS10b2tlbi1zaXh0eS1mb3VyLWJ5dGVzLWxvbmctYXMtZXMyNTYtaXM";

/// Every page with every optional part. Written without `..Default::default()`, so that a new field stands here too.
pub fn full(x: &Text) -> Vec<(&'static str, String)> {
    let request = || x.t("req_01kav5v6q8f3h2m9c7x4t1n0ze");
    let notice =
        || Notice { message: x.t("That is not an e-mail address."), help: x.some("It has the form name@company.com.") };
    let choice = |value: &str, label: &str, organization: &str| Choice {
        value: x.t(value),
        label: x.t(label),
        organization: x.t(organization),
    };
    let person = |name: &str, email: &str, groups: &[&str], note: &str| Person {
        value: x.t(email),
        name: x.t(name),
        email: x.t(email),
        groups: groups.iter().map(|group| x.t(group)).collect(),
        note: x.t(note),
    };
    let fault = |id: &str, label: &str, explanation: &str, selected: bool| Fault {
        id: x.t(id),
        label: x.t(label),
        explanation: x.t(explanation),
        selected,
    };
    let claim =
        |name: &str, value: &str, meaning: &str| Claim { name: x.t(name), value: x.t(value), meaning: x.t(meaning) };
    let check = |name: &str, ok: bool, detail: &str| Check { name: x.t(name), ok, detail: x.t(detail) };
    let moment = |minutes: i64| Timestamp::from_seconds(1_763_724_840 + 60 * minutes);
    let session = |id: &str, here: bool| AccountSession {
        id: x.t(id),
        here,
        browser: x.some("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        ip: x.some("192.0.2.17"),
        connection: x.some("Okta"),
        since: moment(0),
        last_used: moment(42),
        apps: vec![x.t("Orchard Notes"), x.t("Wiki")],
    };
    let app = |id: &str, offline: bool| AccountApp {
        id: x.t(id),
        name: x.t("Orchard Notes"),
        offline,
        since: moment(1),
        until: moment(16),
        scope: vec![x.t("openid"), x.t("email"), x.t("offline_access")],
    };
    let confirm = |elsewhere: bool| DeviceConfirm {
        action: x.h("/device/confirm"),
        attempt: x.t("at_01"),
        app_name: x.t("Orchard TV"),
        device: x.some("OrchardTV/2.1"),
        ip: x.some("198.51.100.4"),
        elsewhere,
        asked_at: moment(0),
        scope: vec![x.t("openid"), x.t("email"), x.t("orchard:read")],
        email: x.t("ada@acme.example"),
        organization: x.t("Acme Corporation"),
        request_id: request(),
    };
    let people = |selected: bool| People {
        provider_name: x.t("Acme test provider"),
        client: x.t("authd-demo"),
        action: x.h("/simulator/signin"),
        hidden: vec![Hidden { name: x.t("request"), value: x.t("simreq_1") }],
        people: vec![
            person("Ada Lovelace", "ada@acme.example", &["engineering", "admins"], ""),
            person("Grace Hopper", "grace@acme.example", &["engineering"], ""),
            person(
                "Mallory Outside",
                "mallory@elsewhere.example",
                &[],
                "Her address is of a domain that Acme does not own",
            ),
            person("Noor Unverified", "noor@acme.example", &["sales"], "The provider has not verified this address"),
        ],
        faults: vec![
            fault(
                "clock_skew",
                "Clock ten minutes ahead",
                "The token is issued in the future; it is not valid yet.",
                false,
            ),
            fault(
                "rotated_key",
                "Rotated key",
                "Signs with a key that its key set does not have yet; one refetch finds it.",
                false,
            ),
            fault(
                "wrong_audience",
                "Wrong audience",
                "The token is made for another client; it must be refused.",
                selected,
            ),
            fault("bad_nonce", "Wrong nonce", "The token belongs to another sign-in; it must be refused.", false),
        ],
        request_id: request(),
    };

    vec![
        (
            "sign_in",
            SignIn {
                action: x.h("/signin/identify"),
                attempt: x.t("at_01"),
                app_name: x.some("Orchard Notes"),
                email: x.t(""),
                error: None,
                request_id: request(),
            }
            .render(),
        ),
        (
            "sign_in_error",
            SignIn {
                action: x.h("/signin/identify"),
                attempt: x.t("at_01"),
                app_name: x.some("Orchard Notes"),
                email: x.t("ada@acme"),
                error: Some(notice()),
                request_id: request(),
            }
            .render(),
        ),
        (
            "choose_connection",
            ChooseConnection {
                action: x.h("/signin/choose"),
                attempt: x.t("at_01"),
                app_name: x.some("Orchard Notes"),
                email: x.t("ada@acme.example"),
                items: vec![
                    choice("conn_1", "Okta", "Acme Corporation"),
                    choice("conn_2", "Google Workspace", "Acme Labs"),
                    choice("conn_3", "Entra ID", "Babbage & Daughters"),
                ],
                back_href: Some(x.h("/signin?attempt=at_01")),
                request_id: request(),
            }
            .render(),
        ),
        (
            "no_connection",
            NoConnection {
                domain: x.t("gmail.com"),
                app_name: x.some("Orchard Notes"),
                retry_href: x.h("/signin?attempt=at_01"),
                request_id: request(),
            }
            .render(),
        ),
        (
            "failure",
            Failure {
                title: x.t(Failure::REFUSED_TITLE),
                message: x.t(Failure::REFUSED_MESSAGE),
                help: x.some(Failure::REFUSED_HELP),
                code: x.t("nonce_mismatch"),
                request_id: request(),
                retry_href: Some(x.h("https://app.example/login")),
                app_name: x.some("Orchard Notes"),
            }
            .render(),
        ),
        (
            "signed_out",
            SignedOut {
                app_name: x.some("Orchard Notes"),
                return_href: Some(x.h("https://app.example/")),
                sign_in_href: Some(x.h("/signin")),
                frames: vec![x.h("https://app.example/out?sid=ses_1"), x.h("https://wiki.example/out?sid=ses_1")],
                request_id: request(),
            }
            .render(),
        ),
        (
            "confirm_sign_out",
            ConfirmSignOut {
                action: x.h("/oauth2/logout/confirm"),
                attempt: x.t("at_01"),
                app_name: x.some("Orchard Notes"),
                email: x.t("ada@acme.example"),
                organization: x.t("Acme Corporation"),
                stay_href: x.h("/signin"),
                request_id: request(),
            }
            .render(),
        ),
        (
            "break_glass",
            BreakGlassConfirm {
                action: x.h("/signin/break-glass"),
                attempt: x.t("at_01"),
                name: x.t("Ada Lovelace"),
                email: x.t("ada@acme.example"),
                organization: x.t("Acme Corporation"),
                reason: x.t("The identity provider is down"),
                until: Timestamp::from_seconds(1_763_753_640),
                minutes: 60,
                request_id: request(),
            }
            .render(),
        ),
        (
            "device_enter",
            DeviceEnter {
                action: x.h("/device"),
                user_code: x.t("BCDF-GHJK"),
                error: None,
                request_id: request(),
            }
            .render(),
        ),
        (
            "device_enter_error",
            DeviceEnter {
                action: x.h("/device"),
                user_code: x.t("BCDF-GHJ"),
                error: Some(notice()),
                request_id: request(),
            }
            .render(),
        ),
        ("device_confirm", confirm(true).render()),
        ("device_confirm_here", confirm(false).render()),
        (
            "device_done",
            DeviceDone { app_name: x.t("Orchard TV"), allowed: true, request_id: request() }.render(),
        ),
        (
            "device_refused",
            DeviceDone { app_name: x.t("Orchard TV"), allowed: false, request_id: request() }.render(),
        ),
        (
            "account",
            Account {
                name: x.t("Ada Lovelace"),
                email: x.t("ada@acme.example"),
                organization: x.t("Acme Corporation"),
                connection: x.some("Okta"),
                since: Timestamp::from_seconds(1_763_724_840),
                until: Some(Timestamp::from_seconds(1_763_753_640)),
                sessions: vec![session("ses_1", true), session("ses_2", false)],
                others: true,
                apps: vec![app("app_1", true), app("app_2", false)],
                consents: vec![AccountConsent {
                    id: x.t("app_1"),
                    name: x.t("Orchard Notes"),
                    scope: vec![x.t("openid"), x.t("email")],
                    since: moment(1),
                    updated: moment(16),
                }],
                sign_out_action: x.h("/signin/out"),
                end_session_action: x.h("/signin/sessions/end"),
                end_others_action: x.h("/signin/sessions/end-others"),
                end_app_action: x.h("/signin/apps/end"),
                end_consent_action: x.h("/signin/consents/end"),
                request_id: request(),
            }
            .render(),
        ),
        (
            "consent",
            ConsentPage {
                action: x.h("/signin/consent"),
                attempt: x.t("at_01"),
                app_name: x.t("Orchard Notes"),
                third_party: true,
                returns_to: x.t("notes.orchard.example"),
                name: x.t("Ada Lovelace"),
                email: x.t("ada@acme.example"),
                organization: x.t("Acme Corporation"),
                items: vec![
                    AskedFor { title: x.t("Recognize you"), note: x.t("by an identifier that stays the same.") },
                    AskedFor { title: x.t("See your e-mail address"), note: x.t("") },
                    AskedFor { title: x.t("Act for you:"), note: x.t("notes.write") },
                ],
                another_href: Some(x.h("/oauth2/authorize?prompt=select_account")),
                request_id: request(),
            }
            .render(),
        ),
        (
            "form_post",
            FormPost {
                action: x.h("https://notes.orchard.example/callback"),
                fields: vec![("code".into(), x.t("ac_01")), ("state".into(), x.t("af0ifjsldkj"))],
                request_id: request(),
            }
            .render(),
        ),
        (
            "root",
            Root {
                issuer: x.t("https://login.acme.example"),
                links: Root::new("")
                    .links
                    .iter()
                    .map(|link| Link { label: x.t(&link.label), href: x.h(&link.href), note: x.t(&link.note) })
                    .collect(),
            }
            .render(),
        ),
        ("people", people(false).render()),
        ("people_fault", people(true).render()),
        (
            "demo_home",
            DemoHome {
                app_name: x.t("Orchard Notes"),
                organization: x.t("Acme Corporation"),
                try_email: x.t("ada@acme.example"),
                sign_in_href: x.h("/demo/signin"),
                error: None,
            }
            .render(),
        ),
        (
            "demo_home_error",
            DemoHome {
                app_name: x.t("Orchard Notes"),
                organization: x.t("Acme Corporation"),
                try_email: x.t("ada@acme.example"),
                sign_in_href: x.h("/demo/signin"),
                error: Some(Notice {
                    message: x.t("The sign-in was refused (access_denied)."),
                    help: x.some("authd explain req_01kav5v6q8f3h2m9c7x4t1n0ze"),
                }),
            }
            .render(),
        ),
        (
            "demo_token",
            DemoToken {
                app_name: x.t("Orchard Notes"),
                name: x.t("Ada Lovelace"),
                email: x.t("ada@acme.example"),
                checks: vec![
                    check("Signature", true, "ES256, key sk_01kav5 of /oauth2/jwks"),
                    check("Issuer", true, "http://127.0.0.1:8080"),
                    check("Audience", true, "app_01kav5v6q8f3h2m9c7x4t1n0ze"),
                    check("Time", true, "issued 2 s ago, valid for 58 min"),
                    check("Nonce", true, "the one this browser was given"),
                ],
                claims: vec![
                    claim("iss", "http://127.0.0.1:8080", "Who made the token"),
                    claim("sub", "u_01kav5v6q8f3h2m9c7x4t1n0ze", "The person, the same at every sign-in"),
                    claim("aud", "app_01kav5v6q8f3h2m9c7x4t1n0ze", "The one app that may use it"),
                    claim("org_id", "org_01kav5v6q8f3h2m9c7x4t1n0ze", "The organization of this session"),
                    claim("email", "ada@acme.example", "The person’s address"),
                    claim("groups", "[\"engineering\",\"admins\"]", "Groups the provider told"),
                    claim("exp", "1763728440", "Not valid after 21 November 2025, 12:34 UTC"),
                ],
                header_json: x.t("{\n  \"typ\": \"JWT\",\n  \"alg\": \"ES256\",\n  \"kid\": \"sk_01kav5\"\n}"),
                payload_json: x.t(
                    "{\n  \"iss\": \"http://127.0.0.1:8080\",\n  \"sub\": \"u_01kav5v6q8f3h2m9c7x4t1n0ze\",\n  \"email\": \"ada@acme.example\",\n  \"groups\": [\"engineering\", \"admins\"]\n}",
                ),
                token: x.t(TOKEN),
                again_href: x.h("/demo/signin"),
                sign_out_href: Some(x.h("/demo/signout")),
            }
            .render(),
        ),
        (
            "demo_token_bad",
            DemoToken {
                app_name: x.t("Orchard Notes"),
                name: x.t("Ada Lovelace"),
                email: x.t("ada@acme.example"),
                checks: vec![check("Signature", true, "ES256"), check("Audience", false, "expected app_1, received app_2")],
                claims: vec![claim("aud", "app_2", "The one app that may use it")],
                header_json: x.t("{}"),
                payload_json: x.t("{}"),
                token: x.t(TOKEN),
                again_href: x.h("/demo/signin"),
                sign_out_href: Some(x.h("/demo/signout")),
            }
            .render(),
        ),
    ]
}

/// Every page without its optional parts.
pub fn bare() -> Vec<(&'static str, String)> {
    let moment = Timestamp::from_seconds(1_763_724_840);
    let account = Account {
        name: String::new(),
        email: "ada@acme.example".into(),
        organization: "Acme".into(),
        connection: None,
        since: moment,
        until: None,
        sessions: Vec::new(),
        others: false,
        apps: Vec::new(),
        consents: Vec::new(),
        sign_out_action: "/signin/out".into(),
        end_session_action: "/signin/sessions/end".into(),
        end_others_action: "/signin/sessions/end-others".into(),
        end_app_action: "/signin/apps/end".into(),
        end_consent_action: "/signin/consents/end".into(),
        request_id: String::new(),
    };
    let device = DeviceConfirm {
        action: "/device/confirm".into(),
        attempt: String::new(),
        app_name: "TV".into(),
        device: None,
        ip: None,
        elsewhere: false,
        asked_at: moment,
        scope: Vec::new(),
        email: "ada@acme.example".into(),
        organization: "Acme".into(),
        request_id: String::new(),
    };
    vec![
        ("sign_in", SignIn { action: "/signin".into(), ..SignIn::default() }.render()),
        ("choose_connection", ChooseConnection { action: "/signin".into(), ..ChooseConnection::default() }.render()),
        (
            "no_connection",
            NoConnection { domain: "gmail.com".into(), retry_href: "/signin".into(), ..NoConnection::default() }
                .render(),
        ),
        (
            "failure",
            Failure {
                title: "There is nothing here".into(),
                message: "There is no such page.".into(),
                code: "not_found".into(),
                request_id: "req_1".into(),
                ..Failure::default()
            }
            .render(),
        ),
        ("signed_out", SignedOut::default().render()),
        ("account", account.render()),
        ("device_enter", DeviceEnter { action: "/device".into(), ..DeviceEnter::default() }.render()),
        ("device_confirm", device.render()),
        ("device_done", DeviceDone::default().render()),
        (
            "confirm_sign_out",
            ConfirmSignOut { action: "/x".into(), stay_href: "/signin".into(), ..ConfirmSignOut::default() }.render(),
        ),
        ("consent", ConsentPage { action: "/signin/consent".into(), ..ConsentPage::default() }.render()),
        ("form_post", FormPost { action: "https://app.example".into(), ..FormPost::default() }.render()),
        ("root", Root::new("https://login.acme.example").render()),
        ("people", People { action: "/x".into(), ..People::default() }.render()),
        ("demo_home", DemoHome { sign_in_href: "/demo".into(), ..DemoHome::default() }.render()),
        ("demo_token", DemoToken::default().render()),
    ]
}
