//! Writes a graph as an ONNX model that stock ONNX Runtime loads.

use bytes::Bytes;
use prost::Message;

use crate::graph::Graph;
use crate::node::{Attribute, Id, Node, ONNXRUNTIME};
use crate::proto::{
    AttributeProto, DimensionProto, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use crate::shape::Dim;

/// The operator set that `node.rs` follows, the first with `Gelu`.
const OPERATOR_SET: i64 = 20;
/// ONNX Runtime's own operators have had this version since they exist.
const ONNXRUNTIME_OPERATOR_SET: i64 = 1;
/// The file format of operator set 20 (ONNX's versioning table, release 1.15).
const IR_VERSION: i64 = 9;

/// Where a parameter's numbers are when the model runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// Fed at every run, like an input: for trainable parameters.
    Input,
    /// In the model file, little-endian in row-major order.
    Embedded(Bytes),
    /// Handed to the session by name when it is created; the model only declares it.
    External,
    /// In another file, little-endian in row-major order ("External Data" of the ONNX specification).
    File(FileRange),
}

/// Where numbers lie in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRange {
    /// The file, in the folder of the model or of the session's data.
    pub file: String,
    /// Bytes before the first number.
    pub offset: u64,
    /// Bytes of all numbers.
    pub length: u64,
}

impl Graph {
    /// The model as protobuf bytes; `storage` gives the place of each parameter's numbers by its name.
    pub fn to_model(&self, name: &str, storage: impl FnMut(&str) -> Storage) -> Vec<u8> {
        self.to_model_with(name, storage, &[])
    }

    /// As [`to_model`](Self::to_model), with `metadata` in the file: pairs of a key and a value, for other programs.
    pub fn to_model_with(
        &self,
        name: &str,
        mut storage: impl FnMut(&str) -> Storage,
        metadata: &[(&str, String)],
    ) -> Vec<u8> {
        let infos = |ids: &[Id]| ids.iter().map(|&id| self.value_info(id)).collect::<Vec<_>>();
        let mut input = infos(&self.inputs);
        let mut initializer: Vec<TensorProto> =
            self.constants.iter().map(|(id, bytes)| self.tensor(*id, bytes.clone())).collect();
        initializer.extend(self.optional.iter().map(|&id| self.zero(id)));
        for &parameter in &self.parameters {
            match storage(self.name(parameter)) {
                Storage::Input => input.push(self.value_info(parameter)),
                Storage::Embedded(bytes) => initializer.push(self.tensor(parameter, bytes)),
                // The format requires a location; the session replaces the tensor by its name.
                Storage::External => {
                    initializer.push(self.external(parameter, &[("location", "session".to_owned())]))
                }
                Storage::File(FileRange { file, offset, length }) => {
                    let place =
                        [("location", file), ("offset", offset.to_string()), ("length", length.to_string())];
                    initializer.push(self.external(parameter, &place));
                }
            }
        }
        let computed = self.nodes.iter().flat_map(|node| &node.outputs).copied();
        let inner: Vec<Id> = computed.filter(|id| !self.outputs.contains(id)).collect();
        let model = ModelProto {
            ir_version: IR_VERSION,
            opset_import: self.operator_sets(),
            producer_name: "midashi".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(GraphProto {
                node: self.nodes.iter().map(|node| self.node_proto(node)).collect(),
                name: name.to_owned(),
                initializer,
                input,
                output: infos(&self.outputs),
                value_info: infos(&inner),
            }),
            metadata_props: metadata
                .iter()
                .map(|(key, value)| StringStringEntryProto { key: (*key).to_owned(), value: value.clone() })
                .collect(),
        };
        model.encode_to_vec()
    }

    /// ONNX's operators, and ONNX Runtime's own if a node needs them.
    fn operator_sets(&self) -> Vec<OperatorSetIdProto> {
        let set = |domain: &str, version| OperatorSetIdProto { domain: domain.to_owned(), version };
        let own = self.nodes.iter().any(|node| node.op.domain() == ONNXRUNTIME);
        let own = own.then(|| set(ONNXRUNTIME, ONNXRUNTIME_OPERATOR_SET));
        [set("", OPERATOR_SET)].into_iter().chain(own).collect()
    }

    fn node_proto(&self, node: &Node) -> NodeProto {
        let names = |ids: &[Id]| ids.iter().map(|&id| self.name(id).to_owned()).collect();
        let (operator, attributes) = node.op.to_onnx();
        NodeProto {
            input: names(&node.inputs),
            output: names(&node.outputs),
            name: node.name.clone(),
            op_type: operator.to_owned(),
            attribute: attributes.into_iter().map(attribute_proto).collect(),
            domain: node.op.domain().to_owned(),
        }
    }

    fn value_info(&self, id: Id) -> ValueInfoProto {
        let dim = self.shape(id).iter().map(|dim| DimensionProto {
            value: Some(match dim.fixed() {
                Some(size) => DimensionValue::Size(size as i64),
                None => DimensionValue::Symbol(dim.to_string()),
            }),
        });
        let shape = Some(TensorShapeProto { dim: dim.collect() });
        let tensor = TensorTypeProto { elem_type: self.tensors[id.0].element.data_type(), shape };
        ValueInfoProto {
            name: self.name(id).to_owned(),
            r#type: Some(TypeProto { tensor_type: Some(tensor) }),
        }
    }

    /// One zero as the default of an int64 input.
    fn zero(&self, id: Id) -> TensorProto {
        let dims = vec![1; self.shape(id).len()];
        TensorProto { dims, ..self.tensor(id, Bytes::from_static(&[0; size_of::<i64>()])) }
    }

    /// A tensor with its bytes.
    fn tensor(&self, id: Id, bytes: Bytes) -> TensorProto {
        TensorProto {
            dims: self.shape(id).iter().filter_map(Dim::fixed).map(|size| size as i64).collect(),
            data_type: self.tensors[id.0].element.data_type(),
            name: self.name(id).to_owned(),
            raw_data: bytes,
            external_data: Vec::new(),
            data_location: 0,
        }
    }

    /// A tensor whose bytes are elsewhere.
    fn external(&self, id: Id, place: &[(&str, String)]) -> TensorProto {
        let entry = |(key, value): &(&str, String)| StringStringEntryProto {
            key: (*key).to_owned(),
            value: value.clone(),
        };
        let external_data = place.iter().map(entry).collect();
        TensorProto { external_data, data_location: 1, ..self.tensor(id, Bytes::new()) }
    }
}

fn attribute_proto((name, attribute): (&str, Attribute)) -> AttributeProto {
    let mut proto = AttributeProto { name: name.to_owned(), ..AttributeProto::default() };
    match attribute {
        Attribute::Float(number) => (proto.kind, proto.f) = (1, number),
        Attribute::Int(number) => (proto.kind, proto.i) = (2, number),
        Attribute::Text(text) => (proto.kind, proto.s) = (3, Bytes::from_static(text.as_bytes())),
        Attribute::Ints(numbers) => (proto.kind, proto.ints) = (7, numbers),
    }
    proto
}
