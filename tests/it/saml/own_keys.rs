//! Who authd is to a provider: keys that people bring, a change of keys without a gap, addresses and names of their own.

use authd::connection::saml;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::flow::encrypted;
use super::scene::{Scene, attribute, inflated, pem};
use crate::world::saml::{Idp, Key, metadata};

/// The certificates in the connection's own metadata: for signing, and for encryption.
async fn published(scene: &Scene) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let page = scene.authd.browser().get(&scene.path("metadata")).await;
    let of = |usage: &str| {
        let mark = format!("use=\"{usage}\"");
        let parts = page.body.split(&mark).skip(1);
        parts
            .map(|part| {
                let at = part.find("X509Certificate>").unwrap() + "X509Certificate>".len();
                STANDARD.decode(&part[at..at + part[at..].find('<').unwrap()]).unwrap()
            })
            .collect()
    };
    (of("signing"), of("encryption"))
}

/// Whether an assertion that is encrypted to that certificate is opened.
async fn opens(scene: &mut Scene, certificate: &[u8]) -> bool {
    let relay = scene.leave(&mut scene.authd.browser()).await;
    let xml = encrypted(&scene.idp, "ada@corp.example", certificate);
    let reply = scene.post(&xml, Some(&relay)).await;
    assert!(reply.status == StatusCode::SEE_OTHER || reply.body.contains("saml_decrypt"), "{}", reply.body);
    reply.status == StatusCode::SEE_OTHER
}

/// Who signs requests: the certificate of those that is right.
async fn signer<'a>(scene: &Scene, certificates: &'a [Vec<u8>]) -> Option<&'a Vec<u8>> {
    let left = scene.authd.browser().get(&scene.authorize()).await;
    let at = left.location();
    let query: Vec<&str> = at.query().unwrap().split('&').filter(|pair| !pair.starts_with("tenant=")).collect();
    let (signed, signature) = (query[..3].join("&"), left.query("Signature").unwrap());
    let signature = STANDARD.decode(signature).unwrap();
    certificates.iter().find(|der| {
        use x509_parser::prelude::FromDer as _;
        let (_, read) = x509_parser::prelude::X509Certificate::from_der(der).unwrap();
        let key = read.public_key().subject_public_key.data.to_vec();
        let by = |algorithm: &'static dyn aws_lc_rs::signature::VerificationAlgorithm| {
            aws_lc_rs::signature::UnparsedPublicKey::new(algorithm, &key).verify(signed.as_bytes(), &signature).is_ok()
        };
        by(&aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256) || by(&aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED)
    })
}

async fn set(scene: &Scene, service: Value) -> Value {
    scene.authd.operate("connection.set_saml", json!({"id": scene.connection, "serviceProvider": service})).await
}

#[tokio::test]
async fn a_key_of_ones_own_signs_and_the_one_before_still_opens() {
    let mut scene = Scene::with(json!({"request": {"signAuthnRequests": true}})).await;
    let (made, _) = published(&scene).await;
    let own = Key::rsa();
    let view = set(&scene, json!({"signingCert": pem(&own.certificate), "privateKey": own.pem()})).await;
    assert_eq!(
        view["serviceProvider"]["certificate"].as_str().unwrap().replace('\n', ""),
        pem(&own.certificate).replace('\n', "")
    );
    assert!(!view.to_string().contains("PRIVATE"), "{view}");
    let (signing, encryption) = published(&scene).await;
    assert_eq!((&signing[0], &signing[1]), (&own.certificate, &made[0]));
    assert_eq!(signing, encryption);
    assert_eq!(signer(&scene, &signing).await, Some(&own.certificate));
    assert!(opens(&mut scene, &own.certificate).await && opens(&mut scene, &made[0]).await);
    assert!(!opens(&mut scene, &Key::rsa().certificate).await);
    // The same once more changes nothing.
    set(&scene, json!({"signingCert": pem(&own.certificate), "privateKey": own.pem()})).await;
    assert_eq!(published(&scene).await.0, signing);
    // Forgotten, it opens no more.
    scene.authd.operate("connection.rotate_saml_key", json!({"id": scene.connection, "step": "retire"})).await;
    assert_eq!(published(&scene).await, (vec![own.certificate.clone()], vec![own.certificate.clone()]));
    assert!(opens(&mut scene, &own.certificate).await && !opens(&mut scene, &made[0]).await);
    let events = serde_json::to_string(&scene.authd.events().await).unwrap();
    assert!(!events.contains("PRIVATE KEY"), "a secret in the log");
}

