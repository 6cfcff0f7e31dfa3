//! Which execution provider ONNX Runtime gave each node to.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};
use std::ptr;

use ort::AsPointer;
use ort::session::Session;
use ort::sys::{OrtEpAssignedNode, OrtEpAssignedSubgraph, OrtStatusPtr};

/// The session option that makes ONNX Runtime remember it (`onnxruntime_session_options_config_keys.h`,
/// 1.24 and later).
pub(crate) const RECORD_PLACEMENT: &str = "session.record_ep_graph_assignment_info";

/// How many nodes a warning names.
const SHOWN: usize = 8;

/// A session's nodes by the execution provider that runs them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Names of the nodes, by the provider's name as ONNX Runtime has it (`CPUExecutionProvider`, …).
    pub nodes: BTreeMap<String, Vec<String>>,
}

impl Placement {
    /// As ONNX Runtime recorded it for a session with [`RECORD_PLACEMENT`].
    pub(crate) fn of(session: &Session) -> ort::Result<Self> {
        let api = ort::api();
        let mut nodes: BTreeMap<String, Vec<String>> = BTreeMap::new();
        // SAFETY: the session is alive, and so are the arrays and strings it owns while it is borrowed;
        // each call gets what an earlier one of the same session gave.
        unsafe {
            let subgraphs: Vec<*const OrtEpAssignedSubgraph> =
                list(|first, count| (api.Session_GetEpGraphAssignmentInfo)(session.ptr(), first, count))?;
            for subgraph in subgraphs {
                let provider = text(|out| (api.EpAssignedSubgraph_GetEpName)(subgraph, out))?;
                let of_provider = nodes.entry(provider).or_default();
                let assigned: Vec<*const OrtEpAssignedNode> =
                    list(|first, count| (api.EpAssignedSubgraph_GetNodes)(subgraph, first, count))?;
                for node in assigned {
                    of_provider.push(text(|out| (api.EpAssignedNode_GetName)(node, out))?);
                }
            }
        }
        Ok(Self { nodes })
    }

    /// A line about the nodes that run elsewhere than on `provider`; none where all run there.
    pub(crate) fn elsewhere(&self, provider: &str) -> Option<String> {
        let all: usize = self.nodes.values().map(Vec::len).sum();
        let others = self.nodes.iter().filter(|(name, nodes)| *name != provider && !nodes.is_empty());
        let lines: Vec<String> = others
            .map(|(other, nodes)| {
                let shown = nodes.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
                let more = if nodes.len() > SHOWN { ", …" } else { "" };
                format!("{} of {all} nodes run on {other}, not {provider}: {shown}{more}", nodes.len())
            })
            .collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }
}

/// An array that ONNX Runtime lends: where it begins and how long it is.
///
/// # Safety
/// `call` must give the beginning of an array of that length, or fail.
unsafe fn list<T: Copy>(call: impl FnOnce(*mut *const T, *mut usize) -> OrtStatusPtr) -> ort::Result<Vec<T>> {
    let (mut first, mut count) = (ptr::null(), 0);
    // SAFETY: the status is one that ONNX Runtime returned just now.
    unsafe { ort::Error::result_from_status(call(&mut first, &mut count))? };
    if first.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(first, count) }.to_vec())
}

/// A string that ONNX Runtime lends.
///
/// # Safety
/// `call` must give a string that ends in 0, or fail.
unsafe fn text(call: impl FnOnce(*mut *const c_char) -> OrtStatusPtr) -> ort::Result<String> {
    let mut out = ptr::null();
    // SAFETY: the status is one that ONNX Runtime returned just now.
    unsafe { ort::Error::result_from_status(call(&mut out))? };
    // SAFETY: the caller's promise.
    Ok(if out.is_null() { String::new() } else { unsafe { CStr::from_ptr(out) }.to_string_lossy().into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_elsewhere_are_counted_and_named() {
        let name = |number: usize| format!("Concat_{number}");
        let placement = |elsewhere: usize| Placement {
            nodes: [
                ("CPUExecutionProvider".to_owned(), (0..elsewhere).map(name).collect()),
                ("CUDAExecutionProvider".to_owned(), vec!["Gemm_1".to_owned(), "Add_2".to_owned()]),
            ]
            .into(),
        };
        let line = |elsewhere| placement(elsewhere).elsewhere("CUDAExecutionProvider");
        assert_eq!(line(0), None);
        assert_eq!(
            line(2).as_deref(),
            Some("2 of 4 nodes run on CPUExecutionProvider, not CUDAExecutionProvider: Concat_0, Concat_1")
        );
        assert!(line(9).is_some_and(|line| line.ends_with("Concat_7, …")));
    }
}
