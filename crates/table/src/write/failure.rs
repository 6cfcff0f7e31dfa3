//! Why a format's library could not write.

use arrow::error::ArrowError;
use parquet::errors::ParquetError;

use crate::error::Error;

/// Why a format's library failed.
pub(crate) enum Failure {
    Io(std::io::Error),
    Other(String),
}

impl Failure {
    /// The error of writing `name`.
    pub fn of(self, name: &str) -> Error {
        match self {
            Self::Io(error) => Error::io(name, "write")(error),
            Self::Other(reason) => Error::content(name, reason),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<csv::Error> for Failure {
    fn from(error: csv::Error) -> Self {
        if error.is_io_error()
            && let csv::ErrorKind::Io(error) = error.into_kind()
        {
            return Self::Io(error);
        }
        Self::Other("cannot be written as CSV".to_owned())
    }
}

impl From<ArrowError> for Failure {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, error) => Self::Io(error),
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<ParquetError> for Failure {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(error) => match error.downcast::<std::io::Error>() {
                Ok(error) => Self::Io(*error),
                Err(other) => Self::Other(other.to_string()),
            },
            other => Self::Other(other.to_string()),
        }
    }
}
