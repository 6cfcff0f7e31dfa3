//! The target of a redirect.

/// The target of a redirect from `url`, which may be relative to it (RFC 3986, section 5.2, without dot segments).
pub(crate) fn joined(url: &str, target: &str) -> String {
    if target.contains("://") {
        return target.to_owned();
    }
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let path_and_query = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at_checked(path_and_query).unwrap_or((rest, ""));
    if target.starts_with("//") {
        return format!("{scheme}:{target}");
    }
    if target.starts_with('/') {
        return format!("{scheme}://{host}{target}");
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let folder = path.rfind('/').and_then(|end| path.get(..end)).unwrap_or_default();
    format!("{scheme}://{host}{folder}/{target}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_may_be_relative() {
        for (target, expected) in [
            ("/b/f", "https://hub/b/f"),
            ("https://storage/f", "https://storage/f"),
            ("//storage/f", "https://storage/f"),
            ("g?x=1", "https://hub/a/resolve/main/g?x=1"),
        ] {
            assert_eq!(joined("https://hub/a/resolve/main/f?y=/2", target), expected);
        }
        assert_eq!(joined("https://hub", "f"), "https://hub/f");
    }
}
