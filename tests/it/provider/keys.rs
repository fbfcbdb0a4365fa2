//! Signing keys: published before they sign and after, and turned under the feet of nobody.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use authd::env::Timestamp;
use authd::event::EventKind;
use authd::token::{Algorithm, KeyView, ListKeys, RevokeKey, RotateKey, State, rotation};
use serde_json::{Value, json};

use super::{Client, Lab, basic, part};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
const PERIOD: Option<Duration> = Some(Duration::from_secs(90 * 24 * 3_600));

impl Lab {
    async fn keys(&self, algorithm: Algorithm) -> Vec<KeyView> {
        self.perform(ListKeys { algorithm: Some(algorithm) }).await.items
    }

    async fn key(&self, algorithm: Algorithm, state: State) -> KeyView {
        let keys = self.keys(algorithm).await;
        let mut found = keys.iter().filter(|key| key.state == state);
        let key = found.next().unwrap_or_else(|| panic!("no key is {state:?}: {keys:?}")).clone();
        assert!(found.next().is_none(), "one key is {state:?}: {keys:?}");
        key
    }

    /// As the server does it for the operator.
    async fn rotate(&self, algorithm: Option<Algorithm>, now: bool) -> bool {
        let done = self.perform(RotateKey { algorithm, now }).await;
        self.keyring.forget();
        done.signing
    }

    /// What the clock brings.
    async fn tick(&self) -> bool {
        rotation::due(&self.context(authd::access::Caller::System), PERIOD).await.unwrap()
    }

    async fn published(&self) -> Vec<Value> {
        self.get("/.well-known/jwks.json").await.body["keys"].as_array().unwrap().clone()
    }

