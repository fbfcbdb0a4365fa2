//! Who one can be. The domains are reserved for examples (RFC 2606), so no mail ever reaches anybody.

/// Somebody whom the simulator knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    /// The value of `person` in the form.
    pub id: &'static str,
    /// The `sub` of the tokens.
    pub sub: &'static str,
    /// First name.
    pub given_name: &'static str,
    /// Last name.
    pub family_name: &'static str,
    /// E-mail address.
    pub email: &'static str,
    /// `email_verified`.
    pub email_verified: bool,
    /// `groups`.
    pub groups: &'static [&'static str],
    /// `roles`.
    pub roles: &'static [&'static str],
    /// What is special about them.
    pub note: &'static str,
}

impl Person {
    /// First and last name.
    pub fn name(&self) -> String {
        format!("{} {}", self.given_name, self.family_name)
    }

    /// The one of that id.
    pub fn find(id: &str) -> Option<&'static Self> {
        PEOPLE.iter().find(|person| person.id == id)
    }
}

/// Everybody, across the domains `demo.example` and `lab.example`; the last two should not get in.
pub const PEOPLE: &[Person] = &[
    Person {
        id: "ada",
        sub: "sim-ada-1815",
        given_name: "Ada",
        family_name: "Lovelace",
        email: "ada@demo.example",
        email_verified: true,
        groups: &["engineering", "administrators"],
        roles: &["owner"],
        note: "",
    },
    Person {
        id: "grace",
        sub: "sim-grace-1906",
        given_name: "Grace",
        family_name: "Hopper",
        email: "grace@demo.example",
        email_verified: true,
        groups: &["engineering", "compilers"],
        roles: &["admin"],
        note: "",
    },
    Person {
        id: "alan",
        sub: "sim-alan-1912",
        given_name: "Alan",
        family_name: "Turing",
        email: "alan@lab.example",
        email_verified: true,
        groups: &["research"],
        roles: &["member"],
        note: "From the organization’s second domain.",
    },
    Person {
        id: "margaret",
        sub: "sim-margaret-1936",
        given_name: "Margaret",
        family_name: "Hamilton",
        email: "margaret@lab.example",
        email_verified: true,
        groups: &["research", "flight software"],
        roles: &["member"],
        note: "",
    },
    Person {
        id: "edsger",
        sub: "sim-edsger-1930",
        given_name: "Edsger",
        family_name: "Dijkstra",
        email: "edsger@demo.example",
        email_verified: true,
        groups: &[],
        roles: &[],
        note: "In no group, with no role.",
    },
    Person {
        id: "katherine",
        sub: "sim-katherine-1918",
        given_name: "Katherine",
        family_name: "Johnson",
        email: "katherine@demo.example",
        email_verified: false,
        groups: &["research"],
        roles: &["member"],
        note: "The address is not verified: authd should not believe it.",
    },
    Person {
        id: "mallory",
        sub: "sim-mallory-1978",
        given_name: "Mallory",
        family_name: "Stranger",
        email: "ceo@elsewhere.example",
        email_verified: true,
        groups: &["engineering"],
        roles: &["owner"],
        note: "The address is in a domain of somebody else: authd should not believe it.",
    },
];
