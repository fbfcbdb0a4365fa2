//! Entra, as the tutorial on building a SCIM endpoint in its own documentation shows the requests of its provisioning.

use serde_json::{Value, json};

use super::walker::{Expect, Phase, Then, Walker};
use super::{ENTERPRISE, GROUP, Mark, PATCH, USER, encoded};

fn person(mark: &Mark, who: &str, given: &str) -> Value {
    let name = mark.name(who);
    json!({
        "schemas": [USER, ENTERPRISE],
        "externalId": mark.id(who),
        "userName": name,
        "active": true,
        "displayName": format!("{given} Simulated"),
        "emails": [{"primary": true, "type": "work", "value": name}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": format!("{given} Simulated"), "familyName": "Simulated", "givenName": given},
        "roles": []
    })
}

const MANAGER: &str = "/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User/manager/value";
const DEPARTMENT: &str = "/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User/department";

fn by(endpoint: &str, filter: &str) -> String {
    format!("/{endpoint}?filter={}", encoded(filter))
}

pub async fn walk(walker: &mut Walker<'_>, mark: &Mark) -> Then<()> {
    walker.phase = Phase::Probe;
    let nobody = by("Users", &format!("userName eq \"{}\"", mark.id("nobody")));
    walker
        .ask("test of the connection: nobody is an empty list, and no error", "GET", nobody, None, Expect::list(0))
        .await?;
    walker.ask("what the server knows of people", "GET", "/Schemas", None, Expect::status(200)).await?;

    walker.phase = Phase::Joiner;
    let (name, external) = (mark.name("erin"), mark.id("erin"));
    let by_id = by("Users", &format!("externalId eq \"{external}\""));
    walker.ask("is the person there, by the directory's id?", "GET", by_id.as_str(), None, Expect::list(0)).await?;
    let by_name = by("Users", &format!("userName eq \"{name}\""));
    walker.ask("or by name?", "GET", by_name.as_str(), None, Expect::list(0)).await?;
    let made = || Expect::resource(201).at("/active", true);
    let boss = walker.make("the manager is provisioned first", "/Users", person(mark, "mona", "Mona"), made()).await?;
    let says = made().at("/userName", name.as_str()).at("/externalId", external.as_str());
    let id = walker.make("the person is provisioned", "/Users", person(mark, "erin", "Erin"), says).await?;
    let one = format!("/Users/{id}");
    let found = Expect::list(1).at("/Resources/0/id", id.as_str());
    walker.ask("the person is found by the directory's id", "GET", by_id.as_str(), None, found).await?;
    let twice = Expect::status(409).at("/scimType", "uniqueness");
    walker
        .ask("the same name once more is refused", "POST", "/Users", Some(person(mark, "erin", "Erin")), twice)
        .await?;

    walker.phase = Phase::Mover;
    walker.ask("the person is read", "GET", one.as_str(), None, Expect::resource(200)).await?;
    let address = mark.name("erin.moved");
    let changed = json!([
        {"op": "Replace", "path": "emails[type eq \"work\"].value", "value": address},
        {"op": "Replace", "path": "name.familyName", "value": "Moved"},
        {"op": "Add", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "+1 555 0100"},
        {"op": "Add", "path": format!("{ENTERPRISE}:department"), "value": "Simulation"},
        {"op": "Replace", "path": "title", "value": "Head of Simulation"}
    ]);
    let moved = Expect::resource(200)
        .at("/emails/0/value", address.as_str())
        .at("/name/familyName", "Moved")
        .at("/phoneNumbers/0/value", "+1 555 0100")
        .at("/title", "Head of Simulation")
        .at("/active", true);
    walker.patch("attributes change, each by its path", &one, changed, moved).await?;
    let manager = json!([{"op": "Add", "path": format!("{ENTERPRISE}:manager"), "value": boss}]);
    walker.patch("the manager comes as a bare id", &one, manager, Expect::resource(200)).await?;
    let back = Expect::resource(200).at(MANAGER, boss.as_str()).at(DEPARTMENT, "Simulation");
    walker.ask("and is read back", "GET", one.as_str(), None, back).await?;
    let dotted = json!([{"op": "replace", "value": {
        "displayName": "Erin Moved",
        "name.givenName": "Erin-Marie",
        format!("{ENTERPRISE}:employeeNumber"): "4711"
    }}]);
    let moved = Expect::resource(200).at("/displayName", "Erin Moved").at("/name/givenName", "Erin-Marie");
    walker.patch("several at once, without a path", &one, dotted, moved).await?;

    group(walker, mark, &id).await?;

    walker.phase = Phase::Leaver;
    let active = |is: &str| json!([{"op": "Replace", "path": "active", "value": is}]);
    if mark.hard {
        let body = json!({"schemas": [PATCH], "Operations": active("False")});
        return walker.leaves_for_good("PATCH", &one, body).await;
    }
    let off = || Expect::resource(200).at("/active", false);
    walker.patch("soft delete: `active` is the text \"False\"", &one, active("False"), off()).await?;
    walker.ask("and stays so", "GET", one.as_str(), None, off()).await?;
    let title = json!([{"op": "Replace", "path": "title", "value": "Former Head"}]);
    walker.patch("a change that does not say `active` does not bring them back", &one, title, off()).await?;
    let on = Expect::resource(200).at("/active", true);
    walker.patch("restored from the recycle bin", &one, active("True"), on).await?;
    walker.patch("soft delete once more", &one, active("False"), off()).await?;
    walker.ask("30 days later: removed for good", "DELETE", one.as_str(), None, Expect::status(204)).await?;
    walker.ask("and nobody knows them", "GET", one, None, Expect::status(404)).await?;
    Ok(())
}

async fn group(walker: &mut Walker<'_>, mark: &Mark, id: &str) -> Then<()> {
    walker.phase = Phase::Group;
    let name = mark.group();
    let look = format!("/Groups?excludedAttributes=members&filter={}", encoded(&format!("displayName eq \"{name}\"")));
    walker.ask("is the group there already?", "GET", look, None, Expect::list(0)).await?;
    let body = json!({
        "schemas": [GROUP, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
        "externalId": mark.id("group"),
        "displayName": name,
        "meta": {"resourceType": "Group"}
    });
    let made = Expect::resource(201).at("/displayName", name.as_str());
    let group = walker.make("the group is provisioned, with a schema of Entra's own", "/Groups", body, made).await?;
    let at = format!("/Groups/{group}");
    let done = || Expect::status(200).or(204);
    let come = json!([{"op": "Add", "path": "members", "value": [{"$ref": null, "value": id}]}]);
    walker.patch("the person comes into the group", &at, come, done()).await?;
    let is_in = format!(
        "/Groups?excludedAttributes=members&filter={}",
        encoded(&format!("id eq \"{group}\" and members eq \"{id}\""))
    );
    walker.ask("is the person in it?", "GET", is_in.as_str(), None, Expect::list(1)).await?;
    let read = format!("{at}?excludedAttributes=members");
    let without = Expect::resource(200).at("/members", Value::Null);
    walker.ask("the group is read without its members", "GET", read, None, without).await?;
    let renamed = json!([{"op": "Replace", "path": "displayName", "value": format!("{name} 2")}]);
    walker.patch("the group gets another name", &at, renamed, done()).await?;
    let go = json!([{"op": "Remove", "path": "members", "value": [{"$ref": null, "value": id}]}]);
    walker.patch("the person leaves the group: who goes stands in the value", &at, go, done()).await?;
    walker.ask("is the person still in it?", "GET", is_in, None, Expect::list(0)).await?;
    walker.ask("the group leaves the scope", "DELETE", at, None, Expect::status(204)).await?;
    Ok(())
}
