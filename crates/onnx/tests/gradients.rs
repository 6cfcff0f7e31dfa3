//! Every rule of the gradient table against central finite differences, both computed by ONNX Runtime, on random
//! shapes, with broadcasting and with sizes known only at run time; and errors of building graphs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::OnceLock;

use midashi_onnx::{Dim, ElementType, Error, Gelu, GraphBuilder, Place, Size, Storage, UnpaddedRows, Value};
use midashi_runtime::{Device, Runtime, SessionOptions, Tensor};
use ndarray::{ArrayD, IxDyn};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Half the distance of the two evaluations. Losses are summed in f64 to keep round-off small.
const STEP: f32 = 1e-2;
/// Largest difference accepted, relative to the largest entry of the gradient (and at least 1).
const TOLERANCE: f64 = 2e-3;

/// An axis of a test: its size, and its name in the graph if the graph does not know the size.
#[derive(Clone, Copy)]
struct Axis(usize, Option<&'static str>);

fn fixed(size: usize) -> Axis {
    Axis(size, None)
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cache/onnxruntime");
        Runtime::load(&folder).unwrap_or_else(|error| panic!("{error}"))
    })
}

struct Check {
    rng: ChaCha8Rng,
    /// Distance of inputs from 0, for functions with a kink there.
    gap: f32,
    /// Integers for the graph input `indices`.
    indices: Option<ArrayD<i64>>,
}

impl Check {
    fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), gap: 0.0, indices: None }
    }

    fn size(&mut self) -> usize {
        self.rng.random_range(2..6)
    }

    fn random(&mut self, shape: &[usize]) -> ArrayD<f32> {
        let gap = self.gap;
        let mut number = || {
            let number: f32 = self.rng.random_range(-1.5..1.5);
            number + gap.copysign(number)
        };
        ArrayD::from_shape_simple_fn(IxDyn(shape), &mut number)
    }

    /// Builds `y` from inputs of the given axes and compares the gradient of `Σ y·w`, with random `w`, with finite
    /// differences at every number of every input.
    fn compare(
        &mut self,
        axes: &[Vec<Axis>],
        build: impl for<'g> Fn(&'g GraphBuilder, &[Value<'g>]) -> Value<'g>,
    ) {
        let graph = GraphBuilder::new();
        let names: Vec<String> = (0..axes.len()).map(|at| format!("x{at}")).collect();
        let mut values = Vec::new();
        for (name, axes) in names.iter().zip(axes) {
            let shape: Vec<Dim> =
                axes.iter().map(|Axis(size, symbol)| symbol.map_or(Dim::from(*size), Dim::symbol)).collect();
            values.push(graph.input(name, ElementType::Float32, &shape));
        }
        let mut operands = values.clone();
        if let Some(indices) = &self.indices {
            let shape: Vec<Dim> = indices.shape().iter().map(|&size| size.into()).collect();
            operands.push(graph.input("indices", ElementType::Int64, &shape));
        }
        let y = build(&graph, &operands);
        let sizes: HashMap<&str, usize> = axes
            .iter()
            .flatten()
            .filter_map(|Axis(size, symbol)| Some((symbol.as_ref().copied()?, *size)))
            .collect();
        let y_shape = y.shape();
        let w_sizes: Vec<usize> = y_shape.iter().map(|dim| actual_size(dim, &sizes)).collect();
        let w = graph.input("w", ElementType::Float32, &y_shape);
        let all: Vec<usize> = (0..y_shape.len()).collect();
        let loss = (y * w).reduce_sum(&all, false);
        graph.output("y", y);
        for (at, gradient) in graph.gradients(loss, &values).into_iter().enumerate() {
            assert_eq!(gradient.shape(), values[at].shape(), "gradient {at} has another shape");
            graph.output(&format!("g{at}"), gradient);
        }
        let model = graph.finish().unwrap().to_model("check", |_| Storage::Input);
        let mut session = runtime().session(&model, SessionOptions::new(Device::Cpu, 1)).unwrap();

        let mut x: Vec<ArrayD<f32>> = axes
            .iter()
            .map(|axes| self.random(&axes.iter().map(|Axis(size, _)| *size).collect::<Vec<_>>()))
            .collect();
        let weights = self.random(&w_sizes);
        let indices = self.indices.clone();
        let mut run = |x: &[ArrayD<f32>]| -> (f64, Vec<ArrayD<f32>>) {
            let mut inputs: Vec<(&str, Tensor)> =
                names.iter().zip(x).map(|(name, x)| (name.as_str(), x.view().into())).collect();
            inputs.push(("w", weights.view().into()));
            if let Some(indices) = &indices {
                inputs.push(("indices", indices.view().into()));
            }
            let outputs = session.run(inputs).unwrap();
            let y = outputs.float32("y").unwrap();
            assert_eq!(y.shape(), w_sizes, "the inferred shape is the real one");
            let loss = y.iter().zip(&weights).map(|(y, w)| f64::from(*y) * f64::from(*w)).sum();
            let of = |at| outputs.float32(&format!("g{at}")).unwrap().to_owned();
            (loss, (0..x.len()).map(of).collect())
        };
        let (_, gradients) = run(&x);
        for (at, gradient) in gradients.iter().enumerate() {
            assert_eq!(gradient.shape(), x[at].shape());
            let largest = gradient.iter().fold(1.0_f64, |most, g| most.max(f64::from(g.abs())));
            for place in 0..x[at].len() {
                let mut loss_at = |shift: f32| {
                    let number = x[at].as_slice().unwrap()[place];
                    x[at].as_slice_mut().unwrap()[place] = number + shift;
                    let loss = run(&x).0;
                    x[at].as_slice_mut().unwrap()[place] = number;
                    loss
                };
                let difference = (loss_at(STEP) - loss_at(-STEP)) / f64::from(2.0 * STEP);
                let found = f64::from(gradient.as_slice().unwrap()[place]);
                assert!(
                    (found - difference).abs() <= TOLERANCE * largest,
                    "input {at}, number {place}: gradient {found}, finite difference {difference}"
                );
            }
        }
    }
}

