//! Why a directory says no: result codes (RFC 4511, appendix A) and what Active Directory hides in its message.

/// Why a bind was refused, for whoever looks after the directory. The person is told one sentence, whatever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// A stable name.
    pub name: &'static str,
    /// In words.
    pub says: &'static str,
}

const fn reason(name: &'static str, says: &'static str) -> Reason {
    Reason { name, says }
}

/// Name or password is not right; nothing more is known.
pub const WRONG: Reason = reason("wrong_password", "the password is not right");
/// Nobody was found.
pub const NOBODY: Reason = reason("not_found", "no entry fits the filter");
/// More than one was found.
pub const SEVERAL: Reason = reason("ambiguous", "more than one entry fits the filter");
/// The account is switched off.
pub const DISABLED: Reason = reason("account_disabled", "the account is disabled");
/// The account has ended.
pub const EXPIRED: Reason = reason("account_expired", "the account has expired");
/// The account is locked.
pub const LOCKED: Reason = reason("account_locked", "the account is locked");
/// The password was right once.
pub const PASSWORD_EXPIRED: Reason = reason("password_expired", "the password has expired");
/// The password is right, and good for nothing but its own change.
pub const MUST_CHANGE: Reason = reason("password_must_change", "the password must be changed first");

/// Active Directory's `data` of a refused bind, as it stands in the message: `… AcceptSecurityContext error, data 52e, v…`.
fn subcode(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("data ")?;
    let end = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
    let code = rest.get(..end)?;
    (1..=8).contains(&code.len()).then_some(code)
}

/// Why a bind ended with `code`.
pub fn of_bind(code: u32, message: &str) -> Reason {
    if let Some(data) = subcode(message) {
        match data.to_ascii_lowercase().as_str() {
            "525" => return NOBODY,
            "52e" => return WRONG,
            "530" => return reason("not_now", "the account may not sign in at this time"),
            "531" => return reason("not_here", "the account may not sign in from this machine"),
            "532" => return PASSWORD_EXPIRED,
            "533" => return DISABLED,
            "568" => return reason("too_many_groups", "the account is in too many groups"),
            "701" => return EXPIRED,
            "773" => return MUST_CHANGE,
            "775" => return LOCKED,
            _ => {}
        }
    }
    match code {
        49 => WRONG,
        // Constraint violation: how the 389 directory says it, and those that come of it, after too many tries.
        19 => LOCKED,
        48 => reason("no_password_sign_in", "the account cannot sign in by password"),
        50 => reason("not_allowed", "the account may not sign in"),
        53 => reason("refused", "the directory is unwilling to let the account sign in"),
        32 => NOBODY,
        _ => reason("refused", "the directory refused the sign-in"),
    }
}

/// Whether a bind that ended with `code` says something about the person, and not about the server or about us.
pub fn is_of_the_person(code: u32) -> bool {
    matches!(code, 19 | 32 | 34 | 48 | 49 | 50 | 53)
}

/// What a result code means to whoever set up the connection.
pub fn says(code: u32) -> &'static str {
    match code {
        0 => "success",
        1 => "operations error: most directories want a bind before a search",
        2 => "protocol error",
        3 => "the directory's time limit was passed",
        4 => "the directory's size limit was passed",
        7 | 48 => "this way to authenticate is not served",
        8 => "the directory wants a stronger way to authenticate: use ldaps or StartTLS",
        10 => "the directory refers to another server, which authd does not follow",
        11 => "the directory's administrative limit was passed",
        12 => "the directory lacks an extension that is needed",
        13 => "the directory wants an encrypted connection: use ldaps or StartTLS",
        32 => "there is no such entry",
        34 => "the distinguished name is not valid",
        49 => "name or password is not right",
        50 => "the account has not the right to do this",
        51 => "the directory is busy",
        52 => "the directory is unavailable",
        53 => "the directory is unwilling to do this",
        _ => "the directory refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_active_directory_hides_is_found() {
        let says = |data: &str| {
            let text =
                format!("80090308: LdapErr: DSID-0C090400, comment: AcceptSecurityContext error, data {data}, v1db1");
            of_bind(49, &text).name
        };
        for (data, name) in [
            ("525", "not_found"),
            ("52e", "wrong_password"),
            ("52E", "wrong_password"),
            ("530", "not_now"),
            ("531", "not_here"),
            ("532", "password_expired"),
            ("533", "account_disabled"),
            ("701", "account_expired"),
            ("773", "password_must_change"),
            ("775", "account_locked"),
            ("7777", "wrong_password"),
        ] {
            assert_eq!(says(data), name, "{data}");
        }
    }

    #[test]
    fn other_directories_say_it_by_the_code_alone() {
        assert_eq!(of_bind(49, "").name, "wrong_password");
        assert_eq!(of_bind(53, "account inactivated").name, "refused");
        assert_eq!(of_bind(49, "data ").name, "wrong_password");
        assert_eq!(of_bind(19, "Exceed password retry limit. Please try later.").name, "account_locked");
        assert!(!is_of_the_person(8) && !is_of_the_person(0) && is_of_the_person(49) && is_of_the_person(19));
    }
}
