//! Operators with their attributes, and nodes: operators applied to tensors.

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

impl ElementType {
    /// `TensorProto.DataType` of onnx.proto3.
    pub(crate) fn data_type(self) -> i32 {
        match self {
            Self::Float32 => 1,
            Self::Uint8 => 2,
            Self::Int8 => 3,
            Self::Int32 => 6,
            Self::Int64 => 7,
        }
    }
}

/// Which formula of GELU (Hendrycks & Gimpel 2016).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gelu {
    /// `x·Φ(x)` with the error function: Hugging Face's `gelu`.
    Exact,
    /// The approximation with tanh: Hugging Face's `gelu_new`.
    Tanh,
}

/// Number of a tensor in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id(pub(crate) usize);

/// The tensors of [`UnpaddedRows`](crate::UnpaddedRows).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowIds {
    pub(crate) mask: Id,
    pub(crate) padded: Id,
    pub(crate) unpadded: Id,
}

/// Where the gradient of a row that [`Op::PickRows`] picks from comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlaceIds {
    pub(crate) index: Id,
    pub(crate) factor: Option<Id>,
}

/// How numbers along axes become one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reduction {
    Max,
    Mean,
    Sum,
    SumSquare,
}

/// The domain of ONNX Runtime's own operators.
pub(crate) const ONNXRUNTIME: &str = "com.microsoft";

/// An operator: the ONNX operator of the same name unless said otherwise.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Abs,
    Add,
    Cast(ElementType),
    Concat,
    ConstantOfShape,
    Cos,
    CumSum,
    Div,
    Erf,
    Exp,
    Expand,
    /// `Gather` along one axis, from its end to its start.
    Flip {
        axis: usize,
    },
    Gather,
    Gelu(Gelu),
    Gemm {
        transpose_a: bool,
        transpose_b: bool,
    },
    Identity,
    LayerNormalization {
        epsilon: f32,
    },
    LogSoftmax,
    MatMul,
    MatMulInteger,
    /// ONNX Runtime's own operator: `MatMulInteger` with scales and a bias.
    MatMulIntegerToFloat,
    Max,
    Min,
    Mod,
    Mul,
    NonZero,
    Pad,
    /// `Pad` with zeros along one axis.
    PadAxis {
        axis: usize,
    },
    /// `Gather` of padded rows from unpadded ones.
    PadRows(RowIds),
    /// `Slice` of a range along one axis whose size is known.
    Part {
        axis: usize,
        start: usize,
    },
    /// `Gather` of rows, with the places of each row in its result.
    PickRows(Vec<PlaceIds>),
    QuantizeLinear,
    Range,
    Reduce {
        how: Reduction,
        axes: Vec<usize>,
        keep: bool,
    },
    /// `Reshape` to or from sizes that are known only when the graph runs.
    Refold,
    Relu,
    Reshape,
    /// `ScatterElements` that adds.
    ScatterAdd,
    /// The sizes of all axes.
    Shape,
    Sign,
    Sin,
    /// `Shape` of one axis.
    Size {
        axis: usize,
    },
    Slice,
    Softmax,
    Sqrt,
    Sub,
    Sum,
    Tanh,
    Transpose {
        perm: Vec<usize>,
    },
    /// `Gather` of unpadded rows from padded ones.
    UnpadRows(RowIds),
    /// `Slice` along one axis, from anywhere.
    Window {
        axis: usize,
    },
}

/// An attribute as ONNX has it.
#[derive(Clone, Debug)]
pub(crate) enum Attribute {
    Int(i64),
    Ints(Vec<i64>),
    Float(f32),
    Text(&'static str),
}

impl Op {
    /// The ONNX operator's name.
    pub(crate) fn name(&self) -> &'static str {
        self.to_onnx().0
    }

