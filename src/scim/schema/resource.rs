//! The schemas of people and groups (RFC 7643 §4, §8.7).

use super::Schema;
use super::attribute::{Attribute, Kind, boolean, complex, reference, text};

/// What every resource has (RFC 7643 §3.1).
pub const COMMON: &[Attribute] = &[
    reference("schemas", "The schemas of the resource.", &["uri"]).many().required().always(),
    text("id", "authd's id of the resource.").exact().read_only().always().unique(),
    text("externalId", "The client's own id of the resource.").exact(),
    complex(
        "meta",
        "When and what.",
        &[
            text("resourceType", "The type of the resource.").exact().read_only(),
            text("created", "When it was made.").of(Kind::DateTime).exact().read_only(),
            text("lastModified", "When it was changed last.").of(Kind::DateTime).exact().read_only(),
            reference("location", "Its address.", &["uri"]).read_only(),
            text("version", "Its version, as in `ETag`.").exact().read_only(),
        ],
    )
    .read_only(),
];

const fn value(about: &'static str) -> Attribute {
    text("value", about)
}

const PRIMARY: Attribute = boolean("primary", "Whether it is the preferred one; at most one is.");
const DISPLAY: Attribute = text("display", "As it is shown.");

const fn kind(usual: &'static [&'static str]) -> Attribute {
    text("type", "What it is for.").usually(usual)
}

/// A person.
pub static USER: Schema = Schema {
    urn: "urn:ietf:params:scim:schemas:core:2.0:User",
    name: "User",
    about: "A person",
    attributes: &[
        text("userName", "By which the directory knows the person; unique within it, whatever its case.")
            .required()
            .unique(),
        complex(
            "name",
            "The parts of the name.",
            &[
                text("formatted", "The whole name."),
                text("familyName", "Last name."),
                text("givenName", "First name."),
                text("middleName", "Middle names."),
                text("honorificPrefix", "What stands before the name."),
                text("honorificSuffix", "What stands behind the name."),
            ],
        ),
        text("displayName", "The name to show."),
        text("nickName", "How the person is called."),
        reference("profileUrl", "A page about the person.", &["external"]),
        text("title", "The person's title."),
        text("userType", "How the person belongs to the organization."),
        text("preferredLanguage", "The person's language."),
        text("locale", "Where the person is, for numbers and dates."),
        text("timezone", "The person's time zone."),
        boolean("active", "Whether the person may come in. Left out, that is not changed."),
        text("password", "Taken and thrown away: nobody signs in by a directory's password.").exact().secret(),
        complex(
            "emails",
            "E-mail addresses.",
            &[value("The address."), DISPLAY, kind(&["work", "home", "other"]), PRIMARY],
        )
        .many(),
        complex(
            "phoneNumbers",
            "Phone numbers.",
            &[value("The number."), DISPLAY, kind(&["work", "home", "mobile", "fax", "pager", "other"]), PRIMARY],
        )
        .many(),
        complex(
            "ims",
            "Addresses for instant messages.",
            &[
                value("The address."),
                DISPLAY,
                kind(&["aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"]),
                PRIMARY,
            ],
        )
        .many(),
        complex(
            "photos",
            "Pictures.",
            &[
                reference("value", "The picture's address.", &["external"]),
                DISPLAY,
                kind(&["photo", "thumbnail"]),
                PRIMARY,
            ],
        )
        .many(),
        complex(
            "addresses",
            "Postal addresses.",
            &[
                text("formatted", "The whole address."),
                text("streetAddress", "Street and number."),
                text("locality", "City."),
                text("region", "State or region."),
                text("postalCode", "Postal code."),
                text("country", "Country."),
                kind(&["work", "home", "other"]),
                PRIMARY,
            ],
        )
        .many(),
        complex(
            "groups",
            "The groups of the directory that the person is in.",
            &[
                value("The group's id.").exact().read_only(),
                reference("$ref", "The group's address.", &["User", "Group"]).read_only(),
                text("display", "The group's name.").read_only(),
                text("type", "How the person is in it.").usually(&["direct", "indirect"]).read_only(),
            ],
        )
        .many()
        .read_only(),
        complex(
            "entitlements",
            "What the person may at the source. It gives nothing here.",
            &[value("The entitlement."), DISPLAY, kind(&[]), PRIMARY],
        )
        .many(),
        complex(
            "roles",
            "The person's roles at the source. By themselves they give nothing here.",
            &[value("The role."), DISPLAY, kind(&[]), PRIMARY],
        )
        .many(),
        complex(
            "x509Certificates",
            "Certificates.",
            &[value("The certificate.").of(Kind::Binary).exact(), DISPLAY, kind(&[]), PRIMARY],
        )
        .many(),
    ],
};

/// What companies know of their people besides.
pub static ENTERPRISE: Schema = Schema {
    urn: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    name: "EnterpriseUser",
    about: "A person of a company",
    attributes: &[
        text("employeeNumber", "The number of the person."),
        text("costCenter", "The cost center."),
        text("organization", "The organization."),
        text("division", "The division."),
        text("department", "The department."),
        complex(
            "manager",
            "The person's manager.",
            &[
                value("The manager's id.").exact(),
                reference("$ref", "The manager's address.", &["User"]),
                text("displayName", "The manager's name.").read_only(),
            ],
        ),
    ],
};

/// A group.
pub static GROUP: Schema = Schema {
    urn: "urn:ietf:params:scim:schemas:core:2.0:Group",
    name: "Group",
    about: "A group of people",
    attributes: &[
        text("displayName", "The group's name.").required(),
        complex(
            "members",
            "Who is in it.",
            &[
                value("The member's id.").exact().immutable(),
                reference("$ref", "The member's address.", &["User", "Group"]).immutable(),
                text("type", "What the member is.").usually(&["User", "Group"]).immutable(),
            ],
        )
        .many(),
    ],
};
