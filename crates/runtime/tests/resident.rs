//! Tensors that stay on the device, and where nodes run: on the CPU, by the calls that a CUDA device gets.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::path::Path;
use std::sync::OnceLock;

use midashi_onnx::{ElementType, Graph, Storage};
use midashi_runtime::{DeviceChoice, Engine, Session};
use ndarray::{ArrayD, array};

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cache/onnxruntime");
        Engine::open(&folder, DeviceChoice::Cpu, 1).unwrap_or_else(|error| panic!("{error}"))
    })
}

/// `next.total = total + x`, and `sum` the sum of that.
fn counter() -> Session {
    let mut graph = Graph::new();
    let total = graph.input("total", ElementType::Float32, &[2.into()]).unwrap();
    let x = graph.input("x", ElementType::Float32, &[2.into()]).unwrap();
    let next = graph.add(total, x).unwrap();
    let sum = graph.reduce_sum(next, &[0], false).unwrap();
    graph.output("next.total", next).unwrap();
    graph.output("sum", sum).unwrap();
    engine().session(&graph.to_model("counter", |_| Storage::Input), vec![]).unwrap()
}

fn vector(numbers: [f32; 2]) -> ArrayD<f32> {
    array![numbers[0], numbers[1]].into_dyn()
}

#[test]
fn what_a_run_leaves_on_the_device_is_the_next_ones_input() {
    let mut session = counter();
    let start = vector([10.0, 20.0]);
    let mut total = engine().resident(start.view()).unwrap();
    for step in 1..=3 {
        let x = vector([1.0, step as f32]);
        let inputs = vec![("total", (&total).into()), ("x", x.view().into())];
        let mut outputs = session.run_keeping(inputs, |name| name == "next.total").unwrap();
        let sum = outputs.float32("sum").unwrap().sum();
        let next = outputs.take("next.total").unwrap();
        assert_eq!(next.to_host().unwrap().sum(), sum);
        let earlier = total.to_host().unwrap().sum();
        assert_eq!(earlier + 1.0 + step as f32, sum, "a run does not write over what it was fed");
        total = next;
    }
    assert_eq!(total.to_host().unwrap(), vector([13.0, 26.0]));
    assert_eq!(start, vector([10.0, 20.0]));
    // A plain run takes it too.
    let zero = vector([0.0, 0.0]);
    let outputs = session.run(vec![("total", (&total).into()), ("x", zero.view().into())]).unwrap();
    assert_eq!(outputs.float32("next.total").unwrap(), vector([13.0, 26.0]).view());
}

#[test]
fn wrong_inputs_and_outputs_are_named() {
    let mut session = counter();
    let x = vector([1.0, 2.0]);
    let total = engine().resident(x.view()).unwrap();
    let missing = session.run_keeping(vec![("total", (&total).into())], |_| true);
    assert!(missing.is_err_and(|error| error.to_string().contains("run the model")));
    let other = vec![("total", (&total).into()), ("y", x.view().into())];
    let other = session.run_keeping(other, |_| true).err().unwrap().to_string();
    assert!(other.contains("take the input y"), "{other}");
    let inputs = vec![("total", (&total).into()), ("x", x.view().into())];
    let mut outputs = session.run_keeping(inputs, |_| true).unwrap();
    outputs.take("next.total").unwrap();
    let again = outputs.take("next.total").err().unwrap().to_string();
    assert!(again.contains("give the output next.total"), "{again}");
}

#[test]
fn every_node_is_reported_where_it_runs() {
    let session = counter();
    let placement = session.placement();
    assert_eq!(placement.nodes.keys().collect::<Vec<_>>(), ["CPUExecutionProvider"]);
    let mut nodes = placement.nodes["CPUExecutionProvider"].clone();
    nodes.sort();
    assert!(
        nodes.len() == 2 && nodes[0].starts_with("Add") && nodes[1].starts_with("ReduceSum"),
        "{nodes:?}"
    );
    assert_eq!(session.fallback(), None, "all of them where they were asked to be");
}
