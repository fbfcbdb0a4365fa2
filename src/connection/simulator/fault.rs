//! Ways to misbehave, one for a sign-in at a time.

/// An enum of faults, each with the value in the form, a few words, and what it should lead to.
macro_rules! faults {
    ($(#[$about:meta])* $Fault:ident { $($name:ident = $id:literal, $label:literal, $explanation:literal;)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $Fault {
            $(#[doc = $explanation] $name,)*
        }

        impl $Fault {
            /// Every fault, in the order of the page.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The value of `fault` in the form.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id),* }
            }

            /// A few words.
            pub fn label(self) -> &'static str {
                match self { $(Self::$name => $label),* }
            }

            /// What is done wrong, and what it should lead to.
            pub fn explanation(self) -> &'static str {
                match self { $(Self::$name => $explanation),* }
            }

            /// The one of that id.
            pub fn find(id: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|fault| fault.id() == id)
            }
        }
    };
}
pub(super) use faults;

faults! {
    /// What the simulator does wrong.
    Fault {
        Expired = "expired", "Expired token", "The token ended an hour ago. Refused: token_expired.";
        ClockSkew = "clock_skew", "Clock 10 minutes ahead", "The token is from the future. Refused: token_claims.";
        RotatedKey = "rotated_key", "Rotated key", "A new key signs, and is published at once. Works: authd reads the new keys, at the latest half a minute later.";
        UnknownKey = "unknown_key", "Unknown key", "A key signs that is not published. Refused: token_key.";
        WrongSignature = "wrong_signature", "Wrong signature", "Another key signs under the published key’s name. Refused: token_signature.";
        AlgNone = "alg_none", "No signature", "The token says that it needs none. Refused: token_signature.";
        WrongAudience = "wrong_audience", "Wrong audience", "The token is for another client. Refused: token_audience.";
        WrongIssuer = "wrong_issuer", "Wrong issuer in the token", "The token is from another issuer. Refused: token_claims.";
        MixUp = "mix_up", "Wrong issuer in the answer", "The callback names another issuer (RFC 9207). Refused: issuer_mismatch, before the code is sent anywhere.";
        WrongNonce = "wrong_nonce", "Wrong nonce", "The token was made for another sign-in. Refused: nonce_mismatch.";
        NoNonce = "no_nonce", "No nonce", "The token does not say which sign-in it is for. Refused: nonce_mismatch.";
        WrongAtHash = "wrong_at_hash", "Wrong at_hash", "The token is not bound to the access token beside it. Refused: token_binding.";
        UserinfoSub = "userinfo_sub", "User info of somebody else", "User info tells another subject than the token. Refused: userinfo_sub.";
        UnverifiedEmail = "unverified_email", "E-mail not verified", "The provider does not vouch for the address. They come as somebody new. Refused: email_not_verified.";
        EmailVerifiedText = "email_verified_text", "E-mail verified as text", "email_verified is the text \"true\", not the value. Refused as if it were false: email_not_verified.";
        ForeignEmail = "foreign_email", "E-mail of a foreign domain", "The address is in a domain that the connection does not own. They come as somebody new. Refused: email_domain_not_owned.";
        Slow = "slow", "Slow answer", "The token endpoint takes 12 seconds. Refused: upstream_unavailable.";
        TokenError = "token_error", "Token endpoint fails", "The token endpoint answers with status 500. Refused: upstream_unavailable.";
        AccessDenied = "access_denied", "Access denied", "The provider refuses the sign-in. Refused: upstream_denied.";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_found_by_its_id_alone() {
        for fault in Fault::ALL {
            assert_eq!(Fault::find(fault.id()), Some(*fault));
        }
        assert_eq!(Fault::find(""), None);
    }
}
