//! The hub's API for datasets: the commit of a revision, and the list of its files.

use std::io::Read;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::checkpoint::is_plain_file_name;
use crate::client::{Client, header, status_error};
use crate::error::{Error, Result};
use crate::repository::percent_encoded;

/// The largest response. A page of the list has at most 1,000 entries of some hundred bytes.
const LARGEST_RESPONSE: u64 = 64 << 20;

/// The largest number of pages of a list.
const MOST_PAGES: usize = 1000;

/// The commit of a revision of the dataset `id`.
pub(crate) fn commit(client: &Client, endpoint: &str, id: &str, revision: &str) -> Result<String> {
    #[derive(Deserialize)]
    struct Info {
        sha: String,
    }
    let url = format!("{endpoint}/api/datasets/{id}/revision/{}", percent_encoded(revision));
    let (Info { sha }, _) = get(client, &url)?;
    // The commit becomes a file name.
    if is_plain_file_name(&sha) { Ok(sha) } else { Err(Error::NotAHub { url: (&url).into(), header: "sha" }) }
}

/// The paths of all files of the dataset `id` at `commit`.
pub(crate) fn files(client: &Client, endpoint: &str, id: &str, commit: &str) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Entry {
        r#type: String,
        path: String,
    }
    let mut url = format!("{endpoint}/api/datasets/{id}/tree/{}?recursive=true", percent_encoded(commit));
    let mut files = Vec::new();
    for _ in 0..MOST_PAGES {
        let (entries, next): (Vec<Entry>, _) = get(client, &url)?;
        files.extend(entries.into_iter().filter(|entry| entry.r#type == "file").map(|entry| entry.path));
        match next {
            // The token is sent to the hub only, whatever the list says.
            Some(next) if next.starts_with(&format!("{endpoint}/")) => url = next,
            Some(next) => {
                let reason = "the list of files goes on at another host".to_owned();
                return Err(Error::BadUrl { url: (&next).into(), reason });
            }
            None => return Ok(files),
        }
    }
    Err(Error::BadUrl {
        url: (&url).into(),
        reason: format!("the list of files has more than {MOST_PAGES} pages"),
    })
}

/// A JSON value, and the URL of the next page.
fn get<T: DeserializeOwned>(client: &Client, url: &str) -> Result<(T, Option<String>)> {
    client.with_retries(|| {
        let mut response = client.get(url, &[])?;
        if let Some(error) = status_error(url, response.status().as_u16()) {
            return Err(error);
        }
        let next = header(&response, "link").and_then(next_page);
        let mut body = Vec::new();
        let mut reader = response.body_mut().as_reader().take(LARGEST_RESPONSE);
        if let Err(error) = reader.read_to_end(&mut body) {
            return Err(client.broken_off(url, body.len() as u64, error));
        }
        let value = serde_json::from_slice(&body);
        Ok((value.map_err(|_| Error::NotAHub { url: url.into(), header: "JSON body" })?, next))
    })
}

/// The URL with `rel="next"` in a `Link` header (RFC 8288).
fn next_page(link: &str) -> Option<String> {
    link.split(',').find_map(|part| {
        let (url, parameters) = part.trim().strip_prefix('<')?.split_once('>')?;
        parameters.contains("rel=\"next\"").then(|| url.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_named_by_the_link_header() {
        let link = "<https://hub/api/a?cursor=x>; rel=\"next\", <https://hub/api/a>; rel=\"first\"";
        assert_eq!(next_page(link).as_deref(), Some("https://hub/api/a?cursor=x"));
        assert_eq!(next_page("<https://hub/api/a>; rel=\"first\""), None);
        assert_eq!(next_page("garbage"), None);
    }
}
