//! Extended headers of tar archives (POSIX.1-2001, pax, "pax Extended Header").

use std::collections::BTreeMap;

/// The beginning of the keys of GNU's sparse files.
const SPARSE: &str = "GNU.sparse.";

/// The records of an extended header that change an entry.
#[derive(Debug, Default, PartialEq)]
pub struct Pax {
    /// Its path.
    pub path: Option<Vec<u8>>,
    /// The target of a link.
    pub link: Option<Vec<u8>>,
    /// Its size.
    pub size: Option<u64>,
    /// Whether it is a file with holes, whose bytes are not stored one after the other.
    pub is_sparse: bool,
}

impl Pax {
    /// Parses records of the form `<length> <key>=<value>\n`, where the length is that of the record. A value may hold any
    /// bytes, line feeds too.
    ///
    /// # Errors
    /// The record that has another form.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut values = BTreeMap::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (key, value, after) = record(rest).ok_or_else(|| {
                format!("the extended header has no record at byte {}", bytes.len() - rest.len())
            })?;
            values.insert(key, value);
            rest = after;
        }
        let text = |key: &str| values.get(key).map(|value| value.to_vec());
        let size = match values.get("size") {
            None => None,
            Some(digits) => {
                let size = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
                Some(size.ok_or("the extended header's size is no number")?)
            }
        };
        Ok(Self {
            path: text("GNU.sparse.name").or_else(|| text("path")),
            link: text("linkpath"),
            size,
            is_sparse: values.keys().any(|key| key.starts_with(SPARSE)),
        })
    }
}

fn record(bytes: &[u8]) -> Option<(&str, &[u8], &[u8])> {
    let space = bytes.iter().position(|&byte| byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    let record = bytes.get(space + 1..length)?;
    let (end, record) = record.split_last()?;
    let equals = record.iter().position(|&byte| byte == b'=')?;
    let key = std::str::from_utf8(&record[..equals]).ok()?;
    (*end == b'\n').then_some((key, &record[equals + 1..], &bytes[length..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_cut_by_their_lengths() {
        // The example of the standard has 30 bytes in a record of its own length.
        let header = b"19 path=a/x\ny=z.txt\n";
        let wrong = Pax::parse(header);
        assert!(wrong.is_err(), "the length is that of the whole record: {wrong:?}");
        let header = b"20 path=a/x\ny=z.txt\n19 mtime=1234567.5\n11 size=12\n";
        let pax = Pax::parse(header).unwrap();
        assert_eq!(pax.path.as_deref(), Some(&b"a/x\ny=z.txt"[..]));
        assert_eq!((pax.size, pax.is_sparse), (Some(12), false));
        assert!(Pax::parse(b"22 GNU.sparse.major=1\n").unwrap().is_sparse);
    }

    #[test]
    fn other_bytes_are_refused() {
        for bytes in [
            &b"x"[..],
            b"9999999999 a=b\n",
            b"0 a=b\n",
            b"3 a",
            b"6 a=b\x00",
            b"8 size=x\n",
            b"99999999999999999999 a\n",
        ] {
            assert!(Pax::parse(bytes).is_err(), "{bytes:?}");
        }
    }
}
