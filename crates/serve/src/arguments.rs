//! The command line.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Parser;
use midashi_stage::StageArguments;

use crate::limits::Limits;
use crate::log::Log;
use crate::precision::Precision;

const EXAMPLES: &str = "\
Examples:
  midashi-serve --config data/sample.toml
  midashi-serve --model artifacts/article/model --port 3000 --host 0.0.0.0
  curl 127.0.0.1:8080/predict -H 'Content-Type: application/json' -d '{\"inputs\": \"新しい料理の本\"}'";

/// Answers predictions and explanations over HTTP, with a page to try them
///
/// POST /predict has the requests and responses of Hugging Face's text-embeddings-inference. GET /openapi.json
/// describes all addresses. The server ends on SIGTERM and SIGINT, after the requests that it has begun; at the second signal
/// it ends at once.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    pub config: StageArguments,
    /// The model's folder; the default is model/ of the configured run
    #[arg(long, value_name = "FOLDER")]
    pub model: Option<PathBuf>,
    /// Address to listen on; other machines reach the server only on an address of this machine, such as 0.0.0.0
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// Port to listen on; 0 takes a free one, which is printed
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Threads of ONNX Runtime; the default is run.threads of the configuration
    #[arg(long, value_name = "COUNT")]
    pub threads: Option<NonZeroUsize>,
    /// Precision of predictions; explanations are always those of the float32 model
    #[arg(long, default_value = "f32")]
    pub precision: Precision,
    #[command(flatten)]
    pub limits: Limits,
    #[command(flatten)]
    pub log: Log,
}