fn actual_size(dim: &Dim, sizes: &HashMap<&str, usize>) -> usize {
    dim.to_string().split('*').map(|part| part.parse().unwrap_or_else(|_| sizes[part])).product()
}

/// Two shapes that broadcast: axes of either are dropped or set to 1 at random.
fn broadcastable(check: &mut Check) -> Vec<Vec<Axis>> {
    let full: Vec<Axis> = (0..check.rng.random_range(1..4)).map(|_| fixed(check.size())).collect();
    let mut thinned = |may_drop: bool| -> Vec<Axis> {
        let drop = if may_drop { check.rng.random_range(0..=full.len()) } else { 0 };
        full[drop..].iter().map(|axis| if check.rng.random_bool(0.3) { fixed(1) } else { *axis }).collect()
    };
    vec![thinned(true), thinned(false)]
}

#[test]
fn arithmetic_with_broadcasting() {
    for seed in 0..12 {
        let mut check = Check::new(seed);
        check.gap = 0.5; // division stays away from 0
        let axes = broadcastable(&mut check);
        check.compare(&axes, |_, x| x[0] + x[1]);
        check.compare(&axes, |_, x| x[0] - x[1]);
        check.compare(&axes, |_, x| x[0] * x[1]);
        check.compare(&axes, |_, x| x[0] / x[1]);
    }
}

#[test]
fn broadcasting_over_sizes_known_only_at_run_time() {
    let mut check = Check::new(1);
    let (batch, tokens) = (Axis(3, Some("batch")), Axis(4, Some("tokens")));
    check.compare(&[vec![batch, fixed(1), tokens], vec![fixed(2), tokens]], |_, x| x[0] * x[1]);
    check.compare(&[vec![batch, fixed(5)], vec![fixed(5)]], |_, x| x[0] + x[1]);
    check.compare(&[vec![batch, tokens], vec![]], |_, x| x[1] - x[0]);
}

#[test]
fn a_value_used_twice_gets_both_gradients() {
    Check::new(1).compare(&[vec![fixed(4)]], |_, x| x[0] * x[0] + x[0]);
}

#[test]
fn functions_of_one_number() {
    for seed in 0..4 {
        let mut check = Check::new(seed);
        let axes = [vec![fixed(check.size()), fixed(check.size())]];
        check.compare(&axes, |_, x| x[0].exp());
        check.compare(&axes, |_, x| x[0].erf());
        check.compare(&axes, |_, x| x[0].cos());
        check.compare(&axes, |_, x| x[0].sin());
        check.compare(&axes, |_, x| x[0].tanh());
        check.compare(&axes, |_, x| x[0].identity());
        check.compare(&axes, |_, x| x[0] * -2.5);
        check.compare(&axes, |_, x| x[0].gelu(Gelu::Exact));
        check.compare(&axes, |_, x| x[0].gelu(Gelu::Tanh));
        check.compare(&axes, |_, x| x[0].exp().sqrt());
        check.gap = 0.1; // relu has a kink at 0
        check.compare(&axes, |_, x| x[0].relu());
    }
}

