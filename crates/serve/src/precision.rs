//! The precision of predictions, as the command line names it.

use std::fmt;

use clap::ValueEnum;
use midashi_classifier::MatmulPrecision;

/// In which precision the layers' matrices are multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// float32
    F32,
    /// 8-bit integers, on the CPU only: faster, and a few predictions differ
    Int8,
}

impl From<Precision> for MatmulPrecision<'_> {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::Float32,
            Precision::Int8 => Self::FineInt8,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::F32 => "float32",
            Self::Int8 => "int8",
        })
    }
}
