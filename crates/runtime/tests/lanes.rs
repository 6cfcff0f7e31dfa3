//! Batches that several threads compute at the same time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::Duration;

use midashi_onnx::{ElementType, GraphBuilder, Storage};
use midashi_runtime::{DeviceChoice, Engine, Error, Lanes, Result, Session};
use ndarray::{Array2, ArrayD, array};

const BATCHES: usize = 24;

/// `y = x·Wᵀ` with `W = [[1, 2, 3], [4, 5, 6]]`, which is given beside the graph.
fn product(threads: usize) -> Lanes {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cache/onnxruntime");
    let engine = Engine::open(&folder, DeviceChoice::Cpu, threads).unwrap_or_else(|error| panic!("{error}"));
    let graph = GraphBuilder::new();
    let x = graph.input("x", ElementType::Float32, &["rows".into(), 3.into()]);
    graph.output("y", x.gemm(graph.parameter("w", &[2, 3]), None, false, true));
    let weights = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]].into_dyn();
    let model = graph.finish().unwrap().to_model("product", |_| Storage::External);
    engine.lanes(&model, vec![("w".to_owned(), weights)]).unwrap()
}

/// Row `batch` of an identity matrix times `batch`, as often as the batch has rows.
fn run(session: &mut Session, batch: usize) -> Result<ArrayD<f32>> {
    let x = Array2::from_shape_fn((batch + 1, 3), |(_, at)| if at == batch % 3 { batch as f32 } else { 0.0 });
    let outputs = session.run(vec![("x", x.into_dyn().view().into())])?;
    Ok(outputs.float32("y")?.to_owned())
}

fn expected(batch: usize) -> ArrayD<f32> {
    let column = [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]][batch % 3];
    Array2::from_shape_fn((batch + 1, 2), |(_, at)| batch as f32 * column[at]).into_dyn()
}

#[test]
fn results_come_in_the_order_of_the_batches() {
    for threads in [1, 2, 3] {
        let (used, mut taken) = (Mutex::new(HashSet::new()), Vec::new());
        let together = Barrier::new(threads);
        let compute = |session: &mut Session, batch: usize| {
            used.lock().unwrap().insert(thread::current().id());
            // The first batches wait for each other, and the first of them is the last to be done.
            if batch < threads {
                together.wait();
            }
            thread::sleep(Duration::from_millis(if batch == 0 { 100 } else { 0 }));
            run(session, batch)
        };
        let take = |batch, found| {
            taken.push((batch, found));
            Ok(())
        };
        product(threads).run_each(BATCHES, 0, compute, take).unwrap();
        assert_eq!(taken, (0..BATCHES).map(|batch| (batch, expected(batch))).collect::<Vec<_>>());
        assert_eq!(used.into_inner().unwrap().len(), threads);
    }
}

#[test]
fn large_batches_are_computed_a_few_at_a_time() {
    const GIB: u64 = 1 << 30;
    for (bytes, most) in [(2 * GIB, 3), (3 * GIB, 2), (5 * GIB, 1), (u64::MAX, 1)] {
        let (running, largest) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let compute = |session: &mut Session, batch: usize| {
            largest.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(2));
            let found = run(session, batch);
            running.fetch_sub(1, Ordering::SeqCst);
            found
        };
        let mut taken = Vec::new();
        let take = |_, found| {
            taken.push(found);
            Ok(())
        };
        product(3).run_each(BATCHES, bytes, compute, take).unwrap();
        assert_eq!(taken, (0..BATCHES).map(expected).collect::<Vec<_>>());
        assert!(largest.load(Ordering::SeqCst) <= most, "{largest:?} at a time of {bytes} bytes");
    }
}

#[test]
fn the_first_error_in_the_order_of_the_batches_is_returned() {
    for threads in [1, 3] {
        let (begun, mut taken) = (AtomicUsize::new(0), 0);
        let compute = |session: &mut Session, batch: usize| {
            begun.fetch_add(1, Ordering::Relaxed);
            match batch {
                4 => {
                    thread::sleep(Duration::from_millis(50));
                    Err("batch 4".to_owned())
                }
                5.. => Err(format!("batch {batch}")),
                _ => run(session, batch).map_err(|error| error.to_string()),
            }
        };
        let take = |_, _| {
            taken += 1;
            Ok(())
        };
        let found = product(threads).run_each(1000, 0, compute, take);
        assert_eq!((found, taken), (Err("batch 4".to_owned()), 4));
        if threads == 1 {
            assert_eq!(begun.into_inner(), 5);
        }
    }
}

#[test]
fn an_error_of_the_caller_ends_the_work() {
    for threads in [1, 3] {
        let begun = AtomicUsize::new(0);
        let compute = |session: &mut Session, batch: usize| {
            begun.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(1));
            run(session, batch % BATCHES).map_err(|error| error.to_string())
        };
        let take = |batch, _| if batch == 3 { Err("the disk is full".to_owned()) } else { Ok(()) };
        assert_eq!(product(threads).run_each(10_000, 0, compute, take), Err("the disk is full".to_owned()));
        assert!(begun.load(Ordering::Relaxed) < 5_000, "{begun:?} batches were begun");
    }
}

#[test]
fn no_batches_are_no_work() {
    let nothing = |_, _: ArrayD<f32>| -> Result<()> { panic!("there is no batch") };
    product(2).run_each(0, 0, run, nothing).unwrap();
    let wrong = |session: &mut Session, _| session.run(vec![]).map(|_| ());
    let error = product(2).run_each(2, 0, wrong, |_, ()| Ok::<_, Error>(())).unwrap_err();
    assert!(error.to_string().contains('x'), "{error}");
}

#[test]
fn a_thread_computes_a_part_of_the_tokens_of_a_batch() {
    let lanes = product(2);
    assert_eq!([2048, 4, 1].map(|budget| lanes.tokens(budget)), [512, 1, 1]);
}
