//! Sources of a corpus or a checkpoint, which may hold secrets, and the form in which they are shown.
//!
//! A URL can hold a password (`https://user:password@host/`) or a token (`?token=…`, signed addresses). Artifacts, reports and
//! messages are passed on, so no secret may stand in them. This file is the only place that decides what is shown.

use std::fmt::{Debug, Display, Formatter};

use serde::{Deserialize, Serialize, Serializer};

/// What stands for a hidden part.
const HIDDEN: &str = "***";

/// What ends a URL in a text.
const ENDS: [char; 8] = ['"', '\'', '`', '<', '>', '|', '\\', '\u{a0}'];

/// Parameters that are a secret or change with one: they do not tell two files apart.
const SECRET: [&str; 18] = [
    "token",
    "access_token",
    "auth_token",
    "id_token",
    "api_key",
    "apikey",
    "sig",
    "signature",
    "password",
    "passwd",
    "pwd",
    "secret",
    "jwt",
    "expires",
    "policy",
    "key-pair-id",
    "awsaccesskeyid",
    "googleaccessid",
];

/// The beginnings of parameters of signed addresses, of Amazon and Google.
const SIGNED: [&str; 2] = ["x-amz-", "x-goog-"];

/// Parameters of Azure's shared access signatures, which have a `sig` beside them.
const SHARED_ACCESS: [&str; 13] =
    ["sv", "ss", "srt", "sp", "se", "st", "spr", "sr", "sip", "skoid", "sktid", "skt", "ske"];

/// A path, a URL or an id, as the configuration gives it.
///
/// It is shown, debugged and written without its secrets; [`with_secrets`](Self::with_secrets) is for requests alone.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Source(String);

impl Source {
    /// The source as it was given. It must reach neither a file nor a message.
    pub fn with_secrets(&self) -> &str {
        &self.0
    }

    /// Whether nothing is given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The source without its secrets.
    pub fn shown(&self) -> String {
        shown(&self.0)
    }
}

impl From<&str> for Source {
    fn from(written: &str) -> Self {
        Self(written.to_owned())
    }
}

impl From<String> for Source {
    fn from(written: String) -> Self {
        Self(written)
    }
}

impl Display for Source {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.shown())
    }
}

impl Debug for Source {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        Debug::fmt(&self.shown(), formatter)
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown())
    }
}

/// A source without its secrets: of a URL, user and password, the query and the fragment are hidden. What identifies the file in
/// a query is shown as a digest, so that two files have two names. What is shown is shown again as it is.
pub fn shown(source: &str) -> String {
    let Some(url) = Url::of(source) else { return source.to_owned() };
    let Url { scheme, user, host, path, query, fragment } = url;
    let user = if user.is_some() { format!("{HIDDEN}@") } else { String::new() };
    let query = query.map(|query| format!("?{HIDDEN}{}", tag(query))).unwrap_or_default();
    let fragment = if fragment.is_some() { format!("#{HIDDEN}") } else { String::new() };
    format!("{scheme}{user}{host}{path}{query}{fragment}")
}

/// A text of another program or library, such as an error, with the secrets of every URL in it hidden.
pub fn hide_secrets(text: &str) -> String {
    let mut hidden = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(colon) = rest.find("://") {
        let before = rest.get(..colon).unwrap_or_default();
        let is_scheme = |character: char| character.is_ascii_alphanumeric() || "+-.".contains(character);
        let start = before.trim_end_matches(is_scheme).len();
        let from = rest.get(start..).unwrap_or_default();
        let is_end = |character: char| {
            character.is_whitespace() || character.is_control() || ENDS.contains(&character)
        };
        let end = from.find(is_end).unwrap_or(from.len());
        hidden.push_str(rest.get(..start).unwrap_or_default());
        hidden.push_str(&shown(from.get(..end).unwrap_or_default()));
        rest = from.get(end..).unwrap_or_default();
    }
    hidden.push_str(rest);
    hidden
}

/// What identifies a file in the query of a URL: eight hexadecimal digits, or nothing if only secrets are there.
pub fn query_tag(source: &str) -> String {
    Url::of(source).and_then(|url| url.query).map(tag).unwrap_or_default()
}

/// The parts of a URL.
struct Url<'u> {
    /// With the colon and the slashes.
    scheme: &'u str,
    user: Option<&'u str>,
    host: &'u str,
    path: &'u str,
    query: Option<&'u str>,
    fragment: Option<&'u str>,
}

impl<'u> Url<'u> {
    /// The parts of `source`, unless it is a path or an id. An address of the web is one even if a slash is missing.
    fn of(source: &'u str) -> Option<Self> {
        let lower = source.to_ascii_lowercase();
        let of_web = ["http:", "https:"].into_iter().find(|scheme| lower.starts_with(scheme)).map(|scheme| {
            let rest = source.get(scheme.len()..).unwrap_or_default();
            source.len() - rest.trim_start_matches(['/', '\\']).len()
        });
        let start = of_web.or_else(|| source.find("://").map(|colon| colon + "://".len()))?;
        let (scheme, rest) = source.split_at_checked(start)?;
        let (rest, fragment) = split(rest, '#');
        let (rest, query) = split(rest, '?');
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        Some(Self { scheme, user, host, path, query, fragment })
    }
}

