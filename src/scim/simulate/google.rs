//! Google, whose automatic provisioning looks by `userName`, writes all of a person or group anew, and suspends before it
//! removes.

use serde_json::{Value, json};

use super::walker::{Expect, Phase, Then, Walker};
use super::{ENTERPRISE, GROUP, Mark, USER, encoded};

fn person(mark: &Mark, family: &str, active: bool) -> Value {
    let name = mark.name("gita");
    json!({
        "schemas": [USER, ENTERPRISE],
        "userName": name,
        "externalId": mark.id("gita"),
        "name": {"givenName": "Gita", "familyName": family, "formatted": format!("Gita {family}")},
        "displayName": format!("Gita {family}"),
        "emails": [{"value": name, "type": "work", "primary": true}],
        "phoneNumbers": [{"value": "+1 555 0101", "type": "work"}],
        "addresses": [{"type": "work", "locality": "Zürich", "country": "CH"}],
        "active": active,
        ENTERPRISE: {"department": "Simulation", "costCenter": ""}
    })
}

pub async fn walk(walker: &mut Walker<'_>, mark: &Mark) -> Then<()> {
    walker.phase = Phase::Probe;
    let can = Expect::status(200).at("/patch/supported", true).at("/filter/supported", true);
    walker.ask("what the server can", "GET", "/ServiceProviderConfig", None, can).await?;
    walker.ask("test of the authorization", "GET", "/Users?count=1", None, Expect::status(200)).await?;

    walker.phase = Phase::Joiner;
    let look = format!("/Users?filter={}", encoded(&format!("userName eq \"{}\"", mark.name("gita"))));
    walker.ask("is the person there already?", "GET", look.as_str(), None, Expect::list(0)).await?;
    let made = Expect::resource(201).at("/active", true).at("/addresses/0/locality", "Zürich");
    let id = walker.make("the person gets the app", "/Users", person(mark, "Simulated", true), made).await?;
    let one = format!("/Users/{id}");
    let found = Expect::list(1).at("/Resources/0/id", id.as_str());
    walker.ask("the person is found by name", "GET", look.as_str(), None, found).await?;

    walker.phase = Phase::Mover;
    let moved =
        Expect::resource(200).at("/name/familyName", "Moved").at("/displayName", "Gita Moved").at("/active", true);
    let whole = person(mark, "Moved", true);
    walker.ask("all of the person is written anew", "PUT", one.as_str(), Some(whole), moved).await?;
    let phone = json!([{"op": "replace", "value": {"phoneNumbers": [{"value": "+1 555 0102", "type": "work"}]}}]);
    let says = Expect::resource(200).at("/phoneNumbers/0/value", "+1 555 0102").at("/name/familyName", "Moved");
    walker.patch("one attribute is replaced", &one, phone, says).await?;

    walker.phase = Phase::Group;
    let group = |members: Value| json!({"schemas": [GROUP], "displayName": mark.group(), "members": members});
    let within = Expect::resource(201).at("/members/0/value", id.as_str());
    let all = group(json!([{"value": id, "type": "User"}]));
    let group_id = walker.make("a group comes with its members", "/Groups", all, within).await?;
    let at = format!("/Groups/{group_id}");
    let empty = Expect::resource(200).at("/members", Value::Null);
    walker
        .ask("all of the group is written anew, without the person", "PUT", at.as_str(), Some(group(json!([]))), empty)
        .await?;

    walker.phase = Phase::Leaver;
    if mark.hard {
        return walker.leaves_for_good("PUT", &one, person(mark, "Moved", false)).await;
    }
    let off = || Expect::resource(200).at("/active", false);
    let suspended = person(mark, "Moved", false);
    walker.ask("the person is suspended", "PUT", one.as_str(), Some(suspended), off()).await?;
    let mut silent = person(mark, "Moved", false);
    if let Some(fields) = silent.as_object_mut() {
        fields.remove("active");
        fields.insert("title".into(), "Former Head".into());
    }
    walker
        .ask("a change that does not say `active` does not bring them back", "PUT", one.as_str(), Some(silent), off())
        .await?;
    let on = Expect::resource(200).at("/active", true);
    walker.ask("the person is restored", "PUT", one.as_str(), Some(person(mark, "Moved", true)), on).await?;
    walker.ask("and suspended", "PUT", one.as_str(), Some(person(mark, "Moved", false)), off()).await?;
    walker.ask("the group is removed", "DELETE", at, None, Expect::status(204)).await?;
    walker.ask("days later the person is removed", "DELETE", one.as_str(), None, Expect::status(204)).await?;
    walker.ask("and nobody knows them", "GET", one, None, Expect::status(404)).await?;
    Ok(())
}
