//! Flags from the fields of a form: their names, and which of them are words of their own.

use crate::access::{AnyOperation, Field, Fill, Form};

/// Names that every verb has already.
const RESERVED: &[&str] = &["data-dir", "config", "json", "no-color", "quiet", "help", "version", "file", "set"];

/// A field as the command line has it.
pub struct Flag {
    /// The field.
    pub field: Field,
    /// Its long name, without the dashes.
    pub name: String,
    /// Other names that do the same.
    pub aliases: Vec<String>,
    /// It may also stand alone, without its name.
    pub positional: bool,
}

impl Flag {
    /// The flags of an operation, in the order of its fields.
    pub fn of(operation: &dyn AnyOperation) -> Vec<Self> {
        let path = operation.route().path;
        let single = path.matches('{').count() == 1;
        let form = Form::of(operation);
        let mut taken: Vec<String> = RESERVED.iter().map(|name| (*name).to_owned()).collect();
        let mut flags: Vec<Self> = Vec::new();
        for field in form.fields {
            let mut name = field.extension("x-flag").map_or_else(|| usual(&field.name), str::to_owned);
            if taken.contains(&name) {
                name = format!("{name}-value");
            }
            taken.push(name.clone());
            let told = field.schema.get("x-positional").is_some_and(|told| told == true);
            let positional = told || path.contains(&format!("{{{}}}", field.name)) && (single || field.name == "id");
            flags.push(Self { field, name, aliases: Vec::new(), positional });
        }
        // Aliases come last: a real name goes before another field's second name.
        for flag in &mut flags {
            let mut others = vec![kebab(&flag.field.name)];
            if flag.field.fill() == Fill::Many {
                others.push(flag.name.strip_suffix('s').map_or_else(|| format!("{}s", flag.name), str::to_owned));
            }
            if flag.name == "org" {
                others.push("organization".to_owned());
            }
            others.retain(|other| {
                let free = !taken.contains(other);
                if free {
                    taken.push(other.clone());
                }
                free
            });
            flag.aliases = others;
        }
        flags
    }

    /// The variable that a secret may come in.
    pub fn variable(&self) -> String {
        format!("AUTHD_{}", self.name.replace('-', "_").to_uppercase())
    }

    /// How its value is shown in help.
    pub fn value_name(&self) -> String {
        let name = self.name.to_lowercase();
        let known = [
            ("uri", "URL"),
            ("url", "URL"),
            ("issuer", "URL"),
            ("secret", "SECRET"),
            ("domain", "DOMAIN"),
            ("email", "EMAIL"),
        ];
        match known.iter().find(|(part, _)| name.contains(part)) {
            Some((_, shown)) => (*shown).to_owned(),
            None if self.field.schema.to_string().contains("date-time") => "TIME".to_owned(),
            None if self.field.schema.to_string().contains("\"integer\"") => "NUMBER".to_owned(),
            None if matches!(&*name, "id" | "org" | "user" | "connection" | "app" | "session") => "ID".to_owned(),
            None => name.to_uppercase().replace('-', "_"),
        }
    }
}

/// An id of another thing is named by the thing.
fn usual(name: &str) -> String {
    match &*kebab(name) {
        "organization" | "organization-id" | "org-id" => "org".to_owned(),
        other => match other.strip_suffix("-id") {
            Some(thing @ ("connection" | "user" | "app" | "session" | "domain")) => thing.to_owned(),
            _ => other.to_owned(),
        },
    }
}

/// `redirectUris`, `redirect_uris` → `redirect-uris`.
fn kebab(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('-');
            out.push(c.to_ascii_lowercase());
        } else {
            out.push(if c == '_' { '-' } else { c });
        }
    }
    out.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_the_usual_flags() {
        assert_eq!(usual("redirectUris"), "redirect-uris");
        assert_eq!(usual("redirect_uris"), "redirect-uris");
        assert_eq!(usual("organization"), "org");
        assert_eq!(usual("connectionId"), "connection");
        assert_eq!(usual("clientId"), "client-id", "the provider's, not an id of ours");
    }

    #[test]
    fn a_key_is_asked_for_by_the_names_people_use() {
        let catalogue = crate::app::catalogue();
        let flags = Flag::of(catalogue.find("api_key.create").unwrap());
        let names: Vec<_> = flags.iter().map(|flag| flag.name.as_str()).collect();
        assert_eq!(names, ["org", "name", "user", "grant", "expires-at", "expires-in"]);
        assert_eq!(flags[0].aliases, ["organization"]);
        assert_eq!(flags[3].aliases, ["grants"]);
        assert!(Flag::of(catalogue.find("api_key.revoke").unwrap())[0].positional);
    }
}
