//! The word `"all"`, as the unit variant of an untagged enum whose other variant is a number.

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::Serializer;

const WORD: &str = "all";

pub(crate) fn serialize<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(WORD)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        WORD => Ok(()),
        // The enum's own message is shown instead.
        _ => Err(D::Error::custom("")),
    }
}
