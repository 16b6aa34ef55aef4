//! GGUF's key-value metadata: checked once, and left in place in the file.
//!
//! An array is kept as its bytes, and decoded when it is requested.

use std::collections::HashMap;

use super::cursor::Cursor;
use crate::{ModelFileError, limits};

/// The type number of a string value.
const STRING: u32 = 8;
/// The type number of an array value.
const ARRAY: u32 = 9;

/// One value of the metadata.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Text(&'a [u8]),
    Array(Array<'a>),
}

/// An array of scalars or of strings, all of whose elements lie within the file.
#[derive(Clone, Copy)]
pub(super) struct Array<'a> {
    element: u32,
    len: usize,
    bytes: &'a [u8],
}

/// All metadata of a file.
pub(crate) struct Metadata<'a> {
    values: HashMap<&'a str, Value<'a>>,
}

impl<'a> Metadata<'a> {
    /// Reads `count` entries.
    pub(super) fn read(cursor: &mut Cursor<'a>, count: u64) -> Result<Self, ModelFileError> {
        let mut values = HashMap::with_capacity(count as usize);
        for _ in 0..count {
            let key = cursor.name("a metadata key")?;
            let type_id = cursor.u32("the type of a metadata value")?;
            let value = Value::read(cursor, key, type_id)?;
            if values.insert(key, value).is_some() {
                return Err(ModelFileError::DuplicateKey { key: key.to_owned() });
            }
        }
        Ok(Self { values })
    }

    /// Returns a text, if the key exists.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&'a str>, ModelFileError> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Text(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(ModelFileError::NotUtf8 {
                    what: format!("metadata \"{key}\""),
                }),
            },
            Some(other) => Err(other.is_not(key, "a text")),
        }
    }

    /// Returns an integer that is not negative, if the key exists.
    pub(crate) fn unsigned(&self, key: &str) -> Result<Option<u64>, ModelFileError> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Unsigned(value)) => Ok(Some(*value)),
            Some(Value::Signed(value)) if *value >= 0 => Ok(Some(value.unsigned_abs())),
            Some(other) => Err(other.is_not(key, "a whole number that is not negative")),
        }
    }

    /// Returns a floating-point number, if the key exists.
    pub(crate) fn float(&self, key: &str) -> Result<Option<f64>, ModelFileError> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Float(value)) => Ok(Some(*value)),
            Some(other) => Err(other.is_not(key, "a floating-point number")),
        }
    }

    /// Returns a boolean, if the key exists.
    pub(crate) fn bool(&self, key: &str) -> Result<Option<bool>, ModelFileError> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(other) => Err(other.is_not(key, "true or false")),
        }
    }

    /// Returns the strings of an array, if the key exists.
    pub(crate) fn strings(&self, key: &str) -> Result<Option<Vec<&'a str>>, ModelFileError> {
        let Some(array) = self.array(key, STRING, "an array of texts")? else {
            return Ok(None);
        };
        let mut cursor = Cursor::new(array.bytes);
        let mut strings = Vec::with_capacity(array.len);
        for _ in 0..array.len {
            let bytes = cursor.bytes("a string of an array")?;
            let text = std::str::from_utf8(bytes);
            strings.push(text.map_err(|_| ModelFileError::NotUtf8 {
                what: format!("a text of \"{key}\""),
            })?);
        }
        Ok(Some(strings))
    }

    /// Returns the numbers of an array of i32, if the key exists.
    pub(crate) fn i32s(&self, key: &str) -> Result<Option<Vec<i32>>, ModelFileError> {
        let array = self.array(key, 5, "an array of 32-bit whole numbers")?;
        Ok(array.map(|array| {
            array
                .bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| i32::from_le_bytes(*b))
                .collect()
        }))
    }

    /// Returns the numbers of an array of f32, if the key exists.
    pub(crate) fn f32s(&self, key: &str) -> Result<Option<Vec<f32>>, ModelFileError> {
        let array = self.array(key, 6, "an array of 32-bit floats")?;
        Ok(array.map(|array| {
            array
                .bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect()
        }))
    }

    fn array(&self, key: &str, element: u32, expected: &'static str) -> Result<Option<Array<'a>>, ModelFileError> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Array(array)) if array.element == element => Ok(Some(*array)),
            Some(other) => Err(other.is_not(key, expected)),
        }
    }
}

