//! What `torch.save` writes as a pickle: a small machine that builds objects on a stack, and runs nothing.
//!
//! The op-codes are those of protocol 2, described in `pickletools.py` of CPython. Objects refer to each other by
//! number, so that one that is used many times, or contains itself, is there once.

use std::collections::HashMap;

use candle_core::DType;

use super::CheckpointError;

/// The longest pickle that is read. That of a ResNet-110 with its optimizer has under a megabyte.
pub const MAX_BYTES: usize = 4 << 20;

/// No layer of a network has more.
const MAX_DIMENSIONS: usize = 8;

/// Number of an object.
pub type Id = usize;

#[derive(Debug)]
pub enum Object<'a> {
    Integer(i64),
    Text(&'a str),
    /// A class or a function of Python.
    Class {
        module: &'a str,
        name: &'a str,
    },
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dictionary(Vec<(Id, Id)>),
    Storage(Storage<'a>),
    Tensor(TensorView<'a>),
    /// What a class or function would make.
    Instance {
        module: &'a str,
        name: &'a str,
    },
    /// None, true, false, a fraction.
    Other,
}

/// Where a tensor's bytes are.
#[derive(Clone, Debug, PartialEq)]
pub struct Storage<'a> {
    pub key: &'a str,
    /// Bytes of an element.
    pub element: usize,
    /// None: no floating-point numbers.
    pub float: Option<DType>,
    /// Number of elements.
    pub length: usize,
}

/// A part of a storage, in elements of it.
#[derive(Debug, PartialEq)]
pub struct TensorView<'a> {
    pub storage: Storage<'a>,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// The objects of a pickle.
#[derive(Debug)]
pub struct Pickle<'a> {
    objects: Vec<Object<'a>>,
    root: Id,
}

impl<'a> Pickle<'a> {
    /// The pickle at the start of these bytes, and its length.
    pub fn read(bytes: &'a [u8]) -> Result<(Self, usize), CheckpointError> {
        let mut machine = Machine::new(&bytes[..bytes.len().min(MAX_BYTES)]);
        while !machine.step()? {}
        let root = machine.pop()?;
        Ok((Self { objects: machine.objects, root }, machine.at))
    }

    /// What the pickle is for.
    pub fn root(&self) -> Id {
        self.root
    }

