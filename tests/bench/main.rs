//! Times whole runs of the article's recipe and prints them as a Markdown table: `make bench`.
//!
//! Environment: `MIDASHI_CORPUS` and `MIDASHI_CHECKPOINT`, paths of the real data; `RUNS`, names of the runs below,
//! separated by spaces; `ROUNDS`, how often all of them are repeated, one after the other; `PEER`, a command to be
//! compared with, or `PEER_SECONDS`, how long it takes.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "nobody closes the output of an example early")]

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

mod machine;
mod matrix_rate;
mod run;

use run::{Measured, RUNS, STAGES};

fn main() -> Result<(), Box<dyn Error>> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.trim().is_empty());
    let path =
        |name: &str| variable(name).ok_or_else(|| format!("{name} is not set; set it to a path (make help)"));
    let (corpus, checkpoint) = (path("MIDASHI_CORPUS")?, path("MIDASHI_CHECKPOINT")?);
    let rounds: usize = variable("ROUNDS").map_or(Ok(1), |rounds| rounds.parse())?;
    let wanted = variable("RUNS").unwrap_or_else(|| "one rerun int8".to_owned());
    for name in wanted.split_whitespace() {
        if RUNS.iter().all(|run| run.name != name) {
            let known: Vec<&str> = RUNS.iter().map(|run| run.name).collect();
            return Err(format!("RUNS: found {name}, expected some of {}", known.join(", ")).into());
        }
    }
    let chosen = RUNS.iter().filter(|run| wanted.split_whitespace().any(|name| name == run.name));
    let chosen: Vec<_> = chosen.collect();

    println!("{}\n", machine::description());
    println!("{}", matrix_rate::table(Path::new("cache/onnxruntime"))?);

    let mut measured: BTreeMap<&str, Vec<Measured>> = BTreeMap::new();
    let mut peers = Vec::new();
    for round in 0..rounds {
        if let Some(command) = variable("PEER") {
            eprintln!("bench: round {} of {rounds}: PEER", round + 1);
            let started = Instant::now();
            let status = Command::new("sh").args(["-c", &command]).status()?;
            if !status.success() {
                return Err(format!("PEER failed with {status}: {command}").into());
            }
            peers.push(started.elapsed().as_secs_f64());
        }
        for run in &chosen {
            eprintln!("bench: round {} of {rounds}: {}", round + 1, run.name);
            measured.entry(run.name).or_default().push(run.measure(&corpus, &checkpoint)?);
        }
    }
    let peer = match variable("PEER_SECONDS") {
        Some(seconds) => Some(seconds.parse()?),
        None => median(&peers),
    };

    let stages = STAGES.join(" | ");
    println!("| run | {stages} | seconds | peak memory | against PEER |");
    println!("|---|{}---|---|---|", "---|".repeat(STAGES.len()));
    for run in &chosen {
        let Some(times) = measured.get(run.name) else { continue };
        let column =
            |number: &dyn Fn(&Measured) -> f64| median(&times.iter().map(number).collect::<Vec<_>>());
        let seconds = column(&|run| run.seconds()).unwrap_or_default();
        let of_stages: Vec<String> = (0..STAGES.len())
            .map(|stage| format!("{:.1}", column(&|run| run.stages[stage]).unwrap_or_default()))
            .collect();
        let memory = column(&|run| run.peak_memory_bytes as f64).unwrap_or_default() / f64::from(1 << 20);
        let ratio = peer.map_or_else(|| "–".to_owned(), |peer: f64| format!("{:.1}", peer / seconds));
        println!("| {} | {} | {seconds:.1} | {memory:.0} MiB | {ratio} |", run.name, of_stages.join(" | "));
    }
    if let Some(peer) = peer {
        println!("| PEER |{} {peer:.1} | | 1 |", " |".repeat(STAGES.len()));
    }
    println!("\nMedians of {rounds}. Seconds are those of whole processes. The settings of each run:\n");
    for run in &chosen {
        println!("- `{}`: `{}`", run.name, run.settings);
    }
    Ok(())
}

fn median(numbers: &[f64]) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}
