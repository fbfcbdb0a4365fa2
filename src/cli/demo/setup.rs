//! The demo's organization, connection, domains and app: made by the operations that everybody uses.

use serde_json::{Value, json};

use super::{directory, saml};
use crate::access::{Caller, Context};
use crate::app::App;
use crate::connection::callback_url;
use crate::connection::simulator::{Client, Simulator};
use crate::crypto::{Opaque, Secret};
use crate::error::{Error, Result, codes};
use crate::event::Origin;

/// The names by which a later start finds what an earlier one made.
pub(super) const ORGANIZATION: &str = "Demo";
pub(super) const APP: &str = "Demo app";
const CONNECTION: &str = "OpenID test provider";
const SLUG: &str = "demo";
const DOMAINS: &[&str] = &["demo.example", "lab.example"];
const CLIENT: &str = "authd";

/// What the sample app must know.
pub(super) struct Made {
    pub client_id: String,
    pub client_secret: Secret,
}

pub(super) struct Hands<'a> {
    app: &'a App,
    pub cx: Context,
}

impl Hands<'_> {
    pub async fn perform(&self, name: &str, input: Value) -> Result<Value> {
        self.app.perform(&self.cx, name, input).await
    }

    /// The first item of a list that fits, through all its pages.
    pub async fn find(&self, list: &str, mut input: Value, fits: impl Fn(&Value) -> bool) -> Result<Option<Value>> {
        input["limit"] = json!(1_000);
        loop {
            let page = self.perform(list, input.clone()).await?;
            if let Some(found) = page["items"].as_array().into_iter().flatten().find(|item| fits(item)) {
                return Ok(Some(found.clone()));
            }
            match page.get("next") {
                Some(next) => input["cursor"] = next.clone(),
                None => return Ok(None),
            }
        }
    }

    /// Claims and vouches for domains, where that is not done yet.
    pub async fn own(&self, connection: &Value, domains: &[&str]) -> Result<()> {
        let list = self.perform("domain.list", json!({"connection": connection})).await?;
        for domain in domains {
            let known = list["domains"].as_array().into_iter().flatten().find(|known| known["domain"] == *domain);
            if known.is_none() {
                self.perform("domain.add", json!({"connection": connection, "domain": domain})).await?;
            }
            if known.is_none_or(|known| known["verified"] != true) {
                let verify = json!({"connection": connection, "domain": domain, "force": true});
                match self.perform("domain.verify", verify).await {
                    // Somebody uses the example domain in an organization of their own: it is theirs.
                    Err(error) if error.is(&codes::DOMAIN_TAKEN) => {
                        tracing::warn!(domain, "another organization has the demo's domain");
                    }
                    answer => drop(answer?),
                }
            }
        }
        Ok(())
    }
}

/// Makes what is not there yet, and brings the rest up to date. The secrets of both sides are new at every start, so
/// none has to be kept in the clear. Errors: those of the operations.
pub(super) async fn everything(
    app: &App,
    simulator: &Simulator,
    listener: std::net::TcpListener,
    app_url: &str,
) -> Result<Made> {
    let cx = app.context(Caller::System, Origin::internal(&app.world.env));
    let hands = Hands { app, cx };
    let organization = match hands.find("organization.list", json!({}), |it| it["name"] == ORGANIZATION).await? {
        Some(found) => found["id"].clone(),
        None => hands.perform("organization.create", json!({"name": ORGANIZATION})).await?["id"].clone(),
    };
    let connection = connection(&hands, &organization, simulator).await?;
    hands.own(&connection, DOMAINS).await?;
    directory::set_up(&hands, &organization, listener).await?;
    saml::set_up(&hands, &organization, simulator).await?;
    client(&hands, &organization, app_url).await
}

/// The id of the demo's connection, when it is there and switched on. Errors: those of the operations.
pub(super) async fn remains(app: &App) -> Result<Option<String>> {
    let cx = app.context(Caller::System, Origin::internal(&app.world.env));
    let hands = Hands { app, cx };
    let Some(organization) = hands.find("organization.list", json!({}), |it| it["name"] == ORGANIZATION).await? else {
        return Ok(None);
    };
    let ours = |it: &Value| {
        [SLUG, directory::SLUG, saml::SLUG].iter().any(|slug| it["slug"] == *slug) && it["status"] == "active"
    };
    let found = hands.find("connection.list", json!({"organization": organization["id"]}), ours).await?;
    Ok(found.and_then(|found| found["id"].as_str().map(str::to_owned)))
}

async fn connection(hands: &Hands<'_>, organization: &Value, simulator: &Simulator) -> Result<Value> {
    let secret = Opaque::new(&hands.cx.env, "sim_").text;
    let ours = |it: &Value| it["slug"] == SLUG;
    let live = hands.find("connection.list", json!({"organization": organization}), ours).await?;
    let found = match live {
        Some(found) => Some(found),
        None => {
            let deleted = json!({"organization": organization, "deleted": true});
            match hands.find("connection.list", deleted, ours).await? {
                Some(found) => Some(hands.perform("connection.restore", json!({"id": found["id"]})).await?),
                None => None,
            }
        }
    };
    let id = match found {
        Some(found) => {
            let set =
                json!({"id": found["id"], "issuer": simulator.issuer(), "clientId": CLIENT, "clientSecret": secret});
            hands.perform("connection.set_oidc", set).await?;
            if found["status"] != "active" {
                hands.perform("connection.activate", json!({"id": found["id"]})).await?;
            }
            found["id"].clone()
        }
        None => {
            let create = json!({
                "organization": organization, "protocol": "oidc", "name": CONNECTION, "slug": SLUG,
                "issuer": simulator.issuer(), "clientId": CLIENT, "clientSecret": secret, "domains": DOMAINS,
                "activate": true,
            });
            hands.perform("connection.create", create).await?["id"].clone()
        }
    };
    let connection = id.as_str().unwrap_or_default().parse()?;
    simulator.register(Client {
        id: CLIENT.to_owned(),
        secret,
        name: "authd".to_owned(),
        redirect_uris: vec![callback_url(&hands.cx.deployment.public_url, connection)],
    });
    Ok(id)
}

async fn client(hands: &Hands<'_>, organization: &Value, app_url: &str) -> Result<Made> {
    let redirect_uris = [format!("{app_url}/callback")];
    let apps = json!({"organization": organization});
    let made = match hands.find("app.list", apps, |it| it["name"] == APP).await? {
        Some(found) => {
            let id = &found["clientId"];
            if found["redirectUris"] != json!(redirect_uris) {
                hands.perform("app.update", json!({"id": id, "redirectUris": redirect_uris})).await?;
            }
            hands.perform("app.rotate_secret", json!({"id": id})).await?
        }
        None => {
            let create = json!({"organization": organization, "name": APP, "redirectUris": redirect_uris});
            hands.perform("app.create", create).await?
        }
    };
    let text = |name: &str| made[name].as_str().ok_or_else(|| Error::bug("the app has no secret"));
    Ok(Made { client_id: text("clientId")?.to_owned(), client_secret: Secret::new(text("clientSecret")?) })
}