#[test]
fn softmax_and_its_logarithm() {
    for seed in 0..4 {
        let mut check = Check::new(seed);
        let axes = [vec![fixed(check.size()), Axis(check.size(), Some("tokens"))]];
        check.compare(&axes, |_, x| x[0].softmax());
        check.compare(&axes, |_, x| x[0].log_softmax());
    }
}

#[test]
fn layer_normalization() {
    for seed in 0..4 {
        let mut check = Check::new(seed);
        let width = fixed(check.size() + 3);
        let axes = [vec![Axis(3, Some("batch")), fixed(check.size()), width], vec![width], vec![width]];
        check.compare(&axes, |_, x| x[0].layer_normalization(x[1], x[2], 1e-5));
    }
}

#[test]
fn layer_normalization_without_bias() {
    for seed in 0..4 {
        let mut check = Check::new(seed);
        let width = fixed(check.size() + 3);
        check.compare(&[vec![Axis(3, Some("batch")), width], vec![width]], |_, x| {
            x[0].layer_normalization(x[1], None, 1e-5)
        });
    }
}

#[test]
fn layer_normalization_of_a_single_row() {
    let width = fixed(6);
    Check::new(1)
        .compare(&[vec![width], vec![width], vec![width]], |_, x| x[0].layer_normalization(x[1], x[2], 1e-5));
}

#[test]
fn what_no_output_depends_on_is_left_out() {
    let graph = GraphBuilder::new();
    let x = graph.input("x", ElementType::Float32, &["batch".into(), 2.into()]);
    let unused = x * graph.parameter("unused", &[2]) * 3.0;
    let four_times = x * 4.0;
    graph.output("four_times", four_times);
    assert!(graph.parameters_of(four_times).is_empty());
    assert_eq!(graph.parameters_of(unused).iter().map(|value| value.name()).collect::<Vec<_>>(), ["unused"]);
    let more = four_times * 5.0 * 6.0;
    graph.output("more", more);
    let graph = graph.finish().unwrap();
    assert_eq!(graph.parameters().count(), 0);
    let model = graph.to_model("pruned", |_| Storage::Input);
    let mut session = runtime().session(&model, SessionOptions::new(Device::Cpu, 1)).unwrap();
    let x = ArrayD::from_elem(IxDyn(&[1, 2]), 1.0_f32);
    let outputs = session.run(vec![("x", x.view().into())]).unwrap();
    assert_eq!(outputs.float32("more").unwrap().as_slice().unwrap(), [120.0, 120.0]);
}

#[test]
fn gemm_with_every_transposition_and_bias() {
    for seed in 0..4 {
        let mut check = Check::new(seed);
        let (rows, inner, columns) =
            (Axis(check.size(), Some("batch")), fixed(check.size()), fixed(check.size()));
        for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
            let pair = |transposed, a, b| if transposed { vec![b, a] } else { vec![a, b] };
            let (a, b) = (pair(ta, rows, inner), pair(tb, inner, columns));
            check.compare(&[a.clone(), b.clone(), vec![columns]], |_, x| x[0].gemm(x[1], Some(x[2]), ta, tb));
            check
                .compare(&[a.clone(), b.clone(), vec![fixed(1)]], |_, x| x[0].gemm(x[1], Some(x[2]), ta, tb));
            check.compare(&[a, b], |_, x| x[0].gemm(x[1], None, ta, tb));
        }
    }
}

#[test]
fn matmul_of_stacked_matrices() {
    for seed in 0..4 {
        let mut check = Check::new(seed);
        let (batch, heads) = (Axis(2, Some("batch")), fixed(check.size()));
        let (rows, inner, columns) = (fixed(check.size()), fixed(check.size()), fixed(check.size()));
        check.compare(&[vec![batch, heads, rows, inner], vec![batch, heads, inner, columns]], |_, x| {
            x[0].matmul(x[1])
        });
    }
}

