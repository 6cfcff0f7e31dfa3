//! A pickle machine that reads state dicts and nothing else.
//!
//! A pickle is a program for a stack machine, and Python's machine may call any function. This one supports
//! the opcodes of protocol 2 that `torch.save` writes (described in `pickletools`) and a fixed list of
//! globals, all of which only make data. Every other global is refused by its name.
//!
//! Objects are in one list and refer to each other by number, so that neither depth nor cycles use stack.
//! Texts are borrowed from the file.

use std::collections::HashMap;

use safetensors::tensor::Dtype;

type Result<T> = std::result::Result<T, String>;

/// Most steps of a program. A state dict takes about 50 for a tensor.
const MAX_STEPS: usize = 1 << 22;
/// Most dimensions a tensor may have; BERT's have two.
const MAX_DIMENSIONS: usize = 8;
/// Longest name of a global, its module, a tensor or a storage. A pickle may repeat a name a million times,
/// and each time it is looked up.
const MAX_NAME: usize = 256;

/// The keys of a state dict inside another dict: of Lightning and fairseq, of the PyTorch tutorials, and plain ones.
const INNER: [&str; 4] = ["state_dict", "model_state_dict", "model", "module"];

/// A value on the stack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// `None`
    None,
    /// `True`, `False`
    Bool(bool),
    /// `int`
    Integer(i64),
    /// `str`
    Text(&'a str),
    /// A supported global.
    Global(Global),
    /// A value with parts, by its number.
    Object(usize),
}

