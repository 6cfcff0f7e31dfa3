//! A graph under construction, and the tensors that formulas are made of.

use std::cell::{Ref, RefCell};
use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::graph::{Graph, Tensor};
use crate::node::{ElementType, Id, Node, Op};
use crate::shape::{Dim, Shape, display};
use crate::size::Size;

/// An ONNX graph under construction.
///
/// *Inputs* are fed at every run. *Parameters* are tensors whose numbers live elsewhere and whose place in
/// the model is decided when it is written (see [`Graph::to_model`]). *Constants* are part of the graph.
///
/// The first error is kept, and [`finish`](Self::finish) returns it. What is built after it has no meaning.
#[derive(Debug, Default)]
pub struct GraphBuilder(RefCell<State>);

#[derive(Debug, Default)]
struct State {
    graph: Graph,
    /// Names of inputs, parameters and outputs.
    names: HashSet<String>,
    scope: String,
    /// Sizes known only at run time, by their symbol.
    sizes: HashMap<&'static str, Id>,
    /// Values that are built once, by their name.
    shared: HashMap<String, Id>,
    error: Option<Error>,
}

/// A tensor of a [`GraphBuilder`]: a handle that is cheap to copy. Arithmetic on values adds nodes.
#[derive(Clone, Copy, Debug)]
pub struct Value<'g> {
    pub(crate) graph: &'g GraphBuilder,
    pub(crate) id: Id,
}