#[test]
fn moving_numbers_around() {
    for seed in 0..4 {
        let mut check = Check::new(seed);
        let (batch, tokens) = (Axis(check.size(), Some("batch")), Axis(check.size(), Some("tokens")));
        check.compare(&[vec![batch, tokens, fixed(3)]], |_, x| x[0].transpose(&[2, 0, 1]));
        // Two unknown sizes in the target, then two of them folded into one.
        check.compare(&[vec![batch, tokens, fixed(6)]], |_, x| {
            let split = x[0].reshape(&["batch".into(), "tokens".into(), 2.into(), 3.into()]);
            let rows: Dim = [&Dim::symbol("batch"), &Dim::symbol("tokens")].into_iter().product();
            split.reshape(&[rows, 6.into()]).reshape(&["batch".into(), "tokens".into(), 6.into()])
        });
        check.compare(&[vec![batch, tokens, fixed(3)]], |_, x| x[0].take_first(1, 1));
        check.compare(&[vec![fixed(7), fixed(2)], vec![batch, tokens]], |_, x| {
            x[0].take_as_many("tokens").transpose(&[1, 0]).take_first(0, 1) * x[1]
        });
    }
}

#[test]
fn relative_positions_become_pairs() {
    for seed in 0..4 {
        let mut check = Check::new(seed);
        let (batch, size) = (Axis(check.size(), Some("batch")), check.size());
        // The graph knows the size or does not; the columns are twice as many either way.
        check.compare(&[vec![batch, fixed(size), fixed(2 * size)]], |_, x| x[0].pairs());
        let tokens = Axis(size, Some("tokens"));
        check.compare(&[vec![batch, tokens, fixed(2)], vec![batch, fixed(2), tokens, fixed(2)]], |_, x| {
            let (batch, n) = (Dim::symbol("batch"), Dim::symbol("tokens"));
            let columns: Dim = [&Dim::from(2), &n].into_iter().product();
            x[0].matmul(x[1].reshape(&[batch, 2.into(), columns])).pairs()
        });
    }
}

#[test]
fn the_pair_of_positions_picks_the_column_of_their_distance() {
    let graph = GraphBuilder::new();
    let x = graph.input("x", ElementType::Float32, &[3.into(), 6.into()]);
    graph.output("y", x.pairs());
    let model = graph.finish().unwrap().to_model("pairs", |_| Storage::Input);
    let mut session = runtime().session(&model, SessionOptions::new(Device::Cpu, 1)).unwrap();
    let x = ArrayD::from_shape_fn(IxDyn(&[3, 6]), |at| (10 * at[0] + at[1]) as f32);
    let outputs = session.run(vec![("x", x.view().into())]).unwrap();
    // Row i, column j − i + 2.
    let expected = [2., 3., 4., 11., 12., 13., 20., 21., 22.];
    assert_eq!(outputs.float32("y").unwrap().as_slice().unwrap(), expected);
}

#[test]
fn the_middle_of_a_table() {
    let graph = GraphBuilder::new();
    let x = graph.input("x", ElementType::Float32, &["batch".into(), "tokens".into()]);
    let places = graph.integers(&[0, 1, 2, 3, 4, 5, 6, 7]).take_middle("tokens").to_float();
    graph.output("y", places + x.reduce_sum(&[0, 1], false) * 0.0);
    let model = graph.finish().unwrap().to_model("middle", |_| Storage::Input);
    let mut session = runtime().session(&model, SessionOptions::new(Device::Cpu, 1)).unwrap();
    for (tokens, expected) in [(1, vec![3., 4.]), (3, vec![1., 2., 3., 4., 5., 6.])] {
        let x = ArrayD::from_elem(IxDyn(&[2, tokens]), 1.0_f32);
        let outputs = session.run(vec![("x", x.view().into())]).unwrap();
        assert_eq!(outputs.float32("y").unwrap().as_slice().unwrap(), expected);
    }
}

#[test]
fn neighbours_along_an_axis() {
    for seed in 0..3 {
        let mut check = Check::new(seed);
        let axes = [vec![Axis(2, Some("batch")), Axis(check.size(), Some("tokens")), fixed(2)]];
        for count in [1, 3, 5] {
            check.compare(&axes, |g, x| {
                let weighted = x[0].neighbours(1, count).into_iter().enumerate();
                g.sum(&weighted.map(|(at, x)| x * (at as f32 - 0.7)).collect::<Vec<_>>())
            });
            check.compare(&axes, |g, x| {
                let weighted = x[0].neighbours_of_first(1, count).into_iter().enumerate();
                g.sum(&weighted.map(|(at, x)| x * (at as f32 - 0.7)).collect::<Vec<_>>())
            });
        }
        check.compare(&[vec![fixed(4), fixed(3)]], |g, x| g.sum(&x[0].neighbours(0, 3)[1..]));
        check.compare(&[vec![Axis(2, Some("batch")), fixed(3)]], |_, x| x[0].at(1, 2) * x[0].at(1, 0));
    }
    let graph = GraphBuilder::new();
    let x = graph.input("x", ElementType::Float32, &[4.into(), 1.into()]);
    for (at, neighbour) in x.neighbours(0, 3).into_iter().enumerate() {
        graph.output(&at.to_string(), neighbour);
    }
    let model = graph.finish().unwrap().to_model("neighbours", |_| Storage::Input);
    let mut session = runtime().session(&model, SessionOptions::new(Device::Cpu, 1)).unwrap();
    let x = ArrayD::from_shape_vec(IxDyn(&[4, 1]), vec![1., 2., 3., 4.]).unwrap();
    let outputs = session.run(vec![("x", x.view().into())]).unwrap();
    for (at, expected) in [[0., 1., 2., 3.], [1., 2., 3., 4.], [2., 3., 4., 0.]].iter().enumerate() {
        assert_eq!(outputs.float32(&at.to_string()).unwrap().as_slice().unwrap(), expected);
    }
}