/// The text before and after the first `separator`.
fn split(text: &str, separator: char) -> (&str, Option<&str>) {
    text.split_once(separator).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// Eight hexadecimal digits of the parameters that are no secrets. What is already hidden has its digits.
fn tag(query: &str) -> String {
    if let Some(tag) = query.strip_prefix(HIDDEN) {
        return tag.to_owned();
    }
    let parameters = || query.split('&').filter(|parameter| !parameter.is_empty());
    let is_shared_access = parameters().any(|parameter| name_of(parameter) == "sig");
    let is_secret = |name: &str| {
        SECRET.contains(&name)
            || SIGNED.iter().any(|start| name.starts_with(start))
            || is_shared_access && SHARED_ACCESS.contains(&name)
    };
    let kept: Vec<&str> = parameters().filter(|parameter| !is_secret(&name_of(parameter))).collect();
    match kept.as_slice() {
        [] => String::new(),
        kept => format!("{:08x}", digest(&kept.join("&"))),
    }
}

fn name_of(parameter: &str) -> String {
    parameter.split('=').next().unwrap_or_default().to_ascii_lowercase()
}

/// FNV-1a of 64 bits, folded to 32 (Fowler, Noll and Vo; <http://www.isthe.com/chongo/tech/comp/fnv/>). So short a digest tells
/// files apart and cannot be turned back.
fn digest(text: &str) -> u32 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let [a, b, c, d, e, f, g, h] = hash.to_le_bytes();
    u32::from_le_bytes([a, b, c, d]) ^ u32::from_le_bytes([e, f, g, h])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_a_url_are_hidden_and_the_rest_is_shown() {
        for (written, expected) in [
            ("https://host/a/b.zip", "https://host/a/b.zip"),
            ("https://user:pass@host:8443/b.zip", "https://***@host:8443/b.zip"),
            ("https://token@host/b.zip", "https://***@host/b.zip"),
            ("https://u:p@ss@host/b.zip", "https://***@host/b.zip"),
            ("https://host/b.zip?token=S", "https://host/b.zip?***"),
            ("https://host/b.zip?X-Amz-Signature=S&X-Amz-Expires=60", "https://host/b.zip?***"),
            ("https://host/b.zip?sv=1&se=2&sig=S", "https://host/b.zip?***"),
            ("https://host/b.zip#S", "https://host/b.zip#***"),
            ("HTTPS://u:p@host", "HTTPS://***@host"),
            ("https:/u:p@host/b", "https:/***@host/b"),
            ("ftp://u:p@host/b", "ftp://***@host/b"),
            ("hf://datasets/a/b@main/c", "hf://datasets/a/b@main/c"),
            ("data/a@b?c", "data/a@b?c"),
            ("owner/name", "owner/name"),
            ("bundled:multilingual-e5-small", "bundled:multilingual-e5-small"),
            ("", ""),
        ] {
            assert_eq!(shown(written), expected);
            assert_eq!(shown(&shown(written)), expected, "what is shown is shown as it is");
        }
    }

    /// Two files behind one path stay two files, whatever secret each was fetched with.
    #[test]
    fn a_query_that_names_a_file_has_a_digest() {
        let one = shown("https://host/get?file=a&token=S");
        assert_eq!(one, shown("https://host/get?token=T&file=a"));
        assert_ne!(one, shown("https://host/get?file=b&token=S"));
        assert_eq!(shown(&one), one);
        assert_eq!(query_tag(&one), query_tag("https://host/get?file=a"));
        assert_eq!(query_tag(&one).len(), 8);
        assert_ne!(shown("https://host/get?key=a"), shown("https://host/get?key=b"));
        assert_ne!(shown("https://host/get?st=a"), shown("https://host/get?st=b"));
        // The published value of FNV-1a for "a": af63dc4c8601ec8c.
        assert_eq!(digest("a"), 0xaf63_dc4c ^ 0x8601_ec8c);
    }

    #[test]
    fn every_url_in_a_text_is_shown_without_secrets() {
        let text = "cannot open \"https://u:p@host/a?token=S\": see https://host/b?sig=S and http://c/";
        assert_eq!(
            hide_secrets(text),
            "cannot open \"https://***@host/a?***\": see https://host/b?*** and http://c/"
        );
        assert_eq!(hide_secrets("no address :// here"), "no address :// here");
        assert_eq!(hide_secrets("あhttps://u:p@host"), "あhttps://***@host");
    }

    #[test]
    fn no_way_of_writing_a_source_shows_its_secrets() {
        #[derive(Serialize)]
        struct Holder {
            source: Source,
        }
        let source = Source::from("https://u:hush@host/a?token=hush");
        let written = toml::to_string(&Holder { source: source.clone() }).unwrap();
        for text in [source.to_string(), format!("{source:?}"), source.shown(), written] {
            assert!(!text.contains("hush") && text.contains("https://***@host/a?***"), "{text}");
        }
        assert_eq!(source.with_secrets(), "https://u:hush@host/a?token=hush");
    }
}
