//! From what a form or a URL carries to text: base64, and inflate with a hard end.

use std::io::Read as _;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::refuse;
use crate::connection::protocol::Checks;
use crate::error::{Error, Result, codes};

/// Nothing larger is read: neither the posted text, nor what it holds.
pub const MAX_MESSAGE: usize = 256 * 1024;

/// Some senders leave the padding out. Bits that mean nothing must be zero: one text for one message.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Base64 with line breaks wherever the sender put them.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    if text.bytes().any(|c| c.is_ascii_whitespace()) {
        let clean: Vec<u8> = text.bytes().filter(|c| !c.is_ascii_whitespace()).collect();
        return LENIENT.decode(clean).ok();
    }
    LENIENT.decode(text).ok()
}

/// The message of an HTTP-POST binding. Errors: `too_large`, `saml_structure`.
pub(super) fn post(text: &str, longest: usize, checks: &mut Checks) -> Result<String> {
    let longest = longest.min(MAX_MESSAGE);
    if text.len() > longest {
        return Err(too_large(longest, text.len(), checks));
    }
    let bytes = from_base64(text).ok_or_else(|| refuse(checks, "base64", "base64", "something else"))?;
    utf8(bytes, checks)
}

/// The message of an HTTP-Redirect binding: base64, then DEFLATE without a header (bindings §3.4.4.1).
/// Errors: `too_large`, `saml_structure`.
pub(super) fn redirect(text: &str, longest: usize, checks: &mut Checks) -> Result<String> {
    let longest = longest.min(MAX_MESSAGE);
    if text.len() > longest {
        return Err(too_large(longest, text.len(), checks));
    }
    let packed = from_base64(text).ok_or_else(|| refuse(checks, "base64", "base64", "something else"))?;
    let mut bytes = Vec::new();
    // One more than allowed tells a message that just fits from one that does not end.
    let end = u64::try_from(longest).unwrap_or(u64::MAX).saturating_add(1);
    let read = flate2::read::DeflateDecoder::new(&packed[..]).take(end).read_to_end(&mut bytes);
    if bytes.len() > longest {
        return Err(too_large(longest, "more than that", checks));
    }
    if read.is_err() {
        return Err(refuse(checks, "deflate", "DEFLATE", "something else"));
    }
    utf8(bytes, checks)
}

fn utf8(bytes: Vec<u8>, checks: &mut Checks) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| refuse(checks, "encoding", "UTF-8", "something else"))
}

fn too_large(longest: usize, received: impl ToString, checks: &mut Checks) -> Error {
    checks.compare("size", false, format!("at most {longest} bytes"), received);
    Error::says(&codes::TOO_LARGE, "The SAML message is too large.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn deflate(bytes: &[u8]) -> String {
        let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        writer.write_all(bytes).unwrap();
        base64::engine::general_purpose::STANDARD.encode(writer.finish().unwrap())
    }

    #[test]
    fn base64_may_be_broken_into_lines_and_lack_its_padding() {
        for text in ["PGE+", "PG\r\nE+\n", " P G E + "] {
            assert_eq!(from_base64(text).as_deref(), Some(&b"<a>"[..]), "{text:?}");
        }
        assert_eq!(from_base64("PGE"), Some(b"<a".to_vec()));
        for wrong in ["PGE-", "PGF", "P", "PGE+=", "PGE+\0"] {
            assert_eq!(from_base64(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn saml_32_inflating_ends_at_the_limit() {
        let mut checks = Checks::new();
        assert_eq!(redirect(&deflate(b"<a/>"), MAX_MESSAGE, &mut checks).unwrap(), "<a/>");
        let fits = "x".repeat(MAX_MESSAGE);
        assert_eq!(redirect(&deflate(fits.as_bytes()), MAX_MESSAGE, &mut checks).unwrap().len(), MAX_MESSAGE);
        for more in [1, 64 * 1024 * 1024] {
            let bomb = deflate(&vec![b'x'; MAX_MESSAGE + more]);
            let error = redirect(&bomb, MAX_MESSAGE, &mut checks).unwrap_err();
            assert!(error.is(&codes::TOO_LARGE), "{error:?}");
        }
        assert!(redirect("////", MAX_MESSAGE, &mut checks).unwrap_err().is(&codes::SAML_STRUCTURE));
        let long = "A".repeat(MAX_MESSAGE + 1);
        assert!(post(&long, MAX_MESSAGE, &mut checks).unwrap_err().is(&codes::TOO_LARGE));
        assert!(post("////", MAX_MESSAGE, &mut checks).unwrap_err().is(&codes::SAML_STRUCTURE), "not UTF-8");
    }
}
