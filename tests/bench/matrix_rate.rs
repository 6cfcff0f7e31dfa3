//! The rate at which ONNX Runtime multiplies matrices here: the limit that the frozen layers are measured against.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use midashi_config::DeviceChoice;
use midashi_onnx::{ElementType, Graph, GraphBuilder, Storage};
use midashi_runtime::Engine;
use ndarray::{ArrayD, IxDyn};

/// Rows, inner size and columns: the linear layers of hidden sizes 384 and 768 on 2,048 tokens, and a square.
const SIZES: [[usize; 3]; 6] = [
    [2048, 384, 384],
    [2048, 384, 1536],
    [2048, 1536, 384],
    [2048, 768, 768],
    [2048, 768, 3072],
    [2048, 2048, 2048],
];
/// Runs of each product; the fastest counts.
const REPETITIONS: usize = 12;
const OPERATIONS: f64 = 1e9;

/// A table of giga-operations per second; a product of two numbers and its addition are two operations.
pub fn table(libraries: &Path) -> Result<String, Box<dyn Error>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let engine = Engine::open(libraries, DeviceChoice::Cpu, threads)?;
    let mut table = format!("{}\n\n", engine.description().onnxruntime);
    table.push_str("| rows × inner × columns | float32, GFLOP/s | int8 with rounding of the rows, Gop/s |\n|---|---|---|\n");
    for [rows, inner, columns] in SIZES {
        let operations = 2.0 * rows as f64 * inner as f64 * columns as f64 / OPERATIONS;
        let [float, integer] = [float_product(inner, columns)?, integer_product(inner, columns)?];
        let [float, integer] = [float, integer].map(|graph| seconds(&engine, &graph, [rows, inner]));
        let (float, integer) = (operations / float?, operations / integer?);
        writeln!(table, "| {rows} × {inner} × {columns} | {float:.0} | {integer:.0} |")?;
    }
    Ok(table)
}

/// The product with a float32 matrix, and its bytes.
fn float_product(inner: usize, columns: usize) -> Result<(Graph, Vec<u8>), Box<dyn Error>> {
    let graph = GraphBuilder::new();
    let x = graph.input("x", ElementType::Float32, &["rows".into(), inner.into()]);
    graph.output("y", x.gemm(graph.parameter("w", &[columns, inner]), None, false, true));
    Ok((graph.finish()?, 0.25_f32.to_le_bytes().repeat(inner * columns)))
}

/// The product with an int8 matrix, and its bytes.
fn integer_product(inner: usize, columns: usize) -> Result<(Graph, Vec<u8>), Box<dyn Error>> {
    let graph = GraphBuilder::new();
    let x = graph.input("x", ElementType::Float32, &["rows".into(), inner.into()]);
    let w = graph.parameter_of("w", ElementType::Int8, &[inner, columns]);
    let scale = graph.floats(&[columns], &vec![1.0; columns]);
    graph.output("y", x.to_uint8(128).scaled_matmul_integer(w, 128, scale, None));
    Ok((graph.finish()?, vec![3; inner * columns]))
}

/// The time of the fastest of several runs.
fn seconds(
    engine: &Engine,
    (graph, weight): &(Graph, Vec<u8>),
    [rows, inner]: [usize; 2],
) -> Result<f64, Box<dyn Error>> {
    let model = graph.to_model("rate", |_| Storage::Embedded(weight.clone().into()));
    let mut session = engine.session(&model, Vec::new())?;
    let x = ArrayD::from_shape_fn(IxDyn(&[rows, inner]), |at| (at[0] + at[1]) as f32 % 7.0 - 3.0);
    let mut fastest = f64::INFINITY;
    for _ in 0..REPETITIONS {
        let started = Instant::now();
        session.run(vec![("x", x.view().into())])?;
        fastest = fastest.min(started.elapsed().as_secs_f64());
    }
    Ok(fastest)
}
