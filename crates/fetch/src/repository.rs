//! A repository of the hub: where it is in URLs and in the cache.

/// A repository of the hub.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Repository {
    is_dataset: bool,
    id: String,
}

impl Repository {
    /// The model `id`, which is `owner/name`.
    pub fn model(id: &str) -> Self {
        Self { is_dataset: false, id: id.to_owned() }
    }

    /// The dataset `id`, which is `owner/name`.
    pub fn dataset(id: &str) -> Self {
        Self { is_dataset: true, id: id.to_owned() }
    }

    /// Its place in the hub's URLs.
    pub fn url_path(&self) -> String {
        if self.is_dataset { format!("datasets/{}", self.id) } else { self.id.clone() }
    }

    /// Its folder in the cache.
    pub fn folder_name(&self) -> String {
        let kind = if self.is_dataset { "datasets" } else { "models" };
        format!("{kind}--{}", self.id.replace('/', "--"))
    }
}

/// A text as one segment of a URL's path: the revision `refs/pr/1` is `refs%2Fpr%2F1`.
pub(crate) fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_one_segment() {
        assert_eq!(percent_encoded("refs/pr/1"), "refs%2Fpr%2F1");
        assert_eq!(percent_encoded("v1.0-beta"), "v1.0-beta");
        assert_eq!(percent_encoded("見"), "%E8%A6%8B");
    }

    #[test]
    fn models_and_datasets_have_their_own_places() {
        assert_eq!(Repository::model("owner/name").url_path(), "owner/name");
        assert_eq!(Repository::dataset("owner/name").url_path(), "datasets/owner/name");
        assert_eq!(Repository::dataset("owner/name").folder_name(), "datasets--owner--name");
    }
}
