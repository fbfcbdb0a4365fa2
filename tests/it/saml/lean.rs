//! A hostile post takes little memory, whatever it holds.

use authd::connection::protocol::Checks;
use authd::connection::saml::{self, MAX_MESSAGE};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::encrypted::documents;
use crate::world::saml::{Idp, MODES, posted};

/// More than that is too much.
const MOST: usize = 16 * 1024 * 1024;

/// The most memory that this process has ever held, in bytes.
fn peak() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn dos_05_a_hostile_post_takes_little_memory() {
    let idp = Idp::new();
    let mut posts: Vec<(String, String)> = Vec::new();
    for mode in MODES {
        let all = documents(&idp, mode).into_iter();
        posts.extend(all.map(|(name, xml)| (format!("{mode:?} {name}"), posted(&xml))));
    }
    // What is not even a message.
    for (name, bytes) in [
        ("zeros", vec![0; MAX_MESSAGE / 4 * 3]),
        ("noise", (0..MAX_MESSAGE / 4 * 3).map(|n| (n * 7 % 251) as u8).collect()),
        ("beyond the limit", vec![b'<'; MAX_MESSAGE * 8]),
    ] {
        posts.push((name.to_owned(), STANDARD.encode(bytes)));
    }
    posts.push(("no base64".to_owned(), "=".repeat(MAX_MESSAGE)));
    posts.push(("white space".to_owned(), " \n".repeat(MAX_MESSAGE / 2)));
    // What is kept from one reading to the next is there already.
    saml::read(&posted(&idp.answer("ada").xml()), &idp.expect(), &mut Checks::new()).unwrap();
    for (name, post) in posts {
        let before = peak();
        let mut checks = Checks::new();
        let _ = saml::read(&post, &idp.expect(), &mut checks);
        let _ = saml::peek(&post);
        let grown = peak() - before;
        assert!(grown < MOST, "{name}: {} KiB", grown / 1024);
        let noted: usize = checks.rows().iter().map(|row| format!("{row:?}").len()).sum();
        assert!(noted < 128 * 1024, "{name}: a trace of {noted} bytes");
    }
}