    pub fn get(&self, id: Id) -> &Object<'a> {
        &self.objects[id]
    }

    pub fn storages(&self) -> impl Iterator<Item = &Storage<'a>> {
        self.objects.iter().filter_map(|object| match object {
            Object::Storage(storage) => Some(storage),
            _ => None,
        })
    }

    /// An object in words.
    pub fn describe(&self, id: Id) -> String {
        match self.get(id) {
            Object::Integer(number) => format!("the number {number}"),
            Object::Text(text) => format!("the text {:?}", text.chars().take(50).collect::<String>()),
            Object::Class { module, name } => format!("the class {module}.{name}"),
            Object::Tuple(_) | Object::List(_) => "a list".to_owned(),
            Object::Dictionary(_) => "a dictionary".to_owned(),
            Object::Storage(_) | Object::Tensor(_) => "a tensor".to_owned(),
            Object::Instance { module, name } => format!("an object of {module}.{name}"),
            Object::Other => "a simple value".to_owned(),
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    objects: Vec<Object<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, objects: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() }
    }

    /// Carries out one op-code; true at the end.
    fn step(&mut self) -> Result<bool, CheckpointError> {
        let code = self.byte()?;
        match code {
            0x80 => drop(self.byte()?),
            b'.' => return Ok(true),
            b'(' => self.marks.push(self.stack.len()),
            b'N' | 0x88 | 0x89 => self.push(Object::Other),
            b'G' => {
                self.take(8)?;
                self.push(Object::Other);
            }
            b'K' | b'M' | b'J' | 0x8a => self.integer(code)?,
            b'X' => self.text()?,
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Object::Class { module, name });
            }
            b'q' | b'r' | b'h' | b'j' => self.memory(code)?,
            b')' => self.push(Object::Tuple(Vec::new())),
            b']' => self.push(Object::List(Vec::new())),
            b'}' => self.push(Object::Dictionary(Vec::new())),
            0x85..=0x87 => self.tuple(usize::from(code - 0x84))?,
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Object::Tuple(items));
            }
            b'a' | b's' => {
                let items = self.pop_many(if code == b'a' { 1 } else { 2 })?;
                self.add(&items)?;
            }
            b'e' | b'u' => {
                let items = self.pop_to_mark()?;
                self.add(&items)?;
            }
            b'R' | 0x81 => self.call()?,
            // What would be set as attributes: `_metadata` of a state_dict.
            b'b' => drop(self.pop()?),
            b'Q' => self.storage()?,
            _ => return Err(CheckpointError::OpCode { code, at: self.at - 1 }),
        }
        Ok(false)
    }

    fn problem(&self, problem: &'static str) -> CheckpointError {
        CheckpointError::Pickle { at: self.at.saturating_sub(1), problem }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], CheckpointError> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..length).ok_or(CheckpointError::Truncated)?;
        self.at += length;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, CheckpointError> {
        Ok(self.take(1)?[0])
    }

    fn four(&mut self) -> Result<[u8; 4], CheckpointError> {
        let mut four = [0; 4];
        four.copy_from_slice(self.take(4)?);
        Ok(four)
    }

    fn line(&mut self) -> Result<&'a str, CheckpointError> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\n').ok_or(CheckpointError::Truncated)?;
        let line = self.take(length + 1)?;
        std::str::from_utf8(&line[..length]).map_err(|_| self.problem("a name is not UTF-8"))
    }

    fn text(&mut self) -> Result<(), CheckpointError> {
        let length = u32::from_le_bytes(self.four()?);
        let text = self.take(length as usize)?;
        let text = std::str::from_utf8(text).map_err(|_| self.problem("a text is not UTF-8"))?;
        self.push(Object::Text(text));
        Ok(())
    }

    fn integer(&mut self, code: u8) -> Result<(), CheckpointError> {
        let length = match code {
            b'K' => 1,
            b'M' => 2,
            b'J' => 4,
            _ => usize::from(self.byte()?),
        };
        let bytes = self.take(length)?;
        // The short forms have no sign.
        let negative = !matches!(code, b'K' | b'M') && bytes.last().is_some_and(|byte| byte >> 7 == 1);
        let mut number = [if negative { 0xff } else { 0 }; 8];
        self.push(match number.get_mut(..length) {
            Some(low) => {
                low.copy_from_slice(bytes);
                Object::Integer(i64::from_le_bytes(number))
            }
            None => Object::Other,
        });
        Ok(())
    }

    /// Puts the last object into the memo, or takes one out of it.
    fn memory(&mut self, code: u8) -> Result<(), CheckpointError> {
        let short = matches!(code, b'q' | b'h');
        let number = if short { u32::from(self.byte()?) } else { u32::from_le_bytes(self.four()?) };
        if matches!(code, b'q' | b'r') {
            let last = self.last()?;
            self.memo.insert(number, last);
        } else {
            let id = *self.memo.get(&number).ok_or_else(|| self.problem("it refers to what is not there"))?;
            self.stack.push(id);
        }
        Ok(())
    }

    fn push(&mut self, object: Object<'a>) {
        self.stack.push(self.objects.len());
        self.objects.push(object);
    }

    fn pop(&mut self) -> Result<Id, CheckpointError> {
        let last = self.last()?;
        self.stack.pop();
        Ok(last)
    }

    /// The last object above the last mark.
    fn last(&self) -> Result<Id, CheckpointError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let above = &self.stack[floor..];
        above.last().copied().ok_or_else(|| self.problem("an object is missing"))
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, CheckpointError> {
        let mut items = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        Ok(items)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, CheckpointError> {
        let mark = self.marks.pop().ok_or_else(|| self.problem("a mark is missing"))?;
        Ok(self.stack.split_off(mark))
    }

    fn tuple(&mut self, count: usize) -> Result<(), CheckpointError> {
        let items = self.pop_many(count)?;
        self.push(Object::Tuple(items));
        Ok(())
    }

    /// Adds items to the list or dictionary that comes last.
    fn add(&mut self, items: &[Id]) -> Result<(), CheckpointError> {
        let last = self.last()?;
        match &mut self.objects[last] {
            Object::List(list) => list.extend(items),
            Object::Dictionary(entries) if items.len().is_multiple_of(2) => {
                entries.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
            }
            // Another collection, known by its class alone.
            Object::Instance { .. } => {}
            _ => return Err(self.problem("items without a list or dictionary")),
        }
        Ok(())
    }

    /// What would be a call of a class or function.
    fn call(&mut self) -> Result<(), CheckpointError> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let Object::Class { module, name } = self.objects[callee] else {
            return Err(self.problem("a call of what is no class"));
        };
        let Object::Tuple(arguments) = &self.objects[arguments] else {
            return Err(self.problem("a call without arguments"));
        };
        match (module, name) {
            ("collections", "OrderedDict" | "defaultdict") => self.push(Object::Dictionary(Vec::new())),
            ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => {
                let view = self.view(arguments).ok_or_else(|| self.problem("a tensor has other arguments"))?;
                self.push(Object::Tensor(view));
            }
            ("torch._utils", "_rebuild_parameter") => {
                let tensor = arguments.first().copied();
                self.stack.push(tensor.ok_or_else(|| self.problem("a parameter has no tensor"))?);
            }
            _ => self.push(Object::Instance { module, name }),
        }
        Ok(())
    }

    /// (storage, offset, shape, strides, ...)
    fn view(&self, arguments: &[Id]) -> Option<TensorView<'a>> {
        let [storage, offset, shape, strides, ..] = arguments else { return None };
        let Object::Storage(storage) = &self.objects[*storage] else { return None };
        let (shape, strides) = (self.sizes(*shape)?, self.sizes(*strides)?);
        Some(TensorView { storage: storage.clone(), offset: self.size(*offset)?, shape, strides })
    }

    /// ("storage", class, key, device, length, part of another storage or none)
    fn storage(&mut self) -> Result<(), CheckpointError> {
        let id = self.pop()?;
        let storage = self.stored(id).ok_or_else(|| self.problem("a storage is described in another way"))?;
        self.push(Object::Storage(storage));
        Ok(())
    }

    fn stored(&self, id: Id) -> Option<Storage<'a>> {
        let Object::Tuple(items) = &self.objects[id] else { return None };
        let (items, part) = items.split_at_checked(5)?;
        let whole = part.iter().all(|part| matches!(self.objects[*part], Object::Other));
        let (Object::Text("storage"), Object::Class { module: "torch", name }, Object::Text(key), true) =
            (&self.objects[items[0]], &self.objects[items[1]], &self.objects[items[2]], whole)
        else {
            return None;
        };
        let (element, float) = element(name)?;
        Some(Storage { key, element, float, length: self.size(items[4])? })
    }

    fn size(&self, id: Id) -> Option<usize> {
        match self.objects[id] {
            Object::Integer(number) => usize::try_from(number).ok(),
            _ => None,
        }
    }

    fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        match &self.objects[id] {
            // One list can be named by many tensors.
            Object::Tuple(items) if items.len() <= MAX_DIMENSIONS => {
                items.iter().map(|item| self.size(*item)).collect()
            }
            _ => None,
        }
    }
}

/// Bytes of an element, and its type where it is a floating-point number.
fn element(class: &str) -> Option<(usize, Option<DType>)> {
    let float = match class {
        "DoubleStorage" => DType::F64,
        "FloatStorage" => DType::F32,
        "HalfStorage" => DType::F16,
        "BFloat16Storage" => DType::BF16,
        "LongStorage" => return Some((8, None)),
        "IntStorage" => return Some((4, None)),
        "ShortStorage" => return Some((2, None)),
        "CharStorage" | "ByteStorage" | "BoolStorage" => return Some((1, None)),
        _ => return None,
    };
    Some((float.size_in_bytes(), Some(float)))
}
