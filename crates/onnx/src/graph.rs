//! The graph as a value: named tensors, nodes in the order they run, and what goes in and out.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use crate::rows::Inverse;
use crate::shape::{Dim, Shape, display};
use crate::{Error, Result};

/// Element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// 32-bit float.
    Float32,
    /// 8-bit unsigned integer.
    Uint8,
    /// 8-bit integer.
    Int8,
    /// 32-bit integer.
    Int32,
    /// 64-bit integer.
    Int64,
}

/// A tensor in a [`Graph`]: a handle, cheap to copy, meaningful only with its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Value(pub(crate) usize);

/// What is known of a tensor before the graph runs.
#[derive(Clone, Debug)]
pub(crate) struct ValueInfo {
    pub(crate) name: String,
    pub(crate) element: ElementType,
    pub(crate) shape: Shape,
}

/// An operator applied to values.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) op: &'static str,
    pub(crate) name: String,
    pub(crate) inputs: Vec<Value>,
    pub(crate) outputs: Vec<Value>,
    pub(crate) attributes: Vec<(&'static str, Attribute)>,
}

/// An attribute of a node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Attribute {
    Int(i64),
    Ints(Vec<i64>),
    Float(f32),
    Text(&'static str),
}

/// An ONNX graph under construction.
///
/// *Inputs* are fed at every run, *parameters* are tensors whose numbers live elsewhere and whose
/// place in the model is decided when it is written (see [`Graph::to_model`](crate::write)),
/// *constants* are part of the graph.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub(crate) values: Vec<ValueInfo>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) inputs: Vec<Value>,
    pub(crate) parameters: Vec<Value>,
    pub(crate) constants: Vec<(Value, Bytes)>,
    pub(crate) outputs: Vec<Value>,
    names: HashSet<String>,
    scope: String,
    sizes: HashMap<&'static str, Value>,
    /// Indices whose `Gather` another `Gather` undoes.
    pub(crate) inverses: HashMap<Value, Inverse>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor that is fed at every run.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn input(&mut self, name: &str, element: ElementType, shape: &[Dim]) -> Result<Value> {
        let value = self.named_value(name, element, shape)?;
        self.inputs.push(value);
        Ok(value)
    }

    /// Adds a float32 tensor of fixed shape whose numbers live elsewhere.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn parameter(&mut self, name: &str, shape: &[usize]) -> Result<Value> {
        self.parameter_of(name, ElementType::Float32, shape)
    }

    /// Adds a tensor of fixed shape whose numbers live elsewhere.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn parameter_of(&mut self, name: &str, element: ElementType, shape: &[usize]) -> Result<Value> {
        let shape: Shape = shape.iter().map(|&size| size.into()).collect();
        let value = self.named_value(name, element, &shape)?;
        self.parameters.push(value);
        Ok(value)
    }

    /// Adds a constant float32 scalar.
    pub fn scalar(&mut self, number: f32) -> Value {
        self.constant(ElementType::Float32, &[], Bytes::copy_from_slice(&number.to_le_bytes()))
    }

    /// Adds a constant uint8 scalar.
    pub(crate) fn byte(&mut self, number: u8) -> Value {
        self.constant(ElementType::Uint8, &[], Bytes::copy_from_slice(&[number]))
    }

    /// Adds a constant float32 vector.
    pub(crate) fn floats(&mut self, numbers: &[f32]) -> Value {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.constant(ElementType::Float32, &[numbers.len().into()], bytes)
    }

    /// Adds a constant int64 vector.
    pub fn integers(&mut self, numbers: &[i64]) -> Value {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.constant(ElementType::Int64, &[numbers.len().into()], bytes)
    }

    fn constant(&mut self, element: ElementType, shape: &[Dim], bytes: Bytes) -> Value {
        let same = self.constants.iter().find(|(value, known)| {
            let info = &self.values[value.0];
            known == &bytes && info.element == element && info.shape == shape
        });
        if let Some((value, _)) = same {
            return *value;
        }
        let name = format!("constant_{}", self.values.len());
        let value = self.new_value(name, element, shape.to_vec());
        self.constants.push((value, bytes));
        value
    }

    /// Declares `value` an output called `name`.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn output(&mut self, name: &str, value: Value) -> Result<()> {
        let computed = self.nodes.iter().any(|node| node.outputs.contains(&value));
        let value = if computed && !self.outputs.contains(&value) { value } else { self.identity(value) };
        self.take_name(name)?;
        self.values[value.0].name = name.to_owned();
        self.outputs.push(value);
        Ok(())
    }

    /// Adds nodes in a named scope; their names start with `name/`, which is how a graph viewer
    /// tells layers apart.
    ///
    /// # Errors
    /// Those of `build`.
    pub fn within<T>(&mut self, name: &str, build: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let outer = self.scope.clone();
        self.scope = format!("{outer}{name}/");
        let built = build(self);
        self.scope = outer;
        built
    }

    /// Shape of a value.
    pub fn shape(&self, value: Value) -> &[Dim] {
        &self.values[value.0].shape
    }

    /// Name of a value.
    pub fn name(&self, value: Value) -> &str {
        &self.values[value.0].name
    }

    /// Names and shapes of the inputs, in the order they were added.
    pub fn inputs(&self) -> impl Iterator<Item = (&str, &[Dim])> {
        self.inputs.iter().map(|&value| (self.name(value), self.shape(value)))
    }

    /// Names and shapes of the parameters that are used, in the order they were added.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, Vec<usize>)> {
        self.parameters.iter().map(|&value| {
            let shape = self.shape(value).iter().filter_map(Dim::fixed).collect();
            (self.name(value), shape)
        })
    }

    /// The parameter called `name`.
    pub fn find_parameter(&self, name: &str) -> Option<Value> {
        self.parameters.iter().copied().find(|&value| self.name(value) == name)
    }

    /// Names of the outputs in order.
    pub fn output_names(&self) -> impl Iterator<Item = &str> {
        self.outputs.iter().map(|&value| self.name(value))
    }

    /// Removes nodes, constants and parameters that no output depends on.
    pub fn prune(&mut self) {
        let mut needed: HashSet<Value> = self.outputs.iter().copied().collect();
        let mut kept = Vec::new();
        for node in std::mem::take(&mut self.nodes).into_iter().rev() {
            if node.outputs.iter().any(|output| needed.contains(output)) {
                needed.extend(&node.inputs);
                kept.push(node);
            }
        }
        kept.reverse();
        self.nodes = kept;
        self.constants.retain(|(value, _)| needed.contains(value));
        self.parameters.retain(|value| needed.contains(value));
        self.sizes.retain(|_, value| needed.contains(value));
    }

    /// Adds a node with outputs of the given types and shapes.
    pub(crate) fn node(
        &mut self,
        op: &'static str,
        inputs: &[Value],
        attributes: Vec<(&'static str, Attribute)>,
        outputs: &[(ElementType, Shape)],
    ) -> Vec<Value> {
        // Numbered by values, of which there are never fewer: pruning removes nodes and constants.
        let name = format!("{}{op}_{}", self.scope, self.values.len());
        let outputs: Vec<Value> = outputs
            .iter()
            .enumerate()
            .map(|(at, (element, shape))| {
                let name = if at == 0 { name.clone() } else { format!("{name}_{at}") };
                self.new_value(name, *element, shape.clone())
            })
            .collect();
        self.nodes.push(Node { op, name, inputs: inputs.to_vec(), outputs: outputs.clone(), attributes });
        outputs
    }

    /// The size of the axis `symbol` as an int64 vector of one number, computed from the first
    /// input that has such an axis.
    pub(crate) fn size(&mut self, symbol: &'static str) -> Result<Value> {
        if let Some(&value) = self.sizes.get(symbol) {
            return Ok(value);
        }
        let wanted = Dim::symbol(symbol);
        let place = self.inputs.iter().find_map(|&input| {
            self.shape(input).iter().position(|dim| *dim == wanted).map(|axis| (input, axis as i64))
        });
        let (input, axis) = place.ok_or(Error::UnknownSize(symbol))?;
        let attributes = vec![("start", Attribute::Int(axis)), ("end", Attribute::Int(axis + 1))];
        let value = self.node("Shape", &[input], attributes, &[(ElementType::Int64, vec![1.into()])])[0];
        self.sizes.insert(symbol, value);
        Ok(value)
    }

    /// The numbers of a constant int64 vector; none for any other value.
    pub(crate) fn integers_of(&self, value: Value) -> Vec<i64> {
        let constant = self.constants.iter().find(|(known, _)| *known == value);
        let bytes = constant.map(|(_, bytes)| &bytes[..]).unwrap_or_default();
        bytes.as_chunks().0.iter().map(|number| i64::from_le_bytes(*number)).collect()
    }

    pub(crate) fn element(&self, value: Value) -> ElementType {
        self.values[value.0].element
    }

    /// An error about operands of `op`, naming the scope and their shapes.
    pub(crate) fn misfit(&self, op: &'static str, operands: &[Value], expected: &str) -> Error {
        let found: Vec<String> = operands
            .iter()
            .map(|&value| format!("{} {}", self.name(value), display(self.shape(value))))
            .collect();
        Error::Operands {
            place: self.scope.clone(),
            op,
            message: format!("found {}; expected {expected}", found.join(", ")),
        }
    }

    fn new_value(&mut self, name: String, element: ElementType, shape: Shape) -> Value {
        self.values.push(ValueInfo { name, element, shape });
        Value(self.values.len() - 1)
    }

    fn named_value(&mut self, name: &str, element: ElementType, shape: &[Dim]) -> Result<Value> {
        self.take_name(name)?;
        Ok(self.new_value(name.to_owned(), element, shape.to_vec()))
    }

    fn take_name(&mut self, name: &str) -> Result<()> {
        if self.names.insert(name.to_owned()) { Ok(()) } else { Err(Error::DuplicateName(name.to_owned())) }
    }
}
