#![doc = include_str!("../README.md")]

mod all;
mod bundled;
mod compat;
mod config;
mod corpus;
mod device;
mod error;
mod evaluate;
mod fetch;
mod limits;
mod load;
mod model;
mod render;
mod run;
mod seed;
mod source;
mod tokenize;
mod train;
mod validate;

pub use bundled::BundledEncoder;
pub use compat::Compat;
pub use config::Config;
pub use corpus::{BadFiles, Corpus, CorpusColumns, Layout, SplitShares, TextChoice};
pub use device::DeviceChoice;
pub use error::{Error, Result};
pub use evaluate::{Evaluate, Explain, TextCount};
pub use fetch::Fetch;
pub use limits::CorpusLimits;
pub use model::{Model, Scratch};
pub use render::Render;
pub use run::Run;
pub use source::{Source, hide_secrets, query_tag, shown};
pub use tokenize::{LongTexts, Tokenize};
pub use train::{
    ClassWeights, Dropout, FeaturePrecision, FeatureStorage, Head, LearningRates, Optimiser, Pooling,
    Schedule, Train, TrainableLayers, TrunkPrecision,
};
