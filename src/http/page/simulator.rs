//! The page of the test identity provider. It says on every line of sight that it is one.

use askama::Template;

use super::display::filters;
use super::renders;

/// A hidden form field.
#[derive(Clone, Default)]
pub struct Hidden {
    /// The field's name.
    pub name: String,
    /// Sent back as it is.
    pub value: String,
}

/// Somebody that one can be at the test identity provider.
#[derive(Clone, Debug, Default)]
pub struct Person {
    /// The value posted as `person`.
    pub value: String,
    /// The person's name.
    pub name: String,
    /// The person's e-mail address.
    pub email: String,
    /// Groups that the provider will tell.
    pub groups: Vec<String>,
    /// What is special about this person; empty where nothing is.
    pub note: String,
}

impl Person {
    /// The first letters of the first and the last word, for the round picture.
    fn initials(&self) -> String {
        let mut words = self.name.split_whitespace().filter_map(|word| word.chars().find(|c| c.is_alphanumeric()));
        let first = words.next();
        let last = words.next_back();
        let letters: String = first.into_iter().chain(last).flat_map(char::to_uppercase).collect();
        if letters.is_empty() { "?".into() } else { letters }
    }
}

/// A way to misbehave.
#[derive(Clone, Debug, Default)]
pub struct Fault {
    /// The value posted as `fault`.
    pub id: String,
    /// A few words.
    pub label: String,
    /// What the provider will do wrong, and what should refuse it.
    pub explanation: String,
    /// True for the one that is on. At most one.
    pub selected: bool,
}

/// The sign-in page of the test identity provider: choose a fault or none, click a person, and you are them.
#[derive(Template, Clone, Default)]
#[template(path = "people.html", config = "assets/pages/askama.toml")]
pub struct People {
    /// What the simulated provider is called.
    pub provider_name: String,
    /// Who asks: the connection's client, as the provider knows it.
    pub client: String,
    /// Where the form is posted to.
    pub action: String,
    /// Fields that are sent along.
    pub hidden: Vec<Hidden>,
    /// Who one can be.
    pub people: Vec<Person>,
    /// What can be done wrong, without "none", which is always there.
    pub faults: Vec<Fault>,
    /// The id of this request; may be empty.
    pub request_id: String,
}

impl People {
    fn fault(&self) -> Option<&Fault> {
        self.faults.iter().find(|fault| fault.selected)
    }
}

renders!(People);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initials_are_two_letters_at_most() {
        let initials = |name: &str| Person { name: name.into(), ..Person::default() }.initials();
        assert_eq!(initials("Ada Lovelace"), "AL");
        assert_eq!(initials("Grace Brewster Murray Hopper"), "GH");
        assert_eq!(initials("Plato"), "P");
        assert_eq!(initials("—"), "?");
        assert_eq!(initials("élodie (ops)"), "ÉO");
    }
}
