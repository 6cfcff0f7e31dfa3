//! Device tensors and node placement, on the CPU through the same calls as on a CUDA device.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::OnceLock;

use midashi_onnx::{ElementType, GraphBuilder, Storage};
use midashi_runtime::{DeviceChoice, Engine, Session};
use ndarray::{ArrayD, array};

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cache/onnxruntime");
        Engine::open(&folder, DeviceChoice::Cpu, 1).unwrap_or_else(|error| panic!("{error}"))
    })
}

/// `next.total = total + x`, and `sum` is the sum of its elements.
fn counter() -> Session {
    let graph = GraphBuilder::new();
    let next = ["total", "x"].map(|name| graph.input(name, ElementType::Float32, &[2.into()]));
    let next = next[0] + next[1];
    graph.output("next.total", next);
    graph.output("sum", next.reduce_sum(&[0], false));
    engine().session(&graph.finish().unwrap().to_model("counter", |_| Storage::Input), vec![]).unwrap()
}

fn vector(numbers: [f32; 2]) -> ArrayD<f32> {
    array![numbers[0], numbers[1]].into_dyn()
}

#[test]
fn an_output_on_the_device_is_an_input_of_the_next_run() {
    let mut session = counter();
    let start = vector([10.0, 20.0]);
    let mut total = engine().to_device(start.view()).unwrap();
    for step in 1..=3 {
        let x = vector([1.0, step as f32]);
        let inputs = vec![("total", (&total).into()), ("x", x.view().into())];
        let mut outputs = session.run_with_device_outputs(inputs, |name| name == "next.total").unwrap();
        let sum = outputs.float32("sum").unwrap().sum();
        let next = outputs.take("next.total").unwrap();
        assert_eq!(next.to_host().unwrap().sum(), sum);
        let earlier = total.to_host().unwrap().sum();
        assert_eq!(earlier + 1.0 + step as f32, sum, "a run does not overwrite its inputs");
        total = next;
    }
    assert_eq!(total.to_host().unwrap(), vector([13.0, 26.0]));
    assert_eq!(start, vector([10.0, 20.0]));
    // A plain run accepts device tensors too.
    let zero = vector([0.0, 0.0]);
    let outputs = session.run(vec![("total", (&total).into()), ("x", zero.view().into())]).unwrap();
    assert_eq!(outputs.float32("next.total").unwrap(), vector([13.0, 26.0]).view());
}

#[test]
fn wrong_inputs_and_outputs_are_named() {
    let mut session = counter();
    let x = vector([1.0, 2.0]);
    let total = engine().to_device(x.view()).unwrap();
    let missing = session.run_with_device_outputs(vec![("total", (&total).into())], |_| true);
    assert!(missing.is_err_and(|error| error.to_string().contains("run the model")));
    let other = vec![("total", (&total).into()), ("y", x.view().into())];
    let other = session.run_with_device_outputs(other, |_| true).err().unwrap().to_string();
    assert!(other.contains("take the input y"), "{other}");
    let inputs = vec![("total", (&total).into()), ("x", x.view().into())];
    let mut outputs = session.run_with_device_outputs(inputs, |_| true).unwrap();
    outputs.take("next.total").unwrap();
    let again = outputs.take("next.total").err().unwrap().to_string();
    assert!(again.contains("give the output next.total"), "{again}");
}

#[test]
fn every_node_is_reported_with_its_provider() {
    let session = counter();
    let placement = session.placement();
    assert_eq!(placement.nodes.keys().collect::<Vec<_>>(), ["CPUExecutionProvider"]);
    let mut nodes = placement.nodes["CPUExecutionProvider"].clone();
    nodes.sort();
    assert!(
        nodes.len() == 2 && nodes[0].starts_with("Add") && nodes[1].starts_with("ReduceSum"),
        "{nodes:?}"
    );
    assert_eq!(session.fallback(), None, "all nodes run on the requested device");
}