/// The globals that a pickle may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Global {
    /// `collections.OrderedDict`
    OrderedDict,
    /// `torch._utils._rebuild_tensor_v2`
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`
    RebuildParameter,
    /// `torch.FloatStorage` and the storages of other element types
    Storage(Dtype),
}

impl Global {
    fn named(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "FloatStorage") => Self::Storage(Dtype::F32),
            ("torch", "HalfStorage") => Self::Storage(Dtype::F16),
            ("torch", "BFloat16Storage") => Self::Storage(Dtype::BF16),
            ("torch", "DoubleStorage") => Self::Storage(Dtype::F64),
            ("torch", "LongStorage") => Self::Storage(Dtype::I64),
            ("torch", "IntStorage") => Self::Storage(Dtype::I32),
            ("torch", "ShortStorage") => Self::Storage(Dtype::I16),
            ("torch", "CharStorage") => Self::Storage(Dtype::I8),
            ("torch", "ByteStorage") => Self::Storage(Dtype::U8),
            ("torch", "BoolStorage") => Self::Storage(Dtype::BOOL),
            _ => return None,
        })
    }
}

#[derive(Debug)]
enum Object<'a> {
    Tuple(Vec<Value<'a>>),
    List(Vec<Value<'a>>),
    Dict(Vec<(Value<'a>, Value<'a>)>),
    Storage(Storage<'a>),
    // Boxed because it is far larger than the others, and one byte of the file can make an object.
    Tensor(Box<Tensor<'a>>),
}

/// A sequence of numbers that tensors are views of.
#[derive(Clone, Copy, Debug)]
pub struct Storage<'a> {
    /// Its name in the file.
    pub key: &'a str,
    /// Type of its numbers.
    pub dtype: Dtype,
    /// How many numbers it has.
    pub count: usize,
}

impl Storage<'_> {
    /// Bytes of a number.
    pub fn element(&self) -> usize {
        self.dtype.bitsize() / 8
    }

    /// Bytes of all numbers; `None` if that overflows.
    pub fn byte_length(&self) -> Option<usize> {
        self.count.checked_mul(self.element())
    }
}

/// A view of a storage.
#[derive(Debug)]
pub struct Tensor<'a> {
    /// The storage that it is a view of.
    pub storage: Storage<'a>,
    /// Its first element within the storage.
    pub offset: usize,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Elements from one index to the next in each dimension.
    pub strides: Vec<usize>,
}

/// A pickle that was read.
#[derive(Debug)]
pub struct Pickle<'a> {
    root: Value<'a>,
    objects: Vec<Object<'a>>,
}

impl<'a> Pickle<'a> {
    /// Reads one pickle from the start of `input` and advances it.
    ///
    /// # Errors
    /// What is wrong with the pickle, and where.
    pub fn read(input: &mut &'a [u8]) -> Result<Self> {
        let mut machine = Machine {
            input,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            objects: Vec::new(),
        };
        for _ in 0..MAX_STEPS {
            let at = input.len() - machine.input.len();
            if let Some(root) = machine.step().map_err(|error| format!("pickle, byte {at}: {error}"))? {
                *input = machine.input;
                return Ok(Self { root, objects: machine.objects });
            }
        }
        Err(format!("pickle of more than {MAX_STEPS} steps; expected a state dict"))
    }

    /// The pickle's value.
    pub fn root(&self) -> Value<'a> {
        self.root
    }

    /// The entry `name`, if the value is a dict that has it.
    pub fn get(&self, name: &str) -> Option<Value<'a>> {
        let entries = self.entries().ok()?;
        entries.iter().rfind(|(key, _)| *key == Value::Text(name)).map(|(_, value)| *value)
    }

    /// The texts of a list.
    ///
    /// # Errors
    /// When the value is no list of texts.
    pub fn texts(&self) -> Result<Vec<&'a str>> {
        let wrong = || "expected a list of storage keys after the state dict".to_owned();
        let Some(Object::List(items)) = self.object(self.root) else { return Err(wrong()) };
        let text = |item: &Value<'a>| match item {
            Value::Text(text) => Ok(*text),
            _ => Err(wrong()),
        };
        items.iter().map(text).collect()
    }

    /// The named tensors of a state dict. Other entries and overlong names are skipped.
    ///
    /// # Errors
    /// When the value is no dict.
    pub fn tensors(&self) -> Result<impl Iterator<Item = (&'a str, &Tensor<'a>)>> {
        Ok(self.entries()?.iter().filter_map(|(key, value)| match (key, self.object(*value)?) {
            (Value::Text(name), Object::Tensor(tensor)) if name.len() <= MAX_NAME => Some((*name, &**tensor)),
            _ => None,
        }))
    }

    /// All storages.
    pub fn storages(&self) -> impl Iterator<Item = &Storage<'a>> {
        self.objects.iter().filter_map(|object| match object {
            Object::Storage(storage) => Some(storage),
            _ => None,
        })
    }

    fn entries(&self) -> Result<&[(Value<'a>, Value<'a>)]> {
        match self.object(self.root) {
            Some(Object::Dict(entries)) => Ok(self.inner(entries).unwrap_or(entries)),
            _ => Err("holds no dict of tensors; expected a state dict".to_owned()),
        }
    }

    /// The state dict that a training program wrote as one entry among others, if no tensor is beside it.
    fn inner(&self, entries: &[(Value<'a>, Value<'a>)]) -> Option<&[(Value<'a>, Value<'a>)]> {
        if entries.iter().any(|(_, value)| matches!(self.object(*value), Some(Object::Tensor(_)))) {
            return None;
        }
        INNER.into_iter().find_map(|name| {
            let (_, value) = entries.iter().rfind(|(key, _)| *key == Value::Text(name))?;
            match self.object(*value)? {
                Object::Dict(inner) => Some(inner.as_slice()),
                _ => None,
            }
        })
    }

    fn object(&self, value: Value<'a>) -> Option<&Object<'a>> {
        match value {
            Value::Object(number) => self.objects.get(number),
            _ => None,
        }
    }
}

/// The program's state.
struct Machine<'a> {
    input: &'a [u8],
    stack: Vec<Value<'a>>,
    /// Heights of the stack at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'a>>,
    objects: Vec<Object<'a>>,
}

impl<'a> Machine<'a> {
    /// Executes one opcode; returns the value at the end.
    fn step(&mut self) -> Result<Option<Value<'a>>> {
        let [opcode] = self.array()?;
        let value = match opcode {
            // PROTO, STOP
            0x80 => return self.array::<1>().map(|_| None),
            b'.' => return self.pop().map(Some),
            // NONE, NEWTRUE, NEWFALSE, BININT1, BININT2, BININT, LONG1, BINFLOAT
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'K' => Value::Integer(self.array().map(u8::from_le_bytes)?.into()),
            b'M' => Value::Integer(self.array().map(u16::from_le_bytes)?.into()),
            b'J' => Value::Integer(self.array().map(i32::from_le_bytes)?.into()),
            0x8a => Value::Integer(self.long()?),
            // BINFLOAT: a number beside the tensors, such as a loss.
            b'G' => self.array::<8>().map(|_| Value::None)?,
            // BINUNICODE, SHORT_BINSTRING (Python 2's str)
            b'X' => {
                let length = self.array().map(u32::from_le_bytes)?;
                Value::Text(self.text(length as usize)?)
            }
            b'U' => {
                let [length] = self.array()?;
                Value::Text(self.text(length.into())?)
            }
            // EMPTY_TUPLE, EMPTY_LIST, EMPTY_DICT, TUPLE1, TUPLE2, TUPLE3, TUPLE
            b')' => self.object(Object::Tuple(Vec::new())),
            b']' => self.object(Object::List(Vec::new())),
            b'}' => self.object(Object::Dict(Vec::new())),
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(opcode - 0x84))?;
                self.object(Object::Tuple(items))
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.object(Object::Tuple(items))
            }
            // MARK, BINPUT, LONG_BINPUT, BINGET, LONG_BINGET
            b'(' => {
                self.marks.push(self.stack.len());
                return Ok(None);
            }
            b'q' => return self.array().map(u8::from_le_bytes).and_then(|at| self.put(at.into())),
            b'r' => return self.array().map(u32::from_le_bytes).and_then(|at| self.put(at)),
            b'h' => self.array().map(u8::from_le_bytes).and_then(|at| self.get(at.into()))?,
            b'j' => self.array().map(u32::from_le_bytes).and_then(|at| self.get(at))?,
            // APPEND, APPENDS, SETITEM, SETITEMS, BUILD
            b'a' => return self.pop_many(1).and_then(|items| self.append(items)),
            b'e' => return self.pop_to_mark().and_then(|items| self.append(items)),
            b's' => return self.pop_many(2).and_then(|items| self.set(&items)),
            b'u' => return self.pop_to_mark().and_then(|items| self.set(&items)),
            b'b' => return self.build(),
            // GLOBAL, REDUCE, BINPERSID
            b'c' => Value::Global(self.global()?),
            b'R' => self.call()?,
            b'Q' => self.storage()?,
            other => return Err(format!("opcode {other:#04x}; expected one of a state dict")),
        };
        self.stack.push(value);
        Ok(None)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (bytes, rest) =
            self.input.split_first_chunk().ok_or("the file ends here; copy it again if it is incomplete")?;
        self.input = rest;
        Ok(*bytes)
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self
            .input
            .split_at_checked(length)
            .ok_or_else(|| format!("{length} bytes expected, {} are left", self.input.len()))?;
        self.input = rest;
        Ok(bytes)
    }

    fn text(&mut self, length: usize) -> Result<&'a str> {
        std::str::from_utf8(self.bytes(length)?).map_err(|error| error.to_string())
    }

    /// An integer in two's complement, little-endian, of any number of bytes.
    fn long(&mut self) -> Result<i64> {
        let [length] = self.array()?;
        let bytes = self.bytes(length.into())?;
        let sign = if bytes.last().is_some_and(|last| *last > 0x7f) { 0xff } else { 0 };
        let mut wide = [sign; 8];
        wide.get_mut(..bytes.len())
            .ok_or_else(|| format!("integer of {length} bytes; expected at most 8"))?
            .copy_from_slice(bytes);
        Ok(i64::from_le_bytes(wide))
    }

    /// The text up to the end of the line.
    fn line(&mut self) -> Result<String> {
        let end = self.input.iter().take(MAX_NAME).position(|byte| *byte == b'\n');
        let line = self.bytes(end.ok_or("a global's name does not end")?)?;
        self.array::<1>()?;
        Ok(String::from_utf8_lossy(line).into_owned())
    }

    fn object(&mut self, object: Object<'a>) -> Value<'a> {
        self.objects.push(object);
        Value::Object(self.objects.len() - 1)
    }

    fn pop(&mut self) -> Result<Value<'a>> {
        self.stack.pop().ok_or_else(|| "the stack is empty".to_owned())
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Value<'a>>> {
        let height = self.stack.len().checked_sub(count).ok_or("the stack is empty")?;
        Ok(self.stack.split_off(height))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value<'a>>> {
        let height = self.marks.pop().ok_or("there is no mark")?;
        self.stack.len().checked_sub(height).ok_or("the stack is empty").map(|count| self.pop_many(count))?
    }

    fn top(&mut self) -> Result<&mut Object<'a>> {
        match self.stack.last() {
            Some(Value::Object(number)) => self.objects.get_mut(*number),
            _ => None,
        }
        .ok_or_else(|| "the value on the stack has no parts".to_owned())
    }

    fn part(&self, value: Value<'a>) -> Option<&Object<'a>> {
        match value {
            Value::Object(number) => self.objects.get(number),
            _ => None,
        }
    }

    fn tuple(&self, value: Value<'a>) -> Result<&[Value<'a>]> {
        match self.part(value) {
            Some(Object::Tuple(items)) => Ok(items),
            _ => Err("expected a tuple".to_owned()),
        }
    }

    fn put(&mut self, at: u32) -> Result<Option<Value<'a>>> {
        let value = *self.stack.last().ok_or("the stack is empty")?;
        self.memo.insert(at, value);
        Ok(None)
    }

    fn get(&self, at: u32) -> Result<Value<'a>> {
        self.memo.get(&at).copied().ok_or_else(|| format!("nothing was kept as {at}"))
    }

    fn append(&mut self, items: Vec<Value<'a>>) -> Result<Option<Value<'a>>> {
        match self.top()? {
            Object::List(list) => list.extend(items),
            _ => return Err("items are appended to a value that is not a list".to_owned()),
        }
        Ok(None)
    }

    fn set(&mut self, items: &[Value<'a>]) -> Result<Option<Value<'a>>> {
        let (entries, []) = items.as_chunks() else {
            return Err("a dict's last key has no value".to_owned());
        };
        match self.top()? {
            Object::Dict(dict) => dict.extend(entries.iter().map(|[key, value]| (*key, *value))),
            _ => return Err("entries are set in a value that is not a dict".to_owned()),
        }
        Ok(None)
    }

    /// Sets attributes of an object, which are ignored: modules set `_metadata` (versions) on state dicts.
    fn build(&mut self) -> Result<Option<Value<'a>>> {
        self.pop()?;
        match self.top()? {
            Object::Dict(_) => Ok(None),
            _ => Err("attributes are set on a value that is not a dict".to_owned()),
        }
    }

    fn global(&mut self) -> Result<Global> {
        let (module, name) = (self.line()?, self.line()?);
        Global::named(&module, &name).ok_or_else(|| {
            format!(
                "refused: it uses {module}.{name}, which no state dict of float tensors needs; \
                 pickles can run code, so only known globals are read"
            )
        })
    }

    /// Calls a global; all supported ones only make data.
    fn call(&mut self) -> Result<Value<'a>> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let arguments = self.tuple(arguments)?;
        match (callee, arguments) {
            (Value::Global(Global::OrderedDict), []) => Ok(self.object(Object::Dict(Vec::new()))),
            (Value::Global(Global::RebuildParameter), [tensor, ..]) => Ok(*tensor),
            (Value::Global(Global::RebuildTensor), [storage, offset, shape, strides, ..]) => {
                let tensor = self.tensor(*storage, *offset, *shape, *strides)?;
                Ok(self.object(Object::Tensor(Box::new(tensor))))
            }
            _ => Err(format!("{callee:?} is called with {} arguments", arguments.len())),
        }
    }

    fn tensor(
        &self,
        storage: Value<'a>,
        offset: Value<'a>,
        shape: Value<'a>,
        strides: Value<'a>,
    ) -> Result<Tensor<'a>> {
        let storage = match self.part(storage) {
            Some(Object::Storage(storage)) => *storage,
            _ => return Err("a tensor is made of a value that is not a storage".to_owned()),
        };
        let (shape, strides) = (self.sizes(shape)?, self.sizes(strides)?);
        if shape.len() != strides.len() {
            return Err(format!("a tensor has shape {shape:?}, but strides {strides:?}"));
        }
        Ok(Tensor { storage, offset: size(offset)?, shape, strides })
    }

    fn sizes(&self, value: Value<'a>) -> Result<Vec<usize>> {
        match self.tuple(value)? {
            items if items.len() <= MAX_DIMENSIONS => items.iter().copied().map(size).collect(),
            items => {
                Err(format!("a tensor of {} dimensions; expected at most {MAX_DIMENSIONS}", items.len()))
            }
        }
    }

    /// A storage's persistent id: `('storage', type, key, device, elements)`. In legacy streams a sixth part
    /// follows: `None`, or the larger storage that it is part of, which is refused.
    fn storage(&mut self) -> Result<Value<'a>> {
        let id = self.pop()?;
        let items = self.tuple(id)?;
        match *items.strip_suffix(&[Value::None]).unwrap_or(items) {
            [Value::Text("storage"), Value::Global(Global::Storage(dtype)), Value::Text(key), _, count]
                if key.len() <= MAX_NAME =>
            {
                let count = size(count)?;
                Ok(self.object(Object::Storage(Storage { key, dtype, count })))
            }
            _ => Err(format!("persistent id of {} parts; expected the id of a storage", items.len())),
        }
    }
}

fn size(value: Value<'_>) -> Result<usize> {
    match value {
        Value::Integer(number) => usize::try_from(number).ok(),
        _ => None,
    }
    .ok_or_else(|| format!("{value:?}; expected an integer that is not negative"))
}
