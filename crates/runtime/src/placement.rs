//! Node placement: the execution provider of each node, read from ONNX Runtime's own assignment.
#![expect(unsafe_code, reason = "the bindings have no safe call for the assignment")]

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};
use std::ptr;

use ort::AsPointer;
use ort::session::Session;
use ort::sys::{OrtEpAssignedNode, OrtEpAssignedSubgraph, OrtStatusPtr};

/// The session option that makes ONNX Runtime record the assignment (`onnxruntime_session_options_config_keys.h`,
/// 1.24 and later).
pub(crate) const RECORD_PLACEMENT: &str = "session.record_ep_graph_assignment_info";

/// The number of nodes that a warning names.
const SHOWN: usize = 8;

/// A session's nodes by execution provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Node names by ONNX Runtime's name of the provider (`CPUExecutionProvider`, …).
    pub nodes: BTreeMap<String, Vec<String>>,
}

impl Placement {
    /// The placement that ONNX Runtime recorded for a session with [`RECORD_PLACEMENT`].
    pub(crate) fn of(session: &Session) -> ort::Result<Self> {
        let api = ort::api();
        let mut nodes: BTreeMap<String, Vec<String>> = BTreeMap::new();
        // SAFETY: the session and the arrays and strings that it owns live as long as it is borrowed. The pointers that
        // each call gets come from earlier calls on the same session.
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

    /// A line that names the nodes that do not run on `provider`; none if all of them do.
    pub(crate) fn fallback(&self, provider: &str) -> Option<String> {
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

/// Copies an array that ONNX Runtime owns.
///
/// # Safety
/// `call` must return a pointer to an array and the array's length, or an error.
unsafe fn list<T: Copy>(call: impl FnOnce(*mut *const T, *mut usize) -> OrtStatusPtr) -> ort::Result<Vec<T>> {
    let (mut first, mut count) = (ptr::null(), 0);
    // SAFETY: ONNX Runtime returned this status, and it is used once.
    unsafe { ort::Error::result_from_status(call(&mut first, &mut count))? };
    if first.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: the caller guarantees pointer and length.
    Ok(unsafe { std::slice::from_raw_parts(first, count) }.to_vec())
}

/// Copies a string that ONNX Runtime owns.
///
/// # Safety
/// `call` must return a string that ends in 0, or an error.
unsafe fn text(call: impl FnOnce(*mut *const c_char) -> OrtStatusPtr) -> ort::Result<String> {
    let mut out = ptr::null();
    // SAFETY: ONNX Runtime returned this status, and it is used once.
    unsafe { ort::Error::result_from_status(call(&mut out))? };
    // SAFETY: the caller guarantees the terminating 0.
    Ok(if out.is_null() { String::new() } else { unsafe { CStr::from_ptr(out) }.to_string_lossy().into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_on_another_provider_are_counted_and_named() {
        let name = |number: usize| format!("Concat_{number}");
        let placement = |elsewhere: usize| Placement {
            nodes: [
                ("CPUExecutionProvider".to_owned(), (0..elsewhere).map(name).collect()),
                ("CUDAExecutionProvider".to_owned(), vec!["Gemm_1".to_owned(), "Add_2".to_owned()]),
            ]
            .into(),
        };
        let line = |elsewhere| placement(elsewhere).fallback("CUDAExecutionProvider");
        assert_eq!(line(0), None);
        assert_eq!(
            line(2).as_deref(),
            Some("2 of 4 nodes run on CPUExecutionProvider, not CUDAExecutionProvider: Concat_0, Concat_1")
        );
        assert!(line(9).is_some_and(|line| line.ends_with("Concat_7, …")));
    }
}
