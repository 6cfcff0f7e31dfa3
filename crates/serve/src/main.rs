//! `midashi-serve`, a tool beside the stages: answers predictions and explanations over HTTP.

fn main() {}
