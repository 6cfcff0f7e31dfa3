//! Numbers for the page's script.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// An array of little-endian numbers in base64.
pub fn base64_of<const N: usize>(numbers: impl Iterator<Item = [u8; N]>) -> String {
    BASE64_STANDARD.encode(numbers.flatten().collect::<Vec<u8>>())
}
