//! Which signatures hold, and by which key.

use authd::crypto::{base64url, from_base64url};
use aws_lc_rs::hmac;
use serde_json::json;

use super::Scene;
use crate::world::op::{Endpoint, Members, Signer, text};

/// Signs with HMAC, the secret being what everybody can read.
fn confused(alg: &str, header: &Members, claims: &Members, secret: &[u8]) -> String {
    let algorithm = match alg {
        "HS256" => hmac::HMAC_SHA256,
        "HS384" => hmac::HMAC_SHA384,
        _ => hmac::HMAC_SHA512,
    };
    let mut header = header.clone();
    header.insert("alg".into(), alg.into());
    let message = format!("{}.{}", base64url(text(&header).as_bytes()), base64url(text(claims).as_bytes()));
    let tag = hmac::sign(&hmac::Key::new(algorithm, secret), message.as_bytes());
    format!("{message}.{}", base64url(tag.as_ref()))
}

#[tokio::test]
async fn every_family_is_served() {
    let scene = Scene::new().await;
    let mut signers: Vec<Signer> =
        ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"].map(|alg| Signer::rsa(0, alg, alg)).to_vec();
    signers.extend([Signer::es256("p256"), Signer::es384("p384"), Signer::es512("p521"), Signer::ed25519("ed")]);
    scene.op.publish(signers.iter().map(Signer::jwk));
    for signer in &signers {
        scene.op.sign_with(signer);
        scene.sign_in().await.unwrap_or_else(|error| panic!("{}: {error:?}", signer.alg));
    }
    scene.op.next_token(|header, _| drop(header.insert("alg".into(), "Ed25519".into())));
    scene.sign_in().await.expect("RFC 9864 calls it so");
    // Only what the connection allows, whatever the provider announces and the key could do.
    let narrow = Scene::with(|c| c.security.algorithms = Some(vec![authd::crypto::jws::Algorithm::RS256])).await;
    narrow.refused("token_signature", "ES256 where RS256 alone is allowed").await;
    let announced = Scene::new().await;
    announced.op.discovery(|document| {
        drop(document.insert("id_token_signing_alg_values_supported".into(), json!(["RS256", "HS256"])))
    });
    announced.refused("token_signature", "ES256 where RS256 alone is announced").await;
}

#[tokio::test]
async fn oidc_04_algorithms() {
    let scene = Scene::new().await;
    let (rsa, ec) = (Signer::rsa(0, "rsa", "RS256"), Signer::es256("ec"));
    scene.op.publish([rsa.jwk(), ec.jwk()]);
    let unsigned = |name: &'static str| {
        move |mut header: Members, claims: Members| {
            header.insert("alg".into(), name.into());
            format!("{}.{}.", base64url(text(&header).as_bytes()), base64url(text(&claims).as_bytes()))
        }
    };
    for name in ["none", "None", "NONE", "nOnE"] {
        scene.op.forge(unsigned(name));
        scene.refused("token_signature", name).await;
    }
    for signer in [&rsa, &ec] {
        scene.op.sign_with(signer);
        for secret in [signer.pem().into_bytes(), signer.spki(), signer.jwk().to_string().into_bytes()] {
            for alg in ["HS256", "HS384", "HS512"] {
                let secret = secret.clone();
                scene.op.forge(move |header, claims| confused(alg, &header, &claims, &secret));
                scene.refused("token_signature", "HMAC with the public key").await;
            }
        }
    }
    let signer = ec.clone();
    scene.op.forge(move |mut header, claims| {
        header.insert("alg".into(), "RS256".into());
        signer.token(&header, &claims)
    });
    scene.refused("token_signature", "an EC key under RS256").await;
    scene.op.sign_with(&rsa);
    scene.op.next_token(|header, _| drop(header.insert("alg".into(), "PS256".into())));
    scene.refused("token_signature", "the key's own alg is RS256").await;
    scene.op.next_token(|header, _| drop(header.insert("alg".into(), "ES256".into())));
    scene.refused("token_signature", "an RSA key under ES256").await;
    scene.op.sign_with(&ec);
    for (r, s) in [(0u8, 0u8), (0, 1), (1, 0), (1, 1)] {
        scene.op.forge(move |header, claims| {
            let mut signature = [0; 64];
            (signature[31], signature[63]) = (r, s);
            format!(
                "{}.{}.{}",
                base64url(text(&header).as_bytes()),
                base64url(text(&claims).as_bytes()),
                base64url(&signature)
            )
        });
        scene.refused("token_signature", "an empty ECDSA signature").await;
    }
    for attacker in [Signer::es256("ec"), Signer::rsa(1, "rsa", "RS256")] {
        scene.op.forge(move |_, claims| {
            let mut header = attacker.header();
            header.insert("jwk".into(), attacker.jwk());
            attacker.token(&header, &claims)
        });
        scene.refused("token_signature", "a key in the token").await;
    }
    for (what, alg) in [
        ("absent", None),
        ("no text", Some(json!(1))),
        ("a list", Some(json!(["ES256"]))),
        ("lower case", Some(json!("es256"))),
    ] {
        scene.op.next_token(move |header, _| {
            match alg {
                Some(alg) => header.insert("alg".into(), alg),
                None => header.remove("alg"),
            };
        });
        scene.refused("token_signature", what).await;
    }
    scene.sign_in().await.unwrap();
}