    async fn kids(&self) -> BTreeSet<String> {
        self.published().await.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    async fn machine_of(&self, alg: &str) -> Client {
        let organization = self.organization("Machines").await;
        let wish = json!({"alg": alg, "grantTypes": ["client_credentials"], "redirectUris": [], "scopes": ["read"]});
        self.app(organization, wish).await
    }

    async fn machine_token(&self, client: &Client) -> String {
        let authorization = basic(&client.id.to_string(), client.secret.as_deref().unwrap());
        let answer = self.token(&[("grant_type", "client_credentials")], Some(&authorization)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.text("access_token").to_owned()
    }
}

fn kid(token: &str) -> String {
    part(token, 0)["kid"].as_str().unwrap().to_owned()
}

/// A verifier of another make: it keeps the key set for as long as it was told, and asks for it at no other time.
struct Verifier {
    set: Option<(jsonwebtoken::jwk::JwkSet, Timestamp, Duration)>,
}

impl Verifier {
    async fn verify(&mut self, lab: &Lab, token: &str) -> Result<(), String> {
        let stale = self.set.as_ref().is_none_or(|(_, at, kept)| lab.env().now().since(*at) >= *kept);
        if stale {
            let at = lab.env().now();
            let answer = lab.get("/.well-known/jwks.json").await;
            let age = answer.headers["cache-control"].to_str().unwrap().split("max-age=").nth(1).unwrap().to_owned();
            let kept = Duration::from_secs(age.parse().unwrap());
            self.set = Some((serde_json::from_value(answer.body).unwrap(), at, kept));
        }
        let (set, ..) = self.set.as_ref().unwrap();
        let header = jsonwebtoken::decode_header(token).map_err(|e| e.to_string())?;
        let jwk = set.find(header.kid.as_deref().unwrap()).ok_or_else(|| format!("no key {:?}", header.kid))?;
        let mut validation = jsonwebtoken::Validation::new(header.alg);
        // The clock of these tests is not that of the library.
        (validation.validate_exp, validation.validate_aud) = (false, false);
        let key = jsonwebtoken::DecodingKey::from_jwk(jwk).map_err(|e| e.to_string())?;
        jsonwebtoken::decode::<Value>(token, &key, &validation).map(drop).map_err(|e| e.to_string())
    }
}

/// What eight have seen who ask for tokens and verify each, and those before that have not ended, with a key set as old as
/// it may be.
#[derive(Default)]
struct Seen {
    verified: usize,
    kids: BTreeSet<String>,
    failed: Vec<String>,
}

async fn work(lab: Arc<Lab>, client: Client, over: Arc<AtomicBool>, verified: Arc<AtomicUsize>) -> Seen {
    let (mut seen, mut held, mut verifier) = (Seen::default(), VecDeque::new(), Verifier { set: None });
    while !over.load(Ordering::Relaxed) {
        held.push_back(lab.machine_token(&client).await);
        if held.len() > 4 {
            held.pop_front();
        }
        for token in &held {
            let verdict = verifier.verify(&lab, token).await;
            let alive = part(token, 1)["exp"].as_i64().unwrap() > lab.env().now().seconds();
            match verdict {
                Err(why) if alive => seen.failed.push(why),
                Err(_) => {}
                Ok(()) => seen.verified += 1,
            }
            seen.kids.insert(kid(token));
        }
        verified.fetch_add(1, Ordering::Relaxed);
        // Nothing here ever waits, and the clock's turn must come as well.
        tokio::task::yield_now().await;
    }
    seen
}

/// Six turns of the keys, by hand and by the clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn op_16_no_verification_fails_while_keys_turn_under_load() {
    let lab = Arc::new(Lab::new().await);
    let clients = [lab.machine_of("ES256").await, lab.machine_of("RS256").await];
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let workers: Vec<_> = (0..8)
        .map(|worker| {
            let client = clients[worker % 2].clone();
            tokio::spawn(work(Arc::clone(&lab), client, Arc::clone(&over), Arc::clone(&done)))
        })
        .collect();
    let step = async |by: Duration| {
        lab.env().advance(by);
        let goal = done.load(Ordering::Relaxed) + 24;
        while done.load(Ordering::Relaxed) < goal {
            assert!(workers.iter().all(|worker| !worker.is_finished()), "a worker gave up");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    for turn in 0..6 {
        if turn % 2 == 0 {
            // Too soon for verifiers to know the next key: it takes over when they do.
            lab.rotate(None, false).await;
            step(Duration::from_secs(200)).await;
            step(HOUR).await;
            lab.tick().await;
        } else {
            step(PERIOD.unwrap()).await;
            assert!(lab.tick().await, "the clock turns what has signed for 90 days");
        }
        step(Duration::from_secs(7)).await;
        step(Duration::from_secs(292)).await;
    }
    over.store(true, Ordering::Relaxed);
    let mut kids = BTreeSet::new();
    for worker in workers {
        let seen = worker.await.unwrap();
        assert!(seen.failed.is_empty(), "{} of {}: {:?}", seen.failed.len(), seen.verified, seen.failed.first());
        assert!(seen.verified > 50);
        kids.extend(seen.kids);
    }
    assert!(kids.len() >= 10, "both algorithms turned again and again: {kids:?}");
}

#[tokio::test]
async fn op_16_a_key_goes_through_its_states_and_each_step_is_told() {
    let lab = Lab::new().await;
    let client = lab.machine_of("ES256").await;
    lab.env().advance(Duration::from_secs(1));
    let (first, second) =
        (lab.key(Algorithm::Es256, State::Active).await, lab.key(Algorithm::Es256, State::Next).await);
    assert_eq!(lab.kids().await, BTreeSet::from([first.id.to_string(), second.id.to_string()]));
    assert_eq!(kid(&lab.machine_token(&client).await), first.id.to_string());
    assert!(!lab.tick().await, "nothing is due");

    // The first two were published together, so whoever knows the one knows the other.
    let old = lab.machine_token(&client).await;
    assert!(lab.rotate(None, false).await);
    assert_eq!(kid(&lab.machine_token(&client).await), second.id.to_string(), "from the next token on");
    let retired = lab.key(Algorithm::Es256, State::Retiring).await;
    assert_eq!((retired.id, lab.key(Algorithm::Es256, State::Active).await.id), (first.id, second.id));
    let third = lab.key(Algorithm::Es256, State::Next).await;
    assert!(third.id != second.id && lab.kids().await.len() == 3);
    assert!(Verifier { set: None }.verify(&lab, &old).await.is_ok());

    // The third is not known everywhere yet.
    assert!(!lab.rotate(None, false).await);
    assert!(!lab.rotate(None, false).await, "asking twice changes nothing");
    assert_eq!(lab.key(Algorithm::Es256, State::Next).await.activates_at, Some(third.created_at + HOUR));
    lab.env().advance(HOUR - Duration::from_secs(1));
    assert!(!lab.tick().await);
    assert_eq!(kid(&lab.machine_token(&client).await), second.id.to_string());
    lab.env().advance(Duration::from_secs(1));
    assert!(lab.tick().await);
    lab.env().advance(Duration::from_secs(6));
    assert_eq!(kid(&lab.machine_token(&client).await), third.id.to_string());

    // The longest token that the first can have signed lives for a day.
    let gone = lab.keys(Algorithm::Es256).await.iter().filter_map(|key| key.published_until).min().unwrap();
    assert!(gone >= retired.retired_at.unwrap() + DAY);
    lab.env().advance(gone.since(lab.env().now()) - Duration::from_secs(1));
    assert!(!lab.tick().await && lab.kids().await.contains(&first.id.to_string()));
    lab.env().advance(Duration::from_secs(1));
    assert!(lab.tick().await);
    lab.env().advance(Duration::from_secs(6));
    assert!(!lab.kids().await.contains(&first.id.to_string()));

    for (kind, count) in [
        (EventKind::SigningKeyCreated, 4),
        (EventKind::SigningKeyScheduled, 1),
        (EventKind::SigningKeyActivated, 2),
        (EventKind::SigningKeyRetired, 2),
        (EventKind::SigningKeyRemoved, 1),
    ] {
        assert_eq!(lab.count(kind).await, count, "{kind}");
    }
}

#[tokio::test]
async fn op_16_the_clock_turns_keys_after_ninety_days_and_not_where_it_is_told_not_to() {
    let lab = Lab::new().await;
    let first = lab.key(Algorithm::Es256, State::Active).await.id;
    lab.env().advance(PERIOD.unwrap() - Duration::from_secs(1));
    assert!(!lab.tick().await);
    lab.env().advance(Duration::from_secs(1));
    let never = rotation::due(&lab.context(authd::access::Caller::System), None).await.unwrap();
    assert!(!never && lab.key(Algorithm::Es256, State::Active).await.id == first);
    assert!(lab.tick().await);
    assert_ne!(lab.key(Algorithm::Es256, State::Active).await.id, first);
    assert!(!lab.tick().await, "once");
}

#[tokio::test]
async fn op_16_a_key_that_is_taken_away_verifies_nothing_from_then_on() {
    for state in [State::Active, State::Next, State::Retiring] {
        let lab = Lab::new().await;
        let (client, session) = lab.scene().await;
        if state == State::Retiring {
            lab.rotate(None, false).await;
        }
        let key = lab.key(Algorithm::Es256, state).await;
        let access = lab.tokens(&client, &session).await.text("access_token").to_owned();
        let signed_by_it = kid(&access) == key.id.to_string();
        assert_eq!(signed_by_it, state == State::Active);
        lab.perform(RevokeKey { id: key.id }).await;
        lab.keyring.forget();
        assert!(!lab.kids().await.contains(&key.id.to_string()), "{state:?}");
        assert_eq!(lab.userinfo(&access).await.status, if signed_by_it { 401 } else { 200 }, "{state:?}");
        let fresh = lab.tokens(&client, &session).await.text("access_token").to_owned();
        assert_eq!(lab.userinfo(&fresh).await.status, 200);
        assert!(lab.kids().await.contains(&kid(&fresh)));
        lab.tick().await;
        assert_eq!(lab.key(Algorithm::Es256, State::Next).await.state, State::Next, "there is a next one again");
        assert_eq!(lab.count(EventKind::SigningKeyRevoked).await, 1);
    }
}

#[tokio::test]
async fn op_16_in_haste_the_next_key_signs_though_nobody_may_know_it() {
    let lab = Lab::new().await;
    let client = lab.machine_of("RS256").await;
    for _ in 0..3 {
        let next = lab.key(Algorithm::Rs256, State::Next).await.id.to_string();
        assert!(lab.rotate(Some(Algorithm::Rs256), true).await);
        assert_eq!(kid(&lab.machine_token(&client).await), next);
    }
    assert_eq!(lab.keys(Algorithm::Rs256).await.len(), 5, "three retiring, one active, one next");
    assert_eq!(lab.keys(Algorithm::Es256).await.len(), 2, "the others were left alone");
}

#[tokio::test]
async fn jwt_04_no_key_of_the_set_has_a_private_member_whatever_its_state() {
    let lab = Lab::new().await;
    lab.machine_of("RS256").await;
    for _ in 0..2 {
        lab.rotate(None, true).await;
    }
    let keys = lab.published().await;
    assert_eq!(keys.len(), 8);
    assert_eq!(lab.kids().await.len(), 8, "each has a name of its own");
    for key in &keys {
        let members: BTreeSet<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        let expected: &[&str] = match key["kty"].as_str().unwrap() {
            "EC" => &["kty", "crv", "x", "y", "use", "alg", "kid"],
            _ => &["kty", "n", "e", "use", "alg", "kid"],
        };
        assert_eq!(members, expected.iter().copied().collect());
    }
    // Nor does the log, nor what the operator is shown.
    let shown = serde_json::to_string(&lab.keys(Algorithm::Rs256).await).unwrap();
    let told = serde_json::to_string(&lab.events().await).unwrap();
    for text in [shown, told] {
        assert!(!text.contains("private") && !text.contains("PRIVATE"));
    }
}
