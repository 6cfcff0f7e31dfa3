//! Where an encoder comes from.

/// Where an encoder comes from, for the model card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The published model whose weights were rounded to 4 bits, by its hub id.
    pub model: &'a str,
    /// Its licence, as model cards spell it, such as `mit`.
    pub licence: &'a str,
    /// The package that holds the file, with its version.
    pub package: &'a str,
    /// SHA-256 of the file.
    pub sha256: &'a str,
}
