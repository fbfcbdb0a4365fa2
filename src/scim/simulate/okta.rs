//! Okta, as "SCIM Protocol, version 2.0" of its own documentation describes what it sends.

use serde_json::{Value, json};

use super::walker::{Expect, Phase, Then, Walker};
use super::{GROUP, Mark, PATCH, USER, encoded};

pub async fn walk(walker: &mut Walker<'_>, mark: &Mark) -> Then<()> {
    walker.phase = Phase::Probe;
    let first = Expect::status(200);
    walker.ask("test of the connection", "GET", "/Users?startIndex=1&count=2", None, first).await?;

    walker.phase = Phase::Joiner;
    let name = mark.name("joan");
    let look = format!("/Users?filter={}&startIndex=1&count=100", encoded(&format!("userName eq \"{name}\"")));
    walker.ask("is the person there already?", "GET", look.as_str(), None, Expect::list(0)).await?;
    let person = json!({
        "schemas": [USER],
        "userName": name,
        "name": {"givenName": "Joan", "familyName": "Simulated"},
        "emails": [{"primary": true, "value": name, "type": "work"}],
        "displayName": "Joan Simulated",
        "locale": "en-US",
        "externalId": mark.id("joan"),
        "groups": [],
        "password": "thrown away",
        "active": true
    });
    let made = Expect::resource(201).at("/active", true).at("/userName", name.as_str()).at("/password", Value::Null);
    let id = walker.make("somebody is assigned to the app", "/Users", person.clone(), made).await?;
    let one = format!("/Users/{id}");
    let found = Expect::list(1).at("/Resources/0/id", id.as_str());
    walker.ask("the person is found by the name in other letters", "GET", shouted(&name), None, found).await?;
    let twice = Expect::status(409).at("/scimType", "uniqueness");
    walker.ask("the same name once more is refused", "POST", "/Users", Some(person), twice).await?;

    walker.phase = Phase::Mover;
    let mut whole = walker.ask("all of the person is read", "GET", one.as_str(), None, Expect::resource(200)).await?;
    if let Some(whole) = whole.as_object_mut() {
        whole.insert("displayName".into(), "Joan S. Moved".into());
        whole.insert("name".into(), json!({"givenName": "Joan", "familyName": "Moved", "middleName": "S."}));
        whole.insert("title".into(), "Head of Simulation".into());
    }
    let moved = Expect::resource(200)
        .at("/displayName", "Joan S. Moved")
        .at("/name/familyName", "Moved")
        .at("/title", "Head of Simulation")
        .at("/active", true);
    walker.ask("all of the person is written back, changed", "PUT", one.as_str(), Some(whole), moved).await?;

    walker.phase = Phase::Group;
    let group = mark.group();
    let look = format!("/Groups?filter={}&startIndex=1&count=100", encoded(&format!("displayName eq \"{group}\"")));
    walker.ask("is the group there already?", "GET", look, None, Expect::list(0)).await?;
    let body = json!({"schemas": [GROUP], "displayName": group, "members": []});
    let pushed = Expect::resource(201).at("/displayName", group.as_str());
    let group_id = walker.make("a group is pushed", "/Groups", body, pushed).await?;
    let at = format!("/Groups/{group_id}");
    let come = json!([{"op": "add", "path": "members", "value": [{"value": id, "display": name}]}]);
    walker.patch("the person comes into the group", &at, come, Expect::status(200).or(204)).await?;
    let within = Expect::resource(200).at("/members/0/value", id.as_str());
    walker.ask("who is in the group?", "GET", at.as_str(), None, within).await?;
    let renamed = json!([{"op": "replace", "value": {"id": group_id, "displayName": format!("{group} 2")}}]);
    let says = Expect::status(200).or(204);
    walker.patch("the group gets another name", &at, renamed, says).await?;
    let go = json!([{"op": "remove", "path": format!("members[value eq \"{id}\"]")}]);
    walker.patch("the person leaves the group", &at, go, Expect::status(200).or(204)).await?;
    let empty = Expect::resource(200).at("/members", Value::Null);
    walker.ask("who is in the group now?", "GET", at.as_str(), None, empty).await?;

    walker.phase = Phase::Leaver;
    let active = |is: bool| json!([{"op": "replace", "value": {"active": is}}]);
    if mark.hard {
        let body = json!({"schemas": [PATCH], "Operations": active(false)});
        return walker.leaves_for_good("PATCH", &one, body).await;
    }
    let off = || Expect::resource(200).at("/active", false);
    walker.patch("the person is unassigned: their access ends", &one, active(false), off()).await?;
    walker.ask("and stays ended", "GET", one.as_str(), None, off()).await?;
    let title = json!([{"op": "replace", "value": {"title": "Former Head"}}]);
    walker.patch("a change that does not say `active` does not bring them back", &one, title, off()).await?;
    let on = Expect::resource(200).at("/active", true);
    walker.patch("the person is assigned again", &one, active(true), on).await?;
    walker.patch("and unassigned", &one, active(false), off()).await?;
    walker.ask("the group is unlinked and removed", "DELETE", at, None, Expect::status(204)).await?;
    Ok(())
}

fn shouted(name: &str) -> String {
    format!("/Users?filter={}&startIndex=1&count=100", encoded(&format!("userName eq \"{}\"", name.to_uppercase())))
}