#[tokio::test]
async fn a_key_and_its_certificate_belong_together() {
    let scene = Scene::new().await;
    let (one, two, curve) = (Key::rsa(), Key::rsa(), Key::p256());
    let before = published(&scene).await;
    for service in [
        json!({"signingCert": pem(&one.certificate), "privateKey": two.pem()}),
        json!({"signingCert": pem(&one.certificate), "privateKey": curve.pem()}),
        json!({"signingCert": pem(&one.certificate)}),
        json!({"privateKey": one.pem()}),
        json!({"signingCert": "no certificate", "privateKey": one.pem()}),
        json!({"signingCert": pem(&one.certificate), "privateKey": "no key"}),
        json!({"signingCert": pem(&crate::world::saml::weak_certificate()), "privateKey": one.pem()}),
        json!({"encryptCert": pem(&one.certificate), "encryptPrivateKey": two.pem()}),
        json!({"encryptCert": pem(&one.certificate)}),
        json!({"encryptPrivateKey": one.pem()}),
        // Nothing can be encrypted to it.
        json!({"encryptCert": pem(&curve.certificate), "encryptPrivateKey": curve.pem()}),
        json!({"acsUrl": "javascript:alert(1)"}),
        json!({"acsUrl": "http://app.example/acs"}),
        json!({"acsUrl": "https://u:p@app.example/acs"}),
        json!({"sloUrl": "//app.example"}),
    ] {
        let wish = json!({"id": scene.connection, "serviceProvider": service});
        assert_eq!(scene.refused("connection.set_saml", wish).await, "invalid_input", "{service}");
    }
    assert_eq!(published(&scene).await, before);
}

#[tokio::test]
async fn a_key_that_only_signs_and_another_that_only_opens() {
    let mut scene = Scene::with(json!({"request": {"signAuthnRequests": true}})).await;
    let (made, _) = published(&scene).await;
    let (signs, opens_) = (Key::p256(), Key::rsa());
    set(&scene, json!({"signingCert": pem(&signs.certificate), "privateKey": signs.pem()})).await;
    let (signing, encryption) = published(&scene).await;
    assert_eq!((&signing[0], &encryption), (&signs.certificate, &made), "nothing can be encrypted to ECDSA");
    assert_eq!(signer(&scene, &signing).await, Some(&signs.certificate));
    let landed = scene.sign_in(&mut scene.authd.browser(), "ada@corp.example").await;
    assert!(landed.query("code").is_some(), "{landed:?}");
    set(&scene, json!({"encryptCert": pem(&opens_.certificate), "encryptPrivateKey": opens_.pem()})).await;
    assert_eq!(published(&scene).await.1, [opens_.certificate.clone(), made[0].clone()]);
    assert!(opens(&mut scene, &opens_.certificate).await && opens(&mut scene, &made[0]).await);
}

#[tokio::test]
async fn a_key_changes_in_three_steps_without_a_gap() {
    let mut scene = Scene::with(json!({"request": {"signAuthnRequests": true}})).await;
    let (old, _) = published(&scene).await;
    let rotate = |step: &str| json!({"id": scene.connection, "step": step});
    assert_eq!(scene.refused("connection.rotate_saml_key", rotate("activate")).await, "invalid_input");
    let steps = [rotate("prepare"), rotate("activate"), rotate("retire")];
    scene.authd.operate("connection.rotate_saml_key", steps[0].clone()).await;
    assert_eq!(scene.refused("connection.rotate_saml_key", steps[0].clone()).await, "invalid_input");
    let (both, _) = published(&scene).await;
    assert_eq!((both.len(), &both[0]), (2, &old[0]));
    assert_eq!(signer(&scene, &both).await, Some(&old[0]), "the provider does not know the new one yet");
    assert!(opens(&mut scene, &both[0]).await && opens(&mut scene, &both[1]).await);
    scene.authd.operate("connection.rotate_saml_key", steps[1].clone()).await;
    let (turned, _) = published(&scene).await;
    assert_eq!((&turned[0], &turned[1]), (&both[1], &old[0]));
    assert_eq!(signer(&scene, &both).await, Some(&both[1]));
    assert!(opens(&mut scene, &both[0]).await && opens(&mut scene, &both[1]).await);
    scene.authd.operate("connection.rotate_saml_key", steps[2].clone()).await;
    assert_eq!(published(&scene).await.0, [both[1].clone()]);
    assert!(!opens(&mut scene, &old[0]).await && opens(&mut scene, &both[1]).await);
    assert_eq!(scene.told("connection.saml.key_rotated").await.len(), 3);
}