#[tokio::test]
async fn oidc_05_kid_is_a_name_in_the_key_set() {
    let scene = Scene::new().await;
    let (first, second) = (Signer::es256("first"), Signer::es256("second"));
    let rsa = Signer::rsa(0, "rsa", "RS256");
    scene.op.sign_with(&first);
    scene.op.publish([first.jwk(), second.jwk(), rsa.jwk()]);
    for kid in ["../../dev/null", "x' OR '1'='1", "", "FIRST", "first\u{0}", &"k".repeat(1025), &"k".repeat(10_240)] {
        let kid = kid.to_owned();
        let what = kid.chars().take(20).collect::<String>();
        scene.op.next_token(move |header, _| drop(header.insert("kid".into(), kid.into())));
        scene.refused("token_key", &what).await;
    }
    for kid in [json!(1), json!(null), json!(["first"]), json!({"kid": "first"})] {
        scene.op.next_token(move |header, _| drop(header.insert("kid".into(), kid)));
        scene.refused("token_key", "no text").await;
    }
    scene.op.next_token(|header, _| drop(header.remove("kid")));
    scene.refused("token_key", "none, with two keys of its kind").await;
    scene.op.next_token(|header, _| drop(header.insert("kid".into(), "second".into())));
    scene.refused("token_signature", "the name of another key").await;
    scene.sign_in().await.unwrap();

    let lone = Scene::new().await;
    lone.op.rotate(&first.named(None));
    lone.sign_in().await.expect("none, with one key of its kind");
    let twice = Scene::new().await;
    twice.op.sign_with(&first);
    for keys in [[first.jwk(), second.named(Some("first")).jwk()], [first.jwk(), rsa.named(Some("first")).jwk()]] {
        twice.advance(31);
        twice.op.publish(keys);
        twice.refused("token_key", "two keys of one name").await;
    }
}