#[test]
fn the_size_of_a_tensor_has_no_gradient() {
    // Rotary positions count the tokens of the tensor whose gradient is wanted.
    let mut check = Check::new(1);
    check.compare(&[vec![Axis(4, Some("tokens")), fixed(3)]], |g, x| {
        let position = g.range("tokens").to_float().reshape(&["tokens".into(), 1.into()]);
        x[0] * position.cos()
    });
}

#[test]
fn parts_and_reversed_axes() {
    for seed in 0..4 {
        let mut check = Check::new(seed);
        let batch = Axis(check.size(), Some("batch"));
        let axes = [vec![fixed(7), batch, fixed(5)]];
        for (start, end) in [(0, 3), (2, 5), (4, 7), (0, 7)] {
            check.compare(&axes, |_, x| x[0].part(0, start, end));
        }
        check.compare(&axes, |_, x| x[0].part(2, 1, 4));
        check.compare(&axes, |_, x| x[0].part(0, 0, 3) * x[0].part(0, 3, 6));
        check.compare(&axes, |_, x| x[0].flip(0) * x[0]);
        check.compare(&axes, |_, x| x[0].flip(2));
    }
    let message = message_of(|_, [x, _]| {
        x.part(0, 1, 3);
    });
    assert!(message.contains("1 to 3 to lie within axis 0"), "{message}");
    let message = message_of(|_, [x, _]| {
        x.flip(1);
    });
    assert!(message.contains("axis 1 to have a known size"), "{message}");
}

#[test]
fn rows_picked_to_overlapping_blocks() {
    // Rows 0 to 4 in blocks of three that overlap by one. The last block repeats row 4, on which nothing depends.
    let mut check = Check::new(1);
    check.indices = Some(ArrayD::from_shape_vec(IxDyn(&[2, 3]), vec![0, 1, 2, 2, 3, 4]).unwrap());
    check.compare(&[vec![fixed(5), fixed(4)]], |g, x| {
        let first = Place { index: g.integers(&[0, 1, 2, 4, 5]), factor: None };
        // Row 2 is in both blocks; the others have no second place.
        let only_row_2 = g.integers(&[0, 0, 1, 0, 0]).to_float();
        let second = Place { index: g.integers(&[0, 0, 3, 0, 0]), factor: Some(only_row_2) };
        x[0].pick_rows(x[1], &[first, second])
    });
    let message = message_of(|g, [x, _]| {
        x.pick_rows(g.integers(&[0]), &[Place { index: g.integers(&[0]), factor: None }]);
    });
    assert!(message.contains("places for each of its rows"), "{message}");
}

