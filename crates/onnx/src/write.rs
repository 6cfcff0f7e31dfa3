//! From a graph to the bytes of an ONNX model that stock ONNX Runtime loads.

use bytes::Bytes;
use prost::Message;

use crate::graph::{Attribute, ElementType, Graph, Node, Value};
use crate::proto::{
    AttributeProto, DimensionProto, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// The operator set whose semantics `operators.rs` has; the first with `Gelu`.
const OPERATOR_SET: i64 = 20;
/// The file format that goes with operator set 20 (ONNX's versioning table, release 1.15).
const IR_VERSION: i64 = 9;

/// Where a parameter's numbers are when the model runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Fed at every run, like an input: for what is being trained.
    Input,
    /// In the model file, little-endian in row-major order.
    Embedded(Bytes),
    /// Handed to the session by name when it is made; the model only declares it.
    External,
}

impl Graph {
    /// The model as protobuf bytes; `storage` says per parameter name where its numbers are.
    pub fn to_model(&self, name: &str, mut storage: impl FnMut(&str) -> Storage) -> Vec<u8> {
        let mut input: Vec<ValueInfoProto> =
            self.inputs.iter().map(|&value| self.value_info(value)).collect();
        let mut initializer: Vec<TensorProto> =
            self.constants.iter().map(|(value, bytes)| self.tensor(*value, Some(bytes.clone()))).collect();
        for &parameter in &self.parameters {
            match storage(self.name(parameter)) {
                Storage::Input => input.push(self.value_info(parameter)),
                Storage::Embedded(bytes) => initializer.push(self.tensor(parameter, Some(bytes))),
                Storage::External => initializer.push(self.tensor(parameter, None)),
            }
        }
        let inner =
            self.nodes.iter().flat_map(|node| &node.outputs).filter(|value| !self.outputs.contains(value));
        let model = ModelProto {
            ir_version: IR_VERSION,
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPERATOR_SET }],
            producer_name: "midashi".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(GraphProto {
                node: self.nodes.iter().map(|node| self.node_proto(node)).collect(),
                name: name.to_owned(),
                initializer,
                input,
                output: self.outputs.iter().map(|&value| self.value_info(value)).collect(),
                value_info: inner.map(|&value| self.value_info(value)).collect(),
            }),
        };
        model.encode_to_vec()
    }

    fn node_proto(&self, node: &Node) -> NodeProto {
        let names = |values: &[Value]| values.iter().map(|&value| self.name(value).to_owned()).collect();
        NodeProto {
            input: names(&node.inputs),
            output: names(&node.outputs),
            name: node.name.clone(),
            op_type: node.op.to_owned(),
            attribute: node
                .attributes
                .iter()
                .map(|(name, attribute)| attribute_proto(name, attribute))
                .collect(),
        }
    }

    fn value_info(&self, value: Value) -> ValueInfoProto {
        let dim = self
            .shape(value)
            .iter()
            .map(|dim| {
                let value = match dim.fixed() {
                    Some(size) => DimensionValue::Size(size as i64),
                    None => DimensionValue::Symbol(dim.to_string()),
                };
                DimensionProto { value: Some(value) }
            })
            .collect();
        let tensor = TensorTypeProto {
            elem_type: data_type(self.element(value)),
            shape: Some(TensorShapeProto { dim }),
        };
        ValueInfoProto {
            name: self.name(value).to_owned(),
            r#type: Some(TypeProto { tensor_type: Some(tensor) }),
        }
    }

    /// A tensor with its bytes, or one whose bytes are handed over with the session.
    fn tensor(&self, value: Value, bytes: Option<Bytes>) -> TensorProto {
        let external = bytes.is_none();
        // The location is required by the format; the session replaces the tensor by name.
        let location = StringStringEntryProto { key: "location".to_owned(), value: "session".to_owned() };
        TensorProto {
            dims: self.shape(value).iter().filter_map(|dim| dim.fixed()).map(|size| size as i64).collect(),
            data_type: data_type(self.element(value)),
            name: self.name(value).to_owned(),
            raw_data: bytes.unwrap_or_default(),
            external_data: if external { vec![location] } else { Vec::new() },
            data_location: i32::from(external),
        }
    }
}

/// `TensorProto.DataType` of onnx.proto3.
pub(crate) fn data_type(element: ElementType) -> i32 {
    match element {
        ElementType::Float32 => 1,
        ElementType::Uint8 => 2,
        ElementType::Int8 => 3,
        ElementType::Int32 => 6,
        ElementType::Int64 => 7,
    }
}

fn attribute_proto(name: &str, attribute: &Attribute) -> AttributeProto {
    let mut proto = AttributeProto { name: name.to_owned(), ..AttributeProto::default() };
    match attribute {
        Attribute::Float(number) => (proto.kind, proto.f) = (1, *number),
        Attribute::Int(number) => (proto.kind, proto.i) = (2, *number),
        Attribute::Text(text) => (proto.kind, proto.s) = (3, Bytes::from_static(text.as_bytes())),
        Attribute::Ints(numbers) => (proto.kind, proto.ints) = (7, numbers.clone()),
    }
    proto
}
