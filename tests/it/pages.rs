//! Pages: no text breaks out of its place, nothing invisible passes unseen, nothing needs a script or an inline
//! style, every input has a label, every asset has a stable address.

use std::collections::BTreeSet;

use authd::http::page::{self, DemoToken, SignIn};

mod html;
mod samples;

use html::{PAYLOADS, shape, tags};
use samples::{Text, bare, full};

#[test]
fn no_payload_changes_the_shape_of_a_page() {
    let plain = full(&Text::hostile("plain"));
    for payload in PAYLOADS {
        for ((name, expected), (_, html)) in plain.iter().zip(full(&Text::hostile(payload))) {
            assert_eq!(shape(&html), shape(expected), "{name} with {payload:?}");
            let (found, _) = tags(&html);
            for tag in &found {
                for (attribute, value) in &tag.attributes {
                    assert!(!attribute.starts_with("on"), "{name}: {attribute} in {tag:?}");
                    if ["href", "src", "action", "formaction"].contains(&attribute.as_str()) {
                        let leads = value == "#"
                            || (value.starts_with('/') && !value.starts_with("//"))
                            || value.starts_with("https://")
                            || value.starts_with("http://");
                        assert!(leads, "{name} with {payload:?}: {attribute}={value:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn an_ampersand_is_not_read_as_an_entity_of_the_text() {
    for (name, html) in full(&Text::hostile("&lt;b&gt; &amp;")) {
        assert!(html.contains("&#38;lt;b&#38;gt; &#38;amp;"), "{name}");
        assert!(!html.contains("&lt;b"), "{name}");
    }
}

#[test]
fn what_is_not_seen_is_shown() {
    let hidden = [
        '\u{0}',
        '\u{7}',
        '\u{8}',
        '\r',
        '\u{1b}',
        '\u{7f}',
        '\u{85}',
        '\u{9b}',
        '\u{ad}',
        '\u{61c}',
        '\u{200b}',
        '\u{200e}',
        '\u{200f}',
        '\u{2028}',
        '\u{2029}',
        '\u{202a}',
        '\u{202b}',
        '\u{202c}',
        '\u{202d}',
        '\u{202e}',
        '\u{2060}',
        '\u{2066}',
        '\u{2067}',
        '\u{2068}',
        '\u{2069}',
        '\u{feff}',
        '\u{e0041}',
    ];
    for c in hidden {
        for (name, html) in full(&Text::hostile(&format!("a{c}b"))) {
            assert!(html.contains(&format!("a‹U+{:04X}›b", u32::from(c))), "{name} with U+{:04X}", u32::from(c));
            assert!(!html.contains(c), "{name} with U+{:04X}", u32::from(c));
        }
    }
    for (name, html) in full(&Text::ordinary()).into_iter().chain(bare()) {
        assert!(html.chars().all(|c| c == '\n' || !page::display::is_hidden(c)), "{name}");
    }
}

#[test]
fn no_text_takes_a_page_over_by_its_length() {
    let long = "ä".repeat(100_000);
    let page =
        SignIn { app_name: Some(long.clone()), email: long.clone(), request_id: long.clone(), ..SignIn::default() }
            .render();
    assert!(page.len() < 8_000, "{}", page.len());
    let page = DemoToken { token: long.clone(), payload_json: long, ..DemoToken::default() }.render();
    assert!(page.len() < 160_000, "{}", page.len());
}

#[test]
fn hidden_values_and_addresses_come_back_whole() {
    let long = format!("/signin?attempt={}", "x".repeat(4_000));
    let page = SignIn { action: long.clone(), attempt: "a".repeat(3_000), ..SignIn::default() }.render();
    let (found, _) = tags(&page);
    let value = |name: &str| {
        found.iter().find(|tag| tag.get("name") == Some(name)).and_then(|tag| tag.get("value")).map(str::to_owned)
    };
    assert_eq!(found.iter().find(|tag| tag.name == "form").and_then(|form| form.get("action")), Some(long.as_str()));
    assert_eq!(value("attempt").unwrap().len(), 3_000);
    assert_eq!(value("email").unwrap(), "");
}

#[test]
fn pages_hold_to_their_content_security_policy() {
    let policy = authd::http::headers::page_policy([]);
    assert!(policy.to_str().unwrap().starts_with(
        "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'"
    ));
    for (name, html) in full(&Text::ordinary()).into_iter().chain(bare()) {
        let (found, _) = tags(&html);
        for tag in &found {
            assert!(!["script", "style", "object", "embed", "base"].contains(&tag.name.as_str()), "{name}: {tag:?}");
            if tag.name == "iframe" {
                // The one page that opens apps in frames; none of them gets hold of the page around it.
                assert_eq!(name, "signed_out", "{tag:?}");
                assert_eq!(tag.get("sandbox"), Some("allow-scripts allow-same-origin"));
            }
            assert!(tag.attributes.iter().all(|(a, _)| a != "style" && !a.starts_with("on")), "{name}: {tag:?}");
            if ["link", "img"].contains(&tag.name.as_str()) {
                let address = tag.get("href").or(tag.get("src")).unwrap();
                let file = address.strip_prefix("/static/").unwrap_or_else(|| panic!("{name}: {address}"));
                assert!(page::asset(file).is_some(), "{name}: {address}");
            }
        }
    }
    for file in page::asset_names().filter(|name| name.ends_with(".css")) {
        let url = page::asset_url(file);
        let css = std::str::from_utf8(page::asset(url.trim_start_matches("/static/")).unwrap().1).unwrap();
        for elsewhere in ["url(", "@import", "@font-face", "expression("] {
            assert!(!css.contains(elsewhere), "{file}: {elsewhere}");
        }
    }
}

#[test]
fn pages_can_be_read_without_seeing_them() {
    for (name, html) in full(&Text::ordinary()).into_iter().chain(bare()) {
        let (found, _) = tags(&html);
        let all = |tag: &'static str| found.iter().filter(move |t| t.name == tag);
        assert!(html.starts_with("<!doctype html>"), "{name}");
        assert_eq!(all("html").next().and_then(|t| t.get("lang")), Some("en"), "{name}");
        assert_eq!(all("main").count(), 1, "{name}");
        assert_eq!(all("h1").count(), 1, "{name}");
        assert_eq!(all("title").count(), 1, "{name}");

        let ids: Vec<&str> = found.iter().filter_map(|tag| tag.get("id")).collect();
        assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "{name}: an id stands twice");
        for tag in &found {
            for refers in ["aria-describedby", "aria-labelledby"] {
                for id in tag.get(refers).unwrap_or_default().split_whitespace() {
                    assert!(ids.contains(&id), "{name}: {refers} names #{id}");
                }
            }
            if tag.name == "img" {
                assert!(tag.get("alt").is_some(), "{name}: a picture without a text");
            }
            if tag.name == "svg" {
                assert!(tag.get("aria-hidden").is_some() || tag.get("aria-label").is_some(), "{name}: {tag:?}");
            }
            let asks =
                ["input", "select", "textarea"].contains(&tag.name.as_str()) && tag.get("type") != Some("hidden");
            if asks {
                let id = tag.get("id").unwrap_or_else(|| panic!("{name}: {tag:?}"));
                assert!(all("label").any(|label| label.get("for") == Some(id)), "{name}: no label for #{id}");
            }
            if tag.name == "form" {
                assert_eq!(tag.get("method"), Some("post"), "{name}");
            }
        }
        assert!(all("input").filter(|t| t.get("autofocus").is_some()).count() <= 1, "{name}");
    }
}

#[test]
fn an_error_is_tied_to_its_field() {
    let pages = full(&Text::ordinary());
    let page = |name: &str| &pages.iter().find(|(n, _)| *n == name).unwrap().1;
    let field = |html: &str| tags(html).0.into_iter().find(|tag| tag.get("id") == Some("email")).unwrap();
    let (right, wrong) = (field(page("sign_in")), field(page("sign_in_error")));
    assert_eq!(right.get("aria-invalid"), None);
    assert_eq!(wrong.get("aria-invalid"), Some("true"));
    assert_eq!(wrong.get("aria-describedby"), Some("email-error"));
    assert_eq!(wrong.get("value"), Some("ada@acme"));
    assert_eq!(wrong.get("autocomplete"), Some("username"));
}

#[test]
fn forms_send_the_fields_they_promise() {
    use page::field;
    let pages = full(&Text::ordinary());
    for (page, fields) in [
        ("sign_in", vec![field::ATTEMPT, field::EMAIL]),
        ("choose_connection", vec![field::ATTEMPT, field::CONNECTION]),
        ("account", vec![field::SESSION, field::APP]),
        ("device_enter", vec![field::USER_CODE]),
        ("device_confirm", vec![field::ATTEMPT, field::DECISION]),
        ("confirm_sign_out", vec![field::ATTEMPT]),
        ("consent", vec![field::ATTEMPT, field::DECISION]),
        ("form_post", vec!["code", "state"]),
        ("people", vec!["request", field::FAULT, field::PERSON]),
    ] {
        let html = &pages.iter().find(|(name, _)| *name == page).unwrap().1;
        let sent: BTreeSet<String> = tags(html)
            .0
            .iter()
            .filter(|tag| ["input", "select", "button"].contains(&tag.name.as_str()))
            .filter_map(|tag| tag.get("name").map(str::to_owned))
            .collect();
        assert_eq!(sent, fields.iter().map(|f| (*f).to_owned()).collect(), "{page}");
    }
}

#[test]
fn the_test_provider_cannot_be_mistaken() {
    let marked = |html: &str| tags(html).0.iter().any(|tag| tag.get("class") == Some("test-banner"));
    for (name, html) in full(&Text::ordinary()) {
        assert_eq!(marked(&html), name.starts_with("people"), "{name}");
    }
}

#[test]
fn templates_never_switch_the_escaping_off() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/pages");
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        if path.extension().is_some_and(|kind| kind == "html") {
            for way in ["|safe", "| safe", "|escape", "| escape", "|e(", "filter safe", "style=", "<script"] {
                assert!(!text.contains(way), "{}: {way}", path.display());
            }
        }
    }
}

#[test]
fn assets_are_named_by_their_content() {
    let names: Vec<_> = page::asset_names().collect();
    for expected in ["authd.css", "demo.css", "mark.svg", "demo.svg"] {
        assert!(names.contains(&expected), "{expected}");
    }
    for name in names {
        let url = page::asset_url(name);
        assert_eq!(url, page::asset_url(name));
        let file = url.strip_prefix("/static/").unwrap();
        let (stem, kind) = name.rsplit_once('.').unwrap();
        let hash = file
            .strip_prefix(stem)
            .unwrap()
            .strip_prefix('-')
            .unwrap()
            .strip_suffix(kind)
            .unwrap()
            .strip_suffix('.')
            .unwrap();
        assert!(hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{file}");

        let (mime, bytes, etag) = page::asset(file).unwrap();
        assert_eq!(etag, format!("\"{hash}\""));
        assert_eq!(bytes, std::fs::read(format!("{}/assets/static/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap());
        assert_eq!(mime, if kind == "css" { "text/css; charset=utf-8" } else { "image/svg+xml" });
        assert!(page::asset(name).is_none(), "{name} without its hash");
        assert!(page::asset(&file.replace(hash, "0000000000000000")).is_none());
    }
    for elsewhere in ["", "../Cargo.toml", "authd.css/", "/authd.css", "..%2fpages%2flayout.html"] {
        assert!(page::asset(elsewhere).is_none(), "{elsewhere}");
    }
}

/// Contrast of the WCAG 2.2 between two colours of the form `#rrggbb`.
fn contrast(one: &str, other: &str) -> f64 {
    let luminance = |colour: &str| {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    };
    let (a, b) = (luminance(one), luminance(other));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn colours_keep_their_contrast() {
    // Text: 4.5 (WCAG 1.4.3). Edges of controls, marks, focus rings: 3 (WCAG 1.4.11).
    let text = [
        ("ink", "paper"),
        ("ink", "card"),
        ("ink", "well"),
        ("soft", "paper"),
        ("soft", "card"),
        ("soft", "well"),
        ("soft", "accent-well"),
        ("accent", "card"),
        ("accent", "paper"),
        ("accent", "accent-well"),
        ("on-fill", "fill"),
        ("on-fill", "fill-over"),
        ("bad", "card"),
        ("bad", "bad-well"),
        ("test", "test-well"),
        ("test", "test-stripe"),
        ("test", "card"),
        ("test", "accent-well"),
        ("good", "card"),
        ("part-0", "well"),
        ("part-1", "well"),
        ("part-2", "well"),
        ("part-0", "paper"),
        ("part-1", "paper"),
        ("part-2", "paper"),
    ];
    let marks = [("edge", "card"), ("edge", "paper"), ("accent", "well")];
    let sheets = [include_str!("../../assets/static/authd.css"), include_str!("../../assets/static/demo.css")];
    for (sheet, css) in ["authd.css", "demo.css"].iter().zip(sheets) {
        let blocks: Vec<&str> =
            css.split(":root {").skip(1).take(2).map(|block| block.split('}').next().unwrap()).collect();
        assert_eq!(blocks.len(), 2, "{sheet}: light and dark");
        for (scheme, block) in ["light", "dark"].iter().zip(blocks) {
            let colour = |role: &str| {
                let at = block.find(&format!("--{role}: #"))?;
                block[at..].split(": ").nth(1).map(|value| value[..7].to_owned())
            };
            for (pairs, least) in [(text.as_slice(), 4.5), (marks.as_slice(), 3.0)] {
                for (front, back) in pairs {
                    let (Some(a), Some(b)) = (colour(front), colour(back)) else { continue };
                    let found = contrast(&a, &b);
                    assert!(found >= least, "{sheet}, {scheme}: {front} on {back} is {found:.2}, less than {least}");
                }
            }
        }
    }
}

/// Writes every page with ordinary, hostile, long and missing texts to `target/tmp/pages`, for looking at.
#[test]
#[ignore = "writes a gallery of all pages"]
fn gallery() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("static")).unwrap();
    let hostile = format!(
        "<script>alert(1)</script> \"x\u{202e}fdp.exe\u{1b}]52 {}",
        "Wolfeschlegelsteinhausenbergerdorff".repeat(9)
    );
    let sets = [
        ("ordinary", full(&Text::ordinary())),
        ("bare", bare()),
        ("hostile", full(&Text { any: Box::new(move |_| hostile.clone()), href: Box::new(str::to_owned) })),
    ];
    for (set, pages) in sets {
        for (name, html) in pages {
            std::fs::write(folder.join(format!("{set}-{name}.html")), html).unwrap();
        }
    }
    for (n, payload) in PAYLOADS.iter().enumerate() {
        for (name, html) in full(&Text::hostile(payload)) {
            std::fs::write(folder.join(format!("xss{n:02}-{name}.html")), html).unwrap();
        }
    }
    for name in page::asset_names() {
        let url = page::asset_url(name);
        std::fs::write(folder.join(&url[1..]), page::asset(&url["/static/".len()..]).unwrap().1).unwrap();
    }
}
