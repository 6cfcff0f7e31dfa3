//! A finished graph: named tensors, nodes in the order they run, and what goes in and out.

use std::collections::HashSet;

use bytes::Bytes;

use crate::node::{ElementType, Id, Node};
use crate::shape::{Dim, Shape};
use crate::size::Size;

/// What is known of a tensor before the graph runs.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) element: ElementType,
    pub(crate) shape: Shape,
}

/// A finished ONNX graph, made by [`GraphBuilder::finish`](crate::GraphBuilder::finish). All its nodes,
/// constants and parameters are needed for an output.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) inputs: Vec<Id>,
    pub(crate) parameters: Vec<Id>,
    pub(crate) constants: Vec<(Id, Bytes)>,
    /// Inputs that are one zero, broadcast, where a run is not fed them.
    pub(crate) optional: Vec<Id>,
    pub(crate) outputs: Vec<Id>,
    /// Sizes of axes that are computed from others.
    pub(crate) sizes: Vec<(&'static str, Size)>,
}

impl Graph {
    /// Names and shapes of the inputs, in the order they were added.
    pub fn inputs(&self) -> impl Iterator<Item = (&str, &[Dim])> {
        self.inputs.iter().map(|&id| (self.name(id), self.shape(id)))
    }

    /// Names and shapes of the parameters, in the order they were added.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, Vec<usize>)> {
        let sizes = |id| self.shape(id).iter().filter_map(Dim::fixed).collect();
        self.parameters.iter().map(move |&id| (self.name(id), sizes(id)))
    }

    /// Names and shapes of the outputs, in the order they were added.
    pub fn outputs(&self) -> impl Iterator<Item = (&str, &[Dim])> {
        self.outputs.iter().map(|&id| (self.name(id), self.shape(id)))
    }

    /// Names of the outputs, in the order they were added.
    pub fn output_names(&self) -> impl Iterator<Item = &str> {
        self.outputs().map(|(name, _)| name)
    }

    /// The size of `axis` in a run, with the sizes of the inputs' axes given by `input`.
    pub fn size_in_run(&self, axis: &Dim, input: &dyn Fn(&str) -> usize) -> usize {
        axis.size(|symbol| self.symbol_size(symbol, input))
    }

    fn symbol_size(&self, symbol: &str, input: &dyn Fn(&str) -> usize) -> usize {
        let defined = self.sizes.iter().find(|(known, _)| *known == symbol);
        defined
            .map_or_else(|| input(symbol), |(_, size)| size.evaluate(&|inner| self.symbol_size(inner, input)))
    }

    pub(crate) fn name(&self, id: Id) -> &str {
        &self.tensors[id.0].name
    }

    pub(crate) fn shape(&self, id: Id) -> &[Dim] {
        &self.tensors[id.0].shape
    }

    /// The parameter of this name, element type and shape.
    pub(crate) fn known_parameter(&self, name: &str, element: ElementType, shape: &[usize]) -> Option<Id> {
        let is_same = |id: &Id| {
            let tensor = &self.tensors[id.0];
            let sizes = tensor.shape.iter().filter_map(Dim::fixed);
            tensor.name == name && tensor.element == element && sizes.eq(shape.iter().copied())
        };
        self.parameters.iter().copied().find(is_same)
    }

    /// The tensors that `results` are computed from, and these themselves.
    pub(crate) fn dependencies(&self, results: &[Id]) -> HashSet<Id> {
        let mut needed: HashSet<Id> = results.iter().copied().collect();
        for node in self.nodes.iter().rev() {
            if node.outputs.iter().any(|output| needed.contains(output)) {
                needed.extend(&node.inputs);
            }
        }
        needed
    }

    /// Removes the nodes, constants and parameters that no output depends on.
    pub(crate) fn prune(&mut self) {
        let needed = self.dependencies(&self.outputs);
        self.nodes.retain(|node| node.outputs.iter().any(|output| needed.contains(output)));
        self.constants.retain(|(id, _)| needed.contains(id));
        self.parameters.retain(|id| needed.contains(id));
    }
}