#[tokio::test]
async fn oidc_06_addresses_and_certificates_in_a_token_are_not_looked_at() {
    let scene = Scene::new().await;
    let honest = scene.op.signer();
    let attacker = honest.named(Some("key-1"));
    let forger = Signer::es256("key-1");
    for signer in [attacker, forger] {
        let holds = signer.jwk() == honest.jwk();
        for member in ["jku", "x5u", "x5c", "x5t", "jwk"] {
            let address = format!("{}/attacker/{member}", scene.op.issuer);
            let (signer, key) = (signer.clone(), signer.jwk());
            scene.op.forge(move |mut header, claims| {
                let value = match member {
                    "x5c" => json!([authd::crypto::base64url(b"certificate")]),
                    "jwk" => key,
                    _ => json!(address),
                };
                header.insert(member.into(), value);
                signer.token(&header, &claims)
            });
            if holds {
                scene.sign_in().await.expect("it is ignored");
            } else {
                scene.refused("token_signature", member).await;
            }
        }
    }
    let fetched: Vec<_> = scene.op.seen(Endpoint::Other).into_iter().map(|seen| seen.path).collect();
    assert_eq!(fetched, [] as [&str; 0]);
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_refused() {
    let scene = Scene::new().await;
    let forge = |what: &'static str, code: &'static str, make: fn(Signer, Members, Members) -> String| {
        let (scene, signer) = (&scene, scene.op.signer());
        scene.op.forge(move |header, claims| make(signer, header, claims));
        async move { scene.refused(code, what).await }
    };
    forge("padding", "token_signature", |s, h, c| format!("{}==", s.token(&h, &c))).await;
    forge("a space", "token_signature", |s, h, c| format!("{} ", s.token(&h, &c))).await;
    forge("a line break", "token_signature", |s, h, c| s.token(&h, &c).replacen('.', "\n.", 1)).await;
    forge("base64 of the other alphabet", "token_signature", |s, h, c| {
        s.token(&h, &c).replace('-', "+").replace('_', "/") + "+/"
    })
    .await;
    forge("four parts", "token_signature", |s, h, c| format!("{}.x", s.token(&h, &c))).await;
    forge("two parts", "token_signature", |s, h, c| s.token(&h, &c).rsplit_once('.').unwrap().0.to_owned()).await;
    forge("five parts", "token_signature", |s, h, c| format!("{}..", s.token(&h, &c))).await;
    forge("nothing", "token_signature", |_, _, _| ".".to_owned()).await;
    forge("bits behind the end", "token_signature", |s, h, c| {
        // 64 bytes leave four bits of the last letter unused.
        let mut token = s.token(&h, &c).into_bytes();
        let last = token.last_mut().unwrap();
        *last = match *last {
            b'A' => b'B',
            b'Q' => b'R',
            b'g' => b'h',
            _ => b'x',
        };
        String::from_utf8(token).unwrap()
    })
    .await;
    forge("more than 8 KiB", "token_signature", |s, h, mut c| {
        c.insert("pad".into(), "x".repeat(8192).into());
        s.token(&h, &c)
    })
    .await;
    forge("alg twice", "token_signature", |s, _, c| {
        s.token_of(r#"{"alg":"none","kid":"key-1","alg":"ES256"}"#, &text(&c))
    })
    .await;
    forge("an unencoded payload", "token_signature", |s, mut h, c| {
        h.insert("b64".into(), false.into());
        s.token(&h, &c)
    })
    .await;
    forge("sub twice", "token_claims", |s, h, c| {
        s.token_of(&text(&h), &format!(r#"{{"sub":"mallory",{}"#, &text(&c)[1..]))
    })
    .await;
    forge("a list", "token_claims", |s, h, c| s.token_of(&text(&h), &format!("[{}]", text(&c)))).await;
    forge("no JSON", "token_claims", |s, h, _| s.token_of(&text(&h), "alice")).await;
    forge("something behind it", "token_claims", |s, h, c| s.token_of(&text(&h), &format!("{}{{}}", text(&c)))).await;
    forge("endless depth", "token_claims", |s, h, c| {
        let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
        s.token_of(&text(&h), &format!(r#"{{"x":{deep},{}"#, &text(&c)[1..]))
    })
    .await;
    for typ in ["at+jwt", "application/at+jwt", "logout+jwt", "secevent+jwt", ""] {
        scene.op.next_token(move |header, _| drop(header.insert("typ".into(), typ.into())));
        scene.refused("token_claims", typ).await;
    }
    scene.op.next_token(|header, _| drop(header.insert("typ".into(), "jwt".into())));
    scene.sign_in().await.unwrap();
    scene.op.next_token(|header, _| drop(header.remove("typ")));
    scene.sign_in().await.unwrap();
}

#[tokio::test]
async fn keys_that_must_not_be_used_are_not() {
    let scene = Scene::new().await;
    let signer = Signer::rsa(0, "key", "RS256");
    scene.op.sign_with(&signer);
    type Edit = fn(&mut serde_json::Value);
    let edits: &[(&str, Edit)] = &[
        ("for encryption", |key| key["use"] = "enc".into()),
        ("for other operations", |key| key["key_ops"] = json!(["encrypt", "sign"])),
        ("operations that are no list", |key| key["key_ops"] = json!("verify")),
        ("of another algorithm", |key| key["alg"] = "RS512".into()),
        ("of an encryption algorithm", |key| key["alg"] = "RSA-OAEP".into()),
        ("of another type", |key| key["kty"] = "EC".into()),
        ("without a type", |key| drop(key.as_object_mut().unwrap().remove("kty"))),
        ("with a private half", |key| key["d"] = "AQAB".into()),
        ("too short", |key| {
            let n = from_base64url(key["n"].as_str().unwrap()).unwrap();
            key["n"] = base64url(&n[..128]).into();
        }),
        ("with exponent one", |key| key["e"] = "AQ".into()),
        ("with an even exponent", |key| key["e"] = "AQAA".into()),
        ("padded", |key| key["e"] = "AQAB=".into()),
    ];
    for (what, edit) in edits {
        scene.advance(31);
        let mut key = signer.jwk();
        edit(&mut key);
        scene.op.publish([key]);
        let code = scene.sign_in().await.expect_err(what);
        assert!(["token_key", "token_signature"].contains(&code.code()), "{what}: {code:?}");
    }
    let mut fine = signer.jwk();
    fine["key_ops"] = json!(["verify"]);
    fine["x5c"] = json!(["anything"]);
    scene.advance(31);
    scene.op.publish([json!({"kty": "oct", "k": "AAAA", "kid": "key"}), json!({"kty": "new"}), json!(7), fine]);
    scene.sign_in().await.expect("a key set with keys that cannot be used besides");
}

#[tokio::test]
async fn no_bit_of_a_token_can_change() {
    let scene = Scene::new().await;
    scene.sign_in().await.unwrap();
    let token = scene.op.last_id_token();
    let set =
        authd::crypto::jws::KeySet::parse(json!({"keys": [scene.op.signer().jwk()]}).to_string().as_bytes()).unwrap();
    let allowed = authd::crypto::jws::Algorithm::ALL;
    set.verify(&token, &allowed).unwrap();
    for place in 0..token.len() {
        for bit in 0..7 {
            let mut bytes = token.clone().into_bytes();
            bytes[place] ^= 1 << bit;
            let changed = String::from_utf8(bytes).unwrap();
            assert!(set.verify(&changed, &allowed).is_err(), "byte {place}, bit {bit}");
        }
        assert!(set.verify(&token[..place], &allowed).is_err(), "cut at {place}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_is_too_strange_for_a_token_or_a_key_set(text in ".{0,200}", bytes: Vec<u8>) {
        let allowed = authd::crypto::jws::Algorithm::ALL;
        let _ = authd::crypto::jws::KeySet::parse(&bytes).map(|set| set.verify(&text, &allowed).is_ok());
        let wrapped = format!("{}.{}.{}", base64url(text.as_bytes()), base64url(&bytes), base64url(&bytes));
        proptest::prop_assert!(authd::crypto::jws::KeySet::default().verify(&wrapped, &allowed).is_err());
    }
}