#[tokio::test]
async fn an_address_of_the_apps_own_is_where_answers_have_to_be_for() {
    let acs = "https://app.example/sso/acs";
    let idp = Idp::new();
    let xml = metadata(&idp, false);
    let mut scene = Scene::made(idp, json!({"metadataXml": xml, "spAcsUrl": acs})).await;
    assert_eq!(scene.idp.acs_url, acs);
    let left = scene.authd.browser().get(&scene.authorize()).await;
    let request = inflated(&left.query("SAMLRequest").unwrap());
    assert_eq!(attribute(&request, "AssertionConsumerServiceURL"), acs);
    let landed = scene.sign_in(&mut scene.authd.browser(), "ada@corp.example").await;
    assert!(landed.query("code").is_some(), "{landed:?}");
    let relay = scene.leave(&mut scene.authd.browser()).await;
    let (ours, public) = (scene.idp.acs_url.clone(), crate::world::authd::PUBLIC_URL);
    scene.idp.acs_url = format!("{public}{}", scene.path("acs"));
    let here = scene.post(&scene.idp.answer("ada@corp.example").xml(), Some(&relay)).await;
    assert!(here.body.contains("saml_recipient"), "{}", here.body);
    let shown = scene.authd.operate("connection.get", json!({"id": scene.connection})).await;
    assert_eq!((&shown["callbackUrl"], &shown["saml"]["serviceProvider"]["acsUrl"]), (&json!(ours), &json!(ours)));
}

#[tokio::test]
async fn an_entity_id_of_ours_belongs_to_one_organization_and_to_one_connection_of_each_provider() {
    let scene = Scene::with(json!({"serviceProvider": {"entityId": "https://sp.example/one"}})).await;
    let other = scene.authd.operate("organization.create", json!({"name": "Other"})).await["id"].clone();
    let wish = |organization: &Value, idp: &Idp| {
        json!({"organization": organization, "protocol": "saml", "name": "Two", "spEntityId": "https://sp.example/one",
            "metadataXml": metadata(idp, false)})
    };
    let (same, another) = (&scene.idp, Idp::new());
    assert_eq!(scene.refused("connection.create", wish(&other, &another)).await, "taken");
    assert_eq!(scene.refused("connection.create", wish(&other, same)).await, "taken");
    assert_eq!(scene.refused("connection.create", wish(&json!(scene.organization), same)).await, "taken");
    scene.authd.operate("connection.create", wish(&json!(scene.organization), &another)).await;
    // A deleted connection keeps it from nobody; it comes back if nobody has taken it.
    let (gone, id) = (&*scene.connection, |id: &str| json!({"id": id}));
    scene.authd.operate("connection.delete", id(gone)).await;
    let again = scene.authd.operate("connection.create", wish(&json!(scene.organization), same)).await;
    assert_eq!(scene.refused("connection.restore", id(gone)).await, "taken");
    scene.authd.operate("connection.delete", id(again["id"].as_str().unwrap())).await;
    scene.authd.operate("connection.restore", id(gone)).await;
    // An id that is given is the one in every address.
    let id = "conn_01jgg5d400e2mv1n3x7p9q5r8s";
    let mut own = wish(&other, same);
    own["id"] = json!(id);
    own.as_object_mut().unwrap().remove("spEntityId");
    let made = scene.authd.operate("connection.create", own.clone()).await;
    assert_eq!(made["id"], id);
    assert!(made["saml"]["serviceProvider"]["acsUrl"].as_str().unwrap().contains(id), "{made}");
    assert_eq!(scene.refused("connection.create", own).await, "taken");
}

#[tokio::test]
async fn a_new_master_key_seals_every_key_of_a_connection_anew() {
    let scene = Scene::new().await;
    let (signs, opens_) = (Key::p256(), Key::rsa());
    set(
        &scene,
        json!({"signingCert": pem(&signs.certificate), "privateKey": signs.pem(),
            "encryptCert": pem(&opens_.certificate), "encryptPrivateKey": opens_.pem()}),
    )
    .await;
    scene.authd.operate("connection.rotate_saml_key", json!({"id": scene.connection, "step": "prepare"})).await;
    let id = scene.connection.parse().unwrap();
    let mut connection = authd::connection::Connection::load(&scene.authd.app.world.store, id).await.unwrap().value;
    let env = scene.authd.env();
    let old = &scene.authd.app.world.deployment.master_key;
    let place = saml::key_place(id);
    let config = connection.saml.as_mut().unwrap();
    let count = |service: &saml::Service| {
        1 + service.earlier.len() + service.encryption.iter().count() + service.next.iter().count()
    };
    assert_eq!(count(&config.service), 4);
    // Sealed under the same key, nothing has to be done.
    assert!(!config.service.reseal(env, old, id).unwrap());
    let all = [&config.service.encryption, &config.service.next];
    for own in all.into_iter().flatten().chain(&config.service.earlier) {
        old.open(&place, &own.key).unwrap();
    }
}
