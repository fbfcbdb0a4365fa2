//! What a person types as their name: an account, an address, `DOMAIN\account`, or a distinguished name.

use super::dn::Dn;

/// A longer name is nobody's.
const MAX: usize = 512;

/// What was typed, told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed<'a> {
    /// An account, or an address: `uid`, `sAMAccountName`, `userPrincipalName`, `mail`.
    Account(&'a str),
    /// `DOMAIN\account`, as Windows writes it.
    Windows {
        /// The domain's short name.
        domain: &'a str,
        /// The account in it.
        account: &'a str,
    },
    /// A distinguished name.
    Dn(&'a str),
}

/// Which of them a directory takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forms {
    /// `DOMAIN\account`.
    pub windows: bool,
    /// Distinguished names.
    pub dn: bool,
}

impl<'a> Typed<'a> {
    /// Reads what was typed. `None` for what is no name.
    pub fn read(text: &'a str, forms: Forms) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.len() > MAX {
            return None;
        }
        if forms.dn && text.contains('=') && Dn::parse(text).is_some_and(|dn| !dn.is_root()) {
            return Some(Self::Dn(text));
        }
        if forms.windows
            && let Some((domain, account)) = text.split_once('\\')
        {
            let fits = !domain.is_empty() && !account.is_empty() && !account.contains('\\');
            return fits.then_some(Self::Windows { domain, account });
        }
        Some(Self::Account(text))
    }

    /// What fills `{{username}}` of the filter; a distinguished name is looked up first.
    pub fn account(&self) -> &'a str {
        match self {
            Self::Account(account) | Self::Windows { account, .. } => account,
            Self::Dn(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Forms = Forms { windows: true, dn: true };

    #[test]
    fn each_form_is_what_it_is() {
        assert_eq!(Typed::read(" ada ", ALL), Some(Typed::Account("ada")));
        assert_eq!(Typed::read("ada@corp.example", ALL), Some(Typed::Account("ada@corp.example")));
        assert_eq!(Typed::read("CORP\\ada", ALL), Some(Typed::Windows { domain: "CORP", account: "ada" }));
        assert_eq!(Typed::read("uid=ada,dc=x", ALL), Some(Typed::Dn("uid=ada,dc=x")));
        assert_eq!(Typed::read("b(ob)*", ALL), Some(Typed::Account("b(ob)*")));
        assert_eq!(Typed::read("a=b=c", ALL), Some(Typed::Dn("a=b=c")));
    }

    #[test]
    fn a_form_that_is_not_served_is_an_account_like_any() {
        let none = Forms { windows: false, dn: false };
        assert_eq!(Typed::read("CORP\\ada", none), Some(Typed::Account("CORP\\ada")));
        assert_eq!(Typed::read("uid=ada,dc=x", none), Some(Typed::Account("uid=ada,dc=x")));
    }

    #[test]
    fn what_is_no_name_is_none() {
        for wrong in ["", "  ", "\\ada", "CORP\\", "a\\b\\c", &"x".repeat(513)] {
            assert_eq!(Typed::read(wrong, ALL), None, "{wrong}");
        }
    }
}
