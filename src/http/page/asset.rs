//! The files that pages refer to: embedded in the binary, named by their content.
//!
//! `authd.css` is served as `/static/authd-<16 hex digits of its SHA-256>.css`, so a browser may keep it for
//! ever, and a new build is a new address.

use std::borrow::Cow;
use std::sync::LazyLock;

/// What a reply with an asset carries as `Cache-Control`: the address names the content.
pub const ASSET_CACHE: &str = "public, max-age=31536000, immutable";

#[derive(rust_embed::RustEmbed)]
#[folder = "assets/static/"]
struct Static;

struct Entry {
    name: String,
    /// The name with the hash in it: what follows `/static/`.
    hashed: String,
    mime: &'static str,
    bytes: Cow<'static, [u8]>,
    etag: String,
}

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    Static::iter()
        .filter_map(|name| {
            let file = Static::get(&name)?;
            let hash: String = file.metadata.sha256_hash()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
            let (stem, kind) = name.rsplit_once('.')?;
            Some(Entry {
                hashed: format!("{stem}-{hash}.{kind}"),
                mime: mime(kind),
                etag: format!("\"{hash}\""),
                bytes: file.data,
                name: name.into_owned(),
            })
        })
        .collect()
});

fn mime(kind: &str) -> &'static str {
    match kind {
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// The embedded file at `path` (what follows `/static/`): media type, bytes, entity tag with its quotes.
///
/// Only the name with the present hash is known. An address of another build is `None`, never other content.
pub fn asset(path: &str) -> Option<(&'static str, &'static [u8], &'static str)> {
    let entry = ENTRIES.iter().find(|entry| entry.hashed == path)?;
    Some((entry.mime, &entry.bytes, &entry.etag))
}

/// The address of the embedded file `name`, with its hash: `asset_url("authd.css")` → `/static/authd-….css`.
pub fn asset_url(name: &str) -> String {
    match ENTRIES.iter().find(|entry| entry.name == name) {
        Some(entry) => format!("/static/{}", entry.hashed),
        None => format!("/static/{name}"),
    }
}

/// Every embedded file by its plain name.
pub fn asset_names() -> impl Iterator<Item = &'static str> {
    ENTRIES.iter().map(|entry| entry.name.as_str())
}