#[test]
fn computed_sizes_are_the_same_before_and_in_a_run() {
    // A text up to 6 tokens is one block; a longer one has blocks of 2.
    let graph = GraphBuilder::new();
    let tokens = || Size::from("tokens");
    let is_long = || (tokens() / 7).min(1);
    graph.define_size("width", tokens() - is_long() * (tokens() - 2));
    graph.define_size("blocks", (tokens() + "width" - 1) / "width");
    graph.define_size("blocks", (tokens() + "width" - 1) / "width");
    let x = graph.input("x", ElementType::Float32, &["tokens".into()]);
    let block = graph.range("blocks").reshape(&["blocks".into(), 1.into()]);
    let within = graph.range("width");
    let at = (block * graph.size("width") + within).minimum(graph.size("tokens") - graph.integers(&[1]));
    let first = Place { index: graph.range("tokens"), factor: None };
    graph.output("y", x.pick_rows(at.maximum(graph.integers(&[0])), &[first]));
    let graph = graph.finish().unwrap();
    let shape = graph.outputs().next().unwrap().1.to_vec();
    let model = graph.to_model("sizes", |_| Storage::Input);
    let mut session = runtime().session(&model, SessionOptions::new(Device::Cpu, 1)).unwrap();
    for (tokens, expected) in [
        (1, vec![vec![0]]),
        (6, vec![vec![0, 1, 2, 3, 4, 5]]),
        (7, vec![vec![0, 1], vec![2, 3], vec![4, 5], vec![6, 6]]),
        (8, vec![vec![0, 1], vec![2, 3], vec![4, 5], vec![6, 7]]),
    ] {
        let x = ArrayD::from_shape_fn(IxDyn(&[tokens]), |at| at[0] as f32);
        let outputs = session.run(vec![("x", x.view().into())]).unwrap();
        let y = outputs.float32("y").unwrap();
        let sizes: Vec<usize> = shape.iter().map(|dim| graph.size_in_run(dim, &|_| tokens)).collect();
        assert_eq!(sizes, y.shape(), "{tokens} tokens");
        let expected: Vec<f32> = expected.concat().into_iter().map(|at: u8| f32::from(at)).collect();
        assert_eq!(y.iter().copied().collect::<Vec<f32>>(), expected);
    }

    let graph = GraphBuilder::new();
    graph.define_size("width", 2.into());
    graph.define_size("width", 3.into());
    assert_eq!(graph.finish().unwrap_err(), Error::DuplicateName("width".to_owned()));
}

#[test]
fn gather_adds_up_rows_picked_more_than_once() {
    let mut check = Check::new(1);
    check.indices = Some(ArrayD::from_shape_vec(IxDyn(&[2, 3]), vec![0, 2, 2, 3, 2, 0]).unwrap());
    check.compare(&[vec![fixed(5), fixed(4)]], |_, x| x[0].gather(x[1]));
}

#[test]
fn gather_loses_no_row_on_several_threads() {
    const ROWS: usize = 4000;
    const WIDTH: usize = 512;
    const PICKED: usize = 3000;
    let mut check = Check::new(1);
    // A few rows are picked often, like frequent words.
    let indices = ArrayD::from_shape_simple_fn(IxDyn(&[PICKED]), || check.rng.random_range(0..8_i64).pow(3));
    let table = check.random(&[ROWS, WIDTH]);
    let weights = check.random(&[PICKED, WIDTH]);
    let graph = GraphBuilder::new();
    let x = graph.input("x", ElementType::Float32, &[ROWS.into(), WIDTH.into()]);
    let at = graph.input("indices", ElementType::Int64, &["picked".into()]);
    let w = graph.input("w", ElementType::Float32, &["picked".into(), WIDTH.into()]);
    let loss = (x.gather(at) * w).reduce_sum(&[0, 1], false);
    graph.output("gradient", graph.gradients(loss, &[x])[0]);
    let model = graph.finish().unwrap().to_model("check", |_| Storage::Input);
    let mut session = runtime().session(&model, SessionOptions::new(Device::Cpu, 2)).unwrap();

    let mut expected = ndarray::Array2::<f64>::zeros((ROWS, WIDTH));
    for (row, &at) in indices.iter().enumerate() {
        for column in 0..WIDTH {
            expected[[at as usize, column]] += f64::from(weights[[row, column]]);
        }
    }
    for _ in 0..10 {
        let inputs = vec![
            ("x", table.view().into()),
            ("indices", indices.view().into()),
            ("w", weights.view().into()),
        ];
        let outputs = session.run(inputs).unwrap();
        for (found, expected) in outputs.float32("gradient").unwrap().iter().zip(&expected) {
            assert!(
                (f64::from(*found) - expected).abs() < 1e-3,
                "found {found}, the rows' sum is {expected}"
            );
        }
    }
}

#[test]
fn unpadded_and_padded_rows() {
    let mut check = Check::new(0);
    check.indices = Some(ArrayD::from_shape_vec(IxDyn(&[6]), vec![1, 1, 0, 1, 0, 1]).unwrap());
    check.compare(&[vec![fixed(6), fixed(3)]], |_, x| {
        let rows = UnpaddedRows::new(x[1], "unpadded");
        // Padding is not defined; nothing may depend on it.
        let mask = x[1].to_float().reshape(&[6.into(), 1.into()]);
        let padded = rows.pad(rows.unpad(x[0]).exp()) * mask;
        rows.pad(rows.unpad(padded)) * mask
    });
}

