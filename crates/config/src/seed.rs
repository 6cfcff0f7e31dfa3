//! Seeds of 64 bits. TOML's integers have 63 bits and a sign, so a larger seed is written as a string of digits.

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::Serializer;

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Written {
    Number(i64),
    Digits(String),
}

pub(crate) fn serialize<S: Serializer>(seed: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    match i64::try_from(*seed) {
        Ok(number) => serializer.serialize_i64(number),
        Err(_) => serializer.serialize_str(&seed.to_string()),
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let expected = |found: &dyn std::fmt::Display| {
        D::Error::custom(format!("a seed is {found}; expected an integer from 0 to {}", u64::MAX))
    };
    match Written::deserialize(deserializer) {
        Ok(Written::Number(number)) => u64::try_from(number).map_err(|_| expected(&number)),
        Ok(Written::Digits(digits)) => digits.parse().map_err(|_| expected(&format!("{digits:?}"))),
        Err(_) => Err(expected(&"no integer")),
    }
}