impl<'a> Value<'a> {
    fn read(cursor: &mut Cursor<'a>, key: &str, type_id: u32) -> Result<Self, ModelFileError> {
        const WHAT: &str = "a metadata value";
        Ok(match type_id {
            0 => Self::Unsigned(cursor.array::<1>(WHAT)?[0].into()),
            1 => Self::Signed(i8::from_le_bytes(cursor.array(WHAT)?).into()),
            2 => Self::Unsigned(u16::from_le_bytes(cursor.array(WHAT)?).into()),
            3 => Self::Signed(i16::from_le_bytes(cursor.array(WHAT)?).into()),
            4 => Self::Unsigned(cursor.u32(WHAT)?.into()),
            5 => Self::Signed(i32::from_le_bytes(cursor.array(WHAT)?).into()),
            6 => Self::Float(f32::from_le_bytes(cursor.array(WHAT)?).into()),
            7 => match cursor.array::<1>(WHAT)?[0] {
                0 => Self::Bool(false),
                1 => Self::Bool(true),
                other => return Err(Self::Unsigned(other.into()).is_not(key, "0 or 1")),
            },
            STRING => Self::Text(cursor.bytes(WHAT)?),
            ARRAY => Self::Array(Array::read(cursor, key)?),
            10 => Self::Unsigned(cursor.u64(WHAT)?),
            11 => Self::Signed(i64::from_le_bytes(cursor.array(WHAT)?)),
            12 => Self::Float(f64::from_le_bytes(cursor.array(WHAT)?)),
            id => {
                return Err(ModelFileError::MetadataType {
                    key: key.to_owned(),
                    id,
                });
            }
        })
    }

    fn is_not(&self, key: &str, expected: &'static str) -> ModelFileError {
        /// Enough of a wrong text to recognise it.
        const SHOWN: usize = 40;
        let found = match self {
            Self::Unsigned(value) => value.to_string(),
            Self::Signed(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::Text(bytes) => format!("{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)])),
            Self::Array(array) => format!("an array of {} of type {}", array.len, array.element),
        };
        ModelFileError::BadValue {
            key: key.to_owned(),
            expected,
            found,
        }
    }
}

impl<'a> Array<'a> {
    /// Reads an array; strings are walked one by one, since only they determine where the array ends.
    fn read(cursor: &mut Cursor<'a>, key: &str) -> Result<Self, ModelFileError> {
        const WHAT: &str = "a metadata array";
        let element = cursor.u32(WHAT)?;
        let element_bytes = match element {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            STRING | 10..=12 => 8,
            // GGUF allows arrays of arrays; no model has one, and without them there is no depth to limit.
            id => {
                return Err(ModelFileError::MetadataType {
                    key: key.to_owned(),
                    id,
                });
            }
        };
        let len = cursor.count(WHAT, element_bytes, u64::MAX)?;
        let start = cursor.clone();
        if element == STRING {
            for _ in 0..len {
                let text = cursor.bytes("a string of an array")?.len() as u64;
                if text > limits::MAX_TOKEN_BYTES {
                    let what = "bytes of a string in an array";
                    return Err(ModelFileError::TooMany {
                        what,
                        count: text,
                        limit: limits::MAX_TOKEN_BYTES,
                    });
                }
            }
        } else {
            cursor.take(len * element_bytes, WHAT)?;
        }
        let mut bytes = start.clone();
        let bytes = bytes.take((cursor.position() - start.position()) as u64, WHAT)?;
        Ok(Self {
            element,
            len: len as usize,
            bytes,
        })
    }
}