/// Where [`Value::pick_rows`] puts each row of a table: at `index` in its result, int64 `[rows]`, if the number of the row
/// in `factor`, float32 `[rows]`, is 1; nowhere if it is 0.
#[derive(Clone, Copy, Debug)]
pub struct Place<'g> {
    /// The rows' indices in the flattened result.
    pub index: Value<'g>,
    /// Whether the row is there; without it all rows are.
    pub factor: Option<Value<'g>>,
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor that is fed at every run. Its name must not be taken.
    pub fn input(&self, name: &str, element: ElementType, shape: &[Dim]) -> Value<'_> {
        self.take_name(name);
        let value = self.tensor(name.to_owned(), element, shape.to_vec());
        self.0.borrow_mut().graph.inputs.push(value.id);
        value
    }

    /// Adds an int64 input that need not be fed: without it every number is 0. `like` is another input of the same shape.
    ///
    /// ONNX has no default values of a size that is known only when the model runs. The default is one zero, under the
    /// input's name among the initializers (allowed since IR version 4), and it is expanded in the graph.
    pub fn optional_zeros<'g>(&'g self, name: &str, like: Value<'g>) -> Value<'g> {
        let input = self.input(name, ElementType::Int64, &like.shape());
        self.0.borrow_mut().graph.optional.push(input.id);
        input.expand_like(like)
    }

    /// Adds a float32 tensor of fixed shape whose numbers live elsewhere, or returns the one of this name and shape: layers
    /// may share parameters. No other tensor may have the name.
    pub fn parameter(&self, name: &str, shape: &[usize]) -> Value<'_> {
        self.parameter_of(name, ElementType::Float32, shape)
    }

    /// As [`parameter`](Self::parameter), of any element type.
    pub fn parameter_of(&self, name: &str, element: ElementType, shape: &[usize]) -> Value<'_> {
        if let Some(id) = self.graph().known_parameter(name, element, shape) {
            return self.value(id);
        }
        self.take_name(name);
        let value = self.tensor(name.to_owned(), element, shape.iter().map(|&size| size.into()).collect());
        self.0.borrow_mut().graph.parameters.push(value.id);
        value
    }

    /// Adds a constant float32 scalar.
    pub fn scalar(&self, number: f32) -> Value<'_> {
        self.constant(ElementType::Float32, &[], number.to_le_bytes().to_vec())
    }

    /// Adds a constant float32 tensor of these numbers in row-major order.
    pub fn floats(&self, shape: &[usize], numbers: &[f32]) -> Value<'_> {
        let shape: Shape = shape.iter().map(|&size| size.into()).collect();
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let value = self.constant(ElementType::Float32, &shape, bytes);
        match shape.iter().product::<Dim>().fixed() == Some(numbers.len()) {
            true => value,
            false => self.misfit("Constant", &[value], &format!("as many as the {} numbers", numbers.len())),
        }
    }

    /// Adds a constant int64 vector.
    pub fn integers(&self, numbers: &[i64]) -> Value<'_> {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.constant(ElementType::Int64, &[numbers.len().into()], bytes)
    }

    /// Adds a constant of little-endian numbers, unless there is an equal one.
    pub(crate) fn constant(&self, element: ElementType, shape: &[Dim], bytes: Vec<u8>) -> Value<'_> {
        let same = self.graph().constants.iter().find_map(|(id, known)| {
            let tensor = &self.graph().tensors[id.0];
            (*known == bytes && tensor.element == element && tensor.shape == shape).then_some(*id)
        });
        if let Some(id) = same {
            return self.value(id);
        }
        let name = format!("constant_{}", self.graph().tensors.len());
        let value = self.tensor(name, element, shape.to_vec());
        self.0.borrow_mut().graph.constants.push((value.id, Bytes::from(bytes)));
        value
    }

    /// Makes `value` an output called `name`, which must not be taken.
    pub fn output(&self, name: &str, value: Value<'_>) {
        let computed = self.graph().nodes.iter().any(|node| node.outputs.contains(&value.id));
        let renamed = computed && !self.graph().outputs.contains(&value.id);
        let id = if renamed { value.id } else { value.identity().id };
        self.take_name(name);
        let graph = &mut self.0.borrow_mut().graph;
        graph.tensors[id.0].name = name.to_owned();
        graph.outputs.push(id);
    }

    /// Names what `build` adds with the prefix `name/`, by which graph viewers group nodes.
    pub fn scope<T>(&self, name: &str, build: impl FnOnce() -> T) -> T {
        let inner = format!("{}{name}/", self.0.borrow().scope);
        let outer = std::mem::replace(&mut self.0.borrow_mut().scope, inner);
        let built = build();
        self.0.borrow_mut().scope = outer;
        built
    }

    /// The size of the axis `symbol`, computed from the sizes of others. It may be given again if it is the same.
    pub fn define_size(&self, symbol: &'static str, size: Size) {
        let known =
            self.graph().sizes.iter().find(|(known, _)| *known == symbol).map(|(_, size)| size.clone());
        match known {
            Some(known) if known == size => {}
            Some(_) => {
                self.fail(Error::DuplicateName(symbol.to_owned()));
            }
            None => self.0.borrow_mut().graph.sizes.push((symbol, size)),
        }
    }

    /// The value `name`, which `build` makes where it is first needed. Names are those of one kind of value.
    pub fn shared<'g>(&'g self, name: &str, build: impl FnOnce() -> Value<'g>) -> Value<'g> {
        let known = self.0.borrow().shared.get(name).copied();
        known.map_or_else(
            || {
                let value = build();
                self.0.borrow_mut().shared.insert(name.to_owned(), value.id);
                value
            },
            |id| self.value(id),
        )
    }

    /// The parameters that `value` is computed from, in the order they were added.
    pub fn parameters_of(&self, value: Value<'_>) -> Vec<Value<'_>> {
        let graph = self.graph();
        let needed = graph.dependencies(&[value.id]);
        graph.parameters.iter().filter(|id| needed.contains(id)).map(|&id| self.value(id)).collect()
    }

    /// The graph without the nodes, constants and parameters that no output depends on.
    ///
    /// # Errors
    /// The first error of all that was added: operands that do not fit, a name used twice, a gradient that
    /// does not exist.
    pub fn finish(self) -> Result<Graph> {
        let State { mut graph, error, .. } = self.0.into_inner();
        graph.prune();
        error.map_or(Ok(graph), Err)
    }

    /// Adds a node with outputs of the given types and shapes.
    pub(crate) fn node<'g>(
        &'g self,
        op: Op,
        inputs: &[Value<'g>],
        outputs: &[(ElementType, Shape)],
    ) -> Vec<Value<'g>> {
        if inputs.iter().any(|input| !std::ptr::eq(input.graph, self)) {
            self.misfit(op.name(), inputs, "tensors of one graph");
        }
        let name = format!("{}{}_{}", self.0.borrow().scope, op.name(), self.graph().tensors.len());
        let output = |(at, (element, shape)): (usize, &(ElementType, Shape))| {
            let name = if at == 0 { name.clone() } else { format!("{name}_{at}") };
            self.tensor(name, *element, shape.clone())
        };
        let outputs: Vec<Value<'g>> = outputs.iter().enumerate().map(output).collect();
        let ids = |values: &[Value<'g>]| values.iter().map(|value| value.id).collect();
        let node = Node { op, name, inputs: ids(inputs), outputs: ids(&outputs) };
        self.0.borrow_mut().graph.nodes.push(node);
        outputs
    }

    /// The size of the axis `symbol` as an int64 vector of one number: as [`define_size`](Self::define_size) computes it, or
    /// that of the first input that has such an axis.
    pub fn size(&self, symbol: &'static str) -> Value<'_> {
        if let Some(&id) = self.0.borrow().sizes.get(symbol) {
            return self.value(id);
        }
        let defined =
            self.graph().sizes.iter().find(|(known, _)| *known == symbol).map(|(_, size)| size.clone());
        if let Some(size) = defined {
            let value = self.computed(&size);
            self.0.borrow_mut().sizes.insert(symbol, value.id);
            return value;
        }
        let wanted = Dim::symbol(symbol);
        let place = self.graph().inputs.iter().find_map(|&input| {
            self.graph().shape(input).iter().position(|dim| *dim == wanted).map(|axis| (input, axis))
        });
        let Some((input, axis)) = place else { return self.fail(Error::UnknownSize(symbol)) };
        let size = self.value(input).apply_as(Op::Size { axis }, &[], ElementType::Int64, vec![1.into()]);
        self.0.borrow_mut().sizes.insert(symbol, size.id);
        size
    }

    /// The size in a graph: an int64 vector of one number.
    fn computed(&self, size: &Size) -> Value<'_> {
        let both = |operands: &[Size; 2]| operands.each_ref().map(|operand| self.computed(operand));
        match size {
            Size::Fixed(size) => self.integers(&[*size as i64]),
            Size::Axis(symbol) => self.size(symbol),
            Size::Sum(operands) => {
                let [a, b] = both(operands);
                a + b
            }
            Size::Difference(operands) => {
                let [a, b] = both(operands);
                a - b
            }
            Size::Product(operands) => {
                let [a, b] = both(operands);
                a * b
            }
            Size::Quotient(operands) => {
                let [a, b] = both(operands);
                a / b
            }
            Size::Minimum(operands) => {
                let [a, b] = both(operands);
                a.minimum(b)
            }
        }
    }

    /// The graph as it is now, to be read.
    pub(crate) fn graph(&self) -> Ref<'_, Graph> {
        Ref::map(self.0.borrow(), |state| &state.graph)
    }

    pub(crate) fn value(&self, id: Id) -> Value<'_> {
        Value { graph: self, id }
    }

    /// Keeps an error if it is the first. Returns a value in place of the one that cannot be made.
    pub(crate) fn fail(&self, error: Error) -> Value<'_> {
        self.0.borrow_mut().error.get_or_insert(error);
        self.tensor(String::new(), ElementType::Float32, vec![])
    }

    /// An error about operands of `op`, with the scope and their shapes.
    pub(crate) fn misfit(&self, op: &'static str, operands: &[Value<'_>], expected: &str) -> Value<'_> {
        let describe = |value: &Value<'_>| format!("{} {}", value.name(), display(&value.shape()));
        let found: Vec<String> = operands.iter().map(describe).collect();
        let message = format!("found {}; expected {expected}", found.join(", "));
        let place = self.0.borrow().scope.clone();
        self.fail(Error::Operands { place, op, message })
    }

    fn tensor(&self, name: String, element: ElementType, shape: Shape) -> Value<'_> {
        let tensors = &mut self.0.borrow_mut().graph.tensors;
        tensors.push(Tensor { name, element, shape });
        self.value(Id(tensors.len() - 1))
    }

    fn take_name(&self, name: &str) {
        if !self.0.borrow_mut().names.insert(name.to_owned()) {
            self.fail(Error::DuplicateName(name.to_owned()));
        }
    }
}

impl<'g> Value<'g> {
    /// Its shape.
    pub fn shape(self) -> Shape {
        self.graph.graph().shape(self.id).to_vec()
    }

    /// The graph that it belongs to.
    pub fn graph(self) -> &'g GraphBuilder {
        self.graph
    }

    /// Its name.
    pub fn name(self) -> String {
        self.graph.graph().name(self.id).to_owned()
    }

    pub(crate) fn element(self) -> ElementType {
        self.graph.graph().tensors[self.id.0].element
    }

    /// `op` on this and `other` operands, with a result of this element type.
    pub(crate) fn apply(self, op: Op, others: &[Self], shape: Shape) -> Self {
        self.apply_as(op, others, self.element(), shape)
    }

    /// `op` on this and `other` operands.
    pub(crate) fn apply_as(self, op: Op, others: &[Self], element: ElementType, shape: Shape) -> Self {
        self.graph.node(op, &[&[self], others].concat(), &[(element, shape)])[0]
    }
}
