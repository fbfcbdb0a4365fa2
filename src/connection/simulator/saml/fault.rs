//! Ways to misbehave in an answer, one for a sign-in at a time.

use super::super::fault::faults;

faults! {
    /// What the SAML half of the simulator does wrong.
    AnswerFault {
        Wrapped = "wrapped", "Wrapped signature", "A forged assertion stands where authd looks, the signed one is moved aside. Refused: saml_structure.";
        WrappedResponse = "wrapped_response", "Wrapped response", "The signed response is hidden inside a forged one. Refused: saml_structure.";
        Comment = "comment", "Comment in the NameID", "A comment splits the name, so that some readers see a shorter one. Refused: saml_structure.";
        Doctype = "doctype", "Document type", "The message declares entities. Refused: saml_doctype.";
        ForeignReference = "foreign_reference", "Signature over an address", "The signature refers to a web address, which a careless reader would fetch. Refused: saml_reference.";
        Unsigned = "unsigned", "No signature", "Nothing is signed. Refused: saml_signature_missing.";
        Changed = "changed", "Changed after signing", "The name was changed after the signature was made. Refused: saml_signature_invalid.";
        OtherKey = "other_key", "Unknown certificate", "A key signs that the metadata does not have; its certificate is in the message. Refused: saml_signature_invalid.";
        Rotated = "rotated", "Rotated certificate", "A new certificate signs, and stands in the metadata from now on. Refused until authd has read the metadata again: saml_signature_invalid.";
        Sha1 = "sha1", "SHA-1", "The signature names RSA with SHA-1. Refused: saml_algorithm.";
        OnlyResponse = "only_response", "Only the response signed", "The signature is over the response alone. Works, unless the connection asks for signed assertions.";
        OnlyAssertion = "only_assertion", "Only the assertion signed", "The signature is over the assertion alone. Works, unless the connection asks for signed responses.";
        Encrypted = "encrypted", "Encrypted assertion", "The assertion is encrypted to the connection’s certificate. Works.";
        EncryptedElsewhere = "encrypted_elsewhere", "Encrypted to another key", "The assertion is encrypted to somebody else’s certificate. Refused: saml_decrypt.";
        WrongIssuer = "wrong_issuer", "Wrong issuer", "The answer says to be from another provider. Refused: saml_issuer.";
        WrongAudience = "wrong_audience", "Wrong audience", "The assertion is for another service. Refused: saml_audience.";
        WrongRecipient = "wrong_recipient", "Wrong recipient", "The assertion is for another address. Refused: saml_recipient.";
        WrongDestination = "wrong_destination", "Wrong destination", "The response goes to another address. Refused: saml_destination.";
        OtherRequest = "other_request", "Answer to another request", "The answer names a request that was never made. Refused: saml_in_response_to.";
        Unasked = "unasked", "Answer to no request", "The sign-in seems to begin here. Refused: saml_unsolicited, unless the connection allows it.";
        Replayed = "replayed", "Replayed answer", "The answer of the sign-in before is posted once more. Refused: saml_replay.";
        Stale = "stale", "Expired assertion", "The assertion ended an hour ago. Refused: saml_expired.";
        Endless = "endless", "Assertion without an end", "The assertion does not say until when it holds. Refused: saml_expired.";
        Future = "future", "Clock 10 minutes ahead", "The assertion is from the future. Refused: saml_not_yet_valid.";
        Transient = "transient", "Transient NameID", "The name is a new one each time. Refused: saml_nameid, unless the connection names an attribute as subject.";
        NoNameId = "no_name_id", "No NameID", "The assertion names nobody. Refused: saml_nameid.";
        NoAttributes = "no_attributes", "No attributes", "Nothing is told but the NameID. They come without name and address.";
        TwoEmails = "two_emails", "Two e-mail addresses", "Two addresses are told of one person. Refused: email_domain_not_owned.";
        ForeignEmail = "foreign_email", "E-mail of a foreign domain", "The address is in a domain that the connection does not own. They come as somebody new. Refused: email_domain_not_owned.";
        Denied = "denied", "Access denied", "The provider refuses the sign-in. Refused: upstream_denied.";
    }
}