#[test]
fn padding_gets_no_gradient_whether_rows_are_padded_again_or_not() {
    let mut check = Check::new(0);
    check.indices = Some(ArrayD::from_shape_vec(IxDyn(&[4]), vec![1, 0, 0, 1]).unwrap());
    check.compare(&[vec![fixed(4), fixed(3)]], |_, x| {
        UnpaddedRows::new(x[1], "unpadded").unpad(x[0]).exp().reduce_sum(&[0], false)
    });
}

#[test]
fn rows_that_are_padded_again_at_once_are_not_moved() {
    let graph = GraphBuilder::new();
    let mask = graph.input("mask", ElementType::Int64, &["padded".into()]);
    let x = graph.input("x", ElementType::Float32, &["padded".into(), 3.into()]);
    let [rows, others] = ["unpadded", "other"].map(|count| UnpaddedRows::new(mask, count));
    assert_eq!(rows.pad(rows.unpad(x)).name(), "x");
    assert_ne!(rows.pad(rows.unpad(x).exp()).name(), "x");
    assert_ne!(rows.pad(others.unpad(x)).name(), "x");
    assert_eq!(graph.finish().err(), None);

    let mut check = Check::new(0);
    check.indices = Some(ArrayD::from_shape_vec(IxDyn(&[6]), vec![1, 1, 0, 1, 0, 1]).unwrap());
    check.compare(&[vec![fixed(6), fixed(3)]], |_, x| {
        let rows = UnpaddedRows::new(x[1], "unpadded");
        // Both uses of the unpadded rows have a gradient.
        let unpadded = rows.unpad(x[0]);
        let mask = x[1].to_float().reshape(&[6.into(), 1.into()]);
        rows.pad(unpadded) * mask + rows.pad_with_zeros(unpadded.exp())
    });
}

/// Scores and means of hidden states for one query per text: products whose batch is the heads' and then the texts'.
#[test]
fn products_with_a_matrix_per_head_and_then_per_text() {
    for seed in 0..4 {
        let mut check = Check::new(seed);
        let (batch, tokens) = (Axis(check.size(), Some("batch")), Axis(check.size(), Some("tokens")));
        let (heads, size, width) = (check.size(), check.size(), check.size());
        let matrix = vec![fixed(heads * size), fixed(width)];
        let axes =
            [vec![batch, fixed(heads * size)], vec![batch, tokens, fixed(width)], matrix.clone(), matrix];
        check.compare(&axes, |_, x| {
            let matrices = [heads.into(), size.into(), width.into()];
            let query = x[0].reshape(&["batch".into(), heads.into(), size.into()]).transpose(&[1, 0, 2]);
            let of_hidden = query.matmul(x[2].reshape(&matrices)).transpose(&[1, 0, 2]);
            // Small scores, because finite differences are exact where softmax is smooth.
            let scores = of_hidden.matmul(x[1].transpose(&[0, 2, 1])) * 0.1;
            let mean = scores.softmax().matmul(x[1]);
            let value = x[3].reshape(&matrices).transpose(&[0, 2, 1]);
            mean.transpose(&[1, 0, 2]).matmul(value).transpose(&[1, 0, 2])
        });
    }
}

#[test]
fn a_transpose_of_a_transpose_in_the_old_order_is_the_value_itself() {
    let graph = GraphBuilder::new();
    let x = graph.input("x", ElementType::Float32, &[2.into(), 3.into(), 3.into()]);
    let other = x.transpose(&[1, 2, 0]);
    assert_eq!(other.transpose(&[2, 0, 1]).name(), "x");
    assert_ne!(other.transpose(&[1, 2, 0]).name(), "x");
    assert_ne!(x.transpose(&[0, 2, 1]).name(), "x");
    assert_eq!(graph.finish().err(), None);
}

#[test]
fn sums_and_means() {
    for seed in 0..4 {
        let mut check = Check::new(seed);
        let axes = [vec![Axis(check.size(), Some("batch")), fixed(check.size()), fixed(check.size())]];
        for keep in [false, true] {
            check.compare(&axes, |_, x| x[0].reduce_sum(&[0, 2], keep));
            check.compare(&axes, |_, x| x[0].reduce_mean(&[0, 2], keep));
            check.compare(&axes, |_, x| x[0].reduce_mean(&[1], keep));
            check.compare(&axes, |_, x| x[0].reduce_sum_square(&[0, 2], keep));
        }
    }
}