    /// The operator set that defines it: ONNX's own has no name.
    pub(crate) fn domain(&self) -> &'static str {
        match self {
            Self::MatMulIntegerToFloat => ONNXRUNTIME,
            _ => "",
        }
    }

    /// The ONNX operator's name and its attributes.
    pub(crate) fn to_onnx(&self) -> (&'static str, Vec<(&'static str, Attribute)>) {
        use Attribute::{Float, Int, Ints, Text};
        let flag = |flag: bool| Int(flag.into());
        match self {
            Self::Abs => ("Abs", vec![]),
            Self::Add => ("Add", vec![]),
            Self::Cast(to) => ("Cast", vec![("to", Int(to.data_type().into()))]),
            Self::Concat => ("Concat", vec![("axis", Int(0))]),
            Self::ConstantOfShape => ("ConstantOfShape", vec![]),
            Self::Cos => ("Cos", vec![]),
            Self::CumSum => ("CumSum", vec![]),
            Self::Div => ("Div", vec![]),
            Self::Erf => ("Erf", vec![]),
            Self::Exp => ("Exp", vec![]),
            Self::Expand => ("Expand", vec![]),
            Self::Flip { axis } => ("Gather", vec![("axis", Int(*axis as i64))]),
            Self::Gather | Self::PadRows(_) | Self::PickRows(_) | Self::UnpadRows(_) => {
                ("Gather", vec![("axis", Int(0))])
            }
            Self::Gelu(Gelu::Exact) => ("Gelu", vec![("approximate", Text("none"))]),
            Self::Gelu(Gelu::Tanh) => ("Gelu", vec![("approximate", Text("tanh"))]),
            Self::Gemm { transpose_a, transpose_b } => {
                ("Gemm", vec![("transA", flag(*transpose_a)), ("transB", flag(*transpose_b))])
            }
            Self::Identity => ("Identity", vec![]),
            Self::LayerNormalization { epsilon } => {
                ("LayerNormalization", vec![("axis", Int(-1)), ("epsilon", Float(*epsilon))])
            }
            Self::LogSoftmax => ("LogSoftmax", vec![("axis", Int(-1))]),
            Self::MatMul => ("MatMul", vec![]),
            Self::MatMulInteger => ("MatMulInteger", vec![]),
            Self::MatMulIntegerToFloat => ("MatMulIntegerToFloat", vec![]),
            Self::Max => ("Max", vec![]),
            Self::Min => ("Min", vec![]),
            Self::Mod => ("Mod", vec![("fmod", Int(0))]),
            Self::Mul => ("Mul", vec![]),
            Self::NonZero => ("NonZero", vec![]),
            Self::Pad | Self::PadAxis { .. } => ("Pad", vec![("mode", Text("constant"))]),
            Self::QuantizeLinear => ("QuantizeLinear", vec![]),
            Self::Range => ("Range", vec![]),
            Self::Reduce { how, keep, .. } => {
                let name = match how {
                    Reduction::Max => "ReduceMax",
                    Reduction::Mean => "ReduceMean",
                    Reduction::Sum => "ReduceSum",
                    Reduction::SumSquare => "ReduceSumSquare",
                };
                // Without the second attribute no axes would mean all axes.
                (name, vec![("keepdims", flag(*keep)), ("noop_with_empty_axes", Int(1))])
            }
            Self::Relu => ("Relu", vec![]),
            Self::Refold | Self::Reshape => ("Reshape", vec![]),
            Self::ScatterAdd => ("ScatterElements", vec![("axis", Int(0)), ("reduction", Text("add"))]),
            Self::Shape => ("Shape", vec![]),
            Self::Sign => ("Sign", vec![]),
            Self::Sin => ("Sin", vec![]),
            Self::Size { axis } => {
                let axis = *axis as i64;
                ("Shape", vec![("start", Int(axis)), ("end", Int(axis + 1))])
            }
            Self::Part { .. } | Self::Slice | Self::Window { .. } => ("Slice", vec![]),
            Self::Softmax => ("Softmax", vec![("axis", Int(-1))]),
            Self::Sqrt => ("Sqrt", vec![]),
            Self::Sub => ("Sub", vec![]),
            Self::Sum => ("Sum", vec![]),
            Self::Tanh => ("Tanh", vec![]),
            Self::Transpose { perm } => {
                ("Transpose", vec![("perm", Ints(perm.iter().map(|&axis| axis as i64).collect()))])
            }
        }
    }
}

/// An operator applied to tensors.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) op: Op,
    pub(crate) name: String,
    pub(crate) inputs: Vec<Id>,
    pub(crate) outputs: Vec<Id>,
}
