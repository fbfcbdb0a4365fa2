//! An administrator changes what is known of somebody.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::target::{member, order, owner};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::directory::{Field, Fields, PersonProposal, UserView};
use crate::error::{Error, Result, codes};
use crate::id::{OrganizationId, UserId};
use crate::store::Batch;

/// Change what is known of a person. A field that the policy leaves to another authority is refused (`field_owned`).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateUser {
    /// The person.
    pub id: UserId,
    /// In which organization; not needed while the person is in one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Their address; unique within the organization. Apps trust it again after a sign-in that proves it.
    #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub email: Option<Option<String>>,
    /// The name to show; `null` takes it away.
    #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub name: Option<Option<String>>,
    /// First name; `null` takes it away.
    #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub given_name: Option<Option<String>>,
    /// Last name; `null` takes it away.
    #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub family_name: Option<Option<String>>,
    /// A picture's https URL; `null` takes it away.
    #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub image: Option<Option<String>>,
}

/// A field that is there is said, also where it says `null`.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[async_trait]
impl Operation for UpdateUser {
    type Seen = ();
    type Output = UserView;
    const NAME: &'static str = "user.update";
    const ACCESS: Access = Access::Grant(Grant::UserManage);
    const ROUTE: Route = Route { method: Method::Patch, path: "/v1/users/{id}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.id, self.organization).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let fields = self.fields()?;
        if fields == Fields::none() {
            return Err(Error::says(&codes::INVALID_INPUT, "There is nothing to change.")
                .help("Name at least one of: email, name, givenName, familyName, image."));
        }
        let member = member(cx, self.id, self.organization).await?;
        let proposal = PersonProposal { fields, ..PersonProposal::about(self.id) };
        Ok(order(cx, &member, proposal, batch).await?.membership.into())
    }
}

impl UpdateUser {
    fn fields(&self) -> Result<Fields> {
        let mut fields = Fields::none();
        let all = [
            (Field::Email, &self.email),
            (Field::Name, &self.name),
            (Field::GivenName, &self.given_name),
            (Field::FamilyName, &self.family_name),
            (Field::Image, &self.image),
        ];
        for (field, said) in all {
            fields = match (field, said) {
                (_, None) => fields,
                (field, Some(None)) => fields.clear(field),
                // The pipeline reads it, as it does every source's.
                (Field::Email, Some(Some(value))) => fields.set(field, value),
                (Field::Image, Some(Some(value))) => fields.set(field, pictured(value)?),
                (field, Some(Some(value))) => fields.set(field, named(value)?),
            };
        }
        Ok(fields)
    }
}

/// A name that can be shown. Errors: `invalid_input`.
pub(super) fn named(text: &str) -> Result<&str> {
    let text = text.trim();
    if text.is_empty() || text.len() > 200 || text.chars().any(char::is_control) {
        return Err(Error::says(&codes::INVALID_INPUT, "A name needs 1 to 200 bytes, without control characters."));
    }
    Ok(text)
}

/// An address of a picture that a page may show. Errors: `invalid_input`.
pub(super) fn pictured(text: &str) -> Result<&str> {
    let parsed = url::Url::parse(text).ok().filter(|url| url.scheme() == "https" && url.has_host());
    if parsed.is_none() || text.len() > 2_048 {
        return Err(Error::says(&codes::INVALID_INPUT, "A picture is an absolute https URL of at most 2,048 bytes."));
    }
    Ok(text)
}