#[test]
fn sums_of_several_tensors() {
    for seed in 0..4 {
        let mut check = Check::new(seed);
        let (batch, width) = (Axis(check.size(), Some("batch")), fixed(check.size()));
        check.compare(&[vec![batch, width], vec![width], vec![]], |g, x| g.sum(&[x[0], x[1], x[2], x[1]]));
    }
    let graph = GraphBuilder::new();
    graph.sum(&[]);
    assert!(graph.finish().is_err(), "nothing has no sum");
}

/// The message of the first error in a graph built from two inputs of two numbers.
fn message_of(build: impl for<'g> Fn(&'g GraphBuilder, [Value<'g>; 2])) -> String {
    let graph = GraphBuilder::new();
    let inputs = ["x", "other"].map(|name| graph.input(name, ElementType::Float32, &[2.into()]));
    build(&graph, inputs);
    graph.finish().unwrap_err().to_string()
}

#[test]
fn a_gradient_that_does_not_exist_is_an_error() {
    let message = message_of(|g, [x, other]| {
        g.gradients(x.reduce_sum(&[0], false), &[other]);
    });
    assert_eq!(message, "the loss does not depend on other, so it has no gradient");
    let message = message_of(|g, [x, _]| {
        g.gradients(x.sign().reduce_sum(&[0], false), &[x]);
    });
    assert!(message.contains("operator Sign has no gradient rule"), "{message}");
    let message = message_of(|g, [x, _]| {
        g.gradients(x.reduce_max(&[0], false), &[x]);
    });
    assert!(message.contains("operator ReduceMax has no gradient rule"), "{message}");
}

#[test]
fn operands_that_do_not_fit_are_named_with_their_shapes() {
    let graph = GraphBuilder::new();
    let a = graph.input("a", ElementType::Float32, &["batch".into(), 3.into()]);
    let b = graph.parameter("weight", &[4, 5]);
    graph.scope("layer.0", || a.gemm(b, None, false, false));
    assert_eq!(
        graph.finish().unwrap_err().to_string(),
        "layer.0/Gemm: found a [batch, 3], weight [4, 5]; expected matrices that can be multiplied"
    );
}

#[test]
fn the_first_error_is_the_one_that_is_returned() {
    let message = message_of(|g, [x, other]| {
        let wrong = x.transpose(&[1]) + other.reshape(&[3.into()]);
        let loss = wrong.softmax().take_first(4, 1).reduce_sum(&[0], false);
        g.output("gradient", g.gradients(loss, &[x])[0]);
        g.parameter("x", &[1]);
    });
    assert!(message.starts_with("Transpose: found x [2]"), "{message}");
}

#[test]
fn a_name_is_used_once() {
    let message = message_of(|g, _| {
        g.parameter("x", &[1]);
    });
    assert_eq!(message, Error::DuplicateName("x".to_owned()).to_string());
}

#[test]
fn layers_share_a_parameter_of_the_same_name_and_shape() {
    let graph = GraphBuilder::new();
    let [first, second] = [2, 2].map(|size| graph.parameter("weight", &[size]));
    // Both uses count: the derivative of 3w².
    let loss = (first * second * 3.0).reduce_sum(&[0], false);
    graph.output("gradient", graph.gradients(loss, &[first])[0]);
    let graph = graph.finish().unwrap();
    assert_eq!(graph.parameters().collect::<Vec<_>>(), [("weight", vec![2])]);
    let model = graph.to_model("shared", |_| Storage::Input);
    let mut session = runtime().session(&model, SessionOptions::new(Device::Cpu, 1)).unwrap();
    let weight = ArrayD::from_elem(IxDyn(&[2]), 1.0_f32);
    let outputs = session.run(vec![("weight", weight.view().into())]).unwrap();
    assert_eq!(outputs.float32("gradient").unwrap().as_slice().unwrap(), [6.0, 6.0]);
    let message = message_of(|g, _| {
        g.parameter("weight", &[1]);
        g.parameter("weight", &[2]);
    });
    assert_eq!(message, Error::DuplicateName("weight".to_owned()).to_string());
}

#[test]
fn tensors_of_two_graphs_do_not_mix() {
    let other = GraphBuilder::new();
    let y = other.input("y", ElementType::Float32, &[2.into()]);
    let graph = GraphBuilder::new();
    let x = graph.input("x", ElementType::Float32, &[2.into()]);
    let _ = x + y;
    let message = graph.finish().unwrap_err().to_string();
    assert!(message.contains("tensors of one graph"), "{message}");
}
