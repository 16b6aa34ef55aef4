//! Parses one JSON object by a table of keys, before memory is allocated for its values.
//!
//! Values stay slices of the frame until a frame type reads them, so the depth and size of unused values cost nothing.
//! Keys outside of the table are skipped in frames, and refused in options.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::ProtocolError;
use crate::error::{shortened, shortened_reason};
use crate::ids::check_id;
use crate::whole::Whole;

/// One key of an object, with all its spellings, of which the first is the one that is written.
#[derive(Debug)]
pub(crate) struct Key {
    pub spellings: &'static [&'static str],
    /// True if the value is the options object, which has a table of its own.
    pub holds_options: bool,
}

impl Key {
    pub(crate) const fn new(spellings: &'static [&'static str]) -> Self {
        Self {
            spellings,
            holds_options: false,
        }
    }

    fn name(&self) -> &'static str {
        self.spellings[0]
    }
}

/// The keys that an object may have.
#[derive(Debug)]
pub(crate) struct Table {
    pub keys: &'static [Key],
    /// The table of the options object, if one of the keys holds it.
    pub options: Option<&'static Table>,
    /// True if a key outside of the table is refused rather than skipped.
    pub closed: bool,
}

/// The known fields of one object.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    fields: Vec<Field<'a>>,
    options: Option<Box<Fields<'a>>>,
}

/// One field, whose value isn't parsed yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a> {
    /// The spelling that was used.
    pub key: &'static str,
    /// The value as JSON text.
    pub raw: &'a str,
    /// The key's first spelling.
    name: &'static str,
}

impl<'a> Fields<'a> {
    pub(crate) fn parse(text: &'a str, table: &'static Table) -> Result<Self, ProtocolError> {
        if text.starts_with('\u{feff}') {
            return Err(ProtocolError::ByteOrderMark);
        }
        let trace = RefCell::new(Trace::default());
        let mut json = serde_json::Deserializer::from_str(text);
        let read = ObjectSeed { table, trace: &trace }.deserialize(&mut json);
        let ended = read.and_then(|fields| {
            trace.borrow_mut().key = None;
            json.end().map(|()| fields)
        });
        ended.map_err(|error| trace.into_inner().into_error(&error))
    }

    /// Returns the field of a key; `None` also for `null`.
    pub(crate) fn get(&self, name: &str) -> Option<Field<'a>> {
        self.get_nullable(name).filter(|field| field.raw != "null")
    }

    /// Returns the field of a key for which `null` is a value.
    pub(crate) fn get_nullable(&self, name: &str) -> Option<Field<'a>> {
        self.fields.iter().find(|field| field.name == name).copied()
    }

    /// Returns the fields of the options object, if there is one.
    pub(crate) fn options(&self) -> Option<&Fields<'a>> {
        self.options.as_deref()
    }

    pub(crate) fn string(&self, name: &str) -> Result<Option<String>, ProtocolError> {
        self.get(name).map(|field| field.read("a string")).transpose()
    }

    pub(crate) fn id(&self, name: &str) -> Result<Option<String>, ProtocolError> {
        let Some(field) = self.get(name) else { return Ok(None) };
        let id: String = field.read("a string")?;
        check_id(field.key, &id)?;
        Ok(Some(id))
    }

    pub(crate) fn whole_number(&self, name: &str) -> Result<Option<u64>, ProtocolError> {
        let read = |field: Field<'_>| field.read::<Whole>("a whole number, 0 or more");
        Ok(self.get(name).map(read).transpose()?.map(|whole| whole.0))
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>, ProtocolError> {
        self.get(name).map(|field| field.read("true or false")).transpose()
    }

    fn insert(&mut self, field: Field<'a>) -> Result<(), ProtocolError> {
        if let Some(earlier) = self.get_nullable(field.name) {
            if earlier.key == field.key {
                return Err(ProtocolError::RepeatedKey { key: field.key });
            }
            if !earlier.same_value(&field) {
                return Err(ProtocolError::Contradiction {
                    first: earlier.key,
                    second: field.key,
                });
            }
            return Ok(());
        }
        self.fields.push(field);
        Ok(())
    }
}

impl Field<'_> {
    /// Parses the value; `expected` describes the allowed values for the error.
    pub(crate) fn read<T: serde::de::DeserializeOwned>(&self, expected: &str) -> Result<T, ProtocolError> {
        serde_json::from_str(self.raw).map_err(|_| self.wrong(expected))
    }

    pub(crate) fn wrong(&self, expected: &str) -> ProtocolError {
        ProtocolError::WrongValue {
            key: self.key,
            expected: expected.to_owned(),
            found: shortened(self.raw),
        }
    }

    /// Returns true if two spellings have the same value. Strings may be written differently (`"a"` and `"\u0061"`);
    /// other values are compared as text.
    fn same_value(&self, other: &Self) -> bool {
        let string = |raw| serde_json::from_str::<String>(raw).ok();
        self.raw == other.raw || string(self.raw).is_some_and(|value| string(other.raw) == Some(value))
    }
}

/// The progress of the parser, so that an error can name the key.
#[derive(Debug, Default)]
struct Trace {
    /// The key whose value is being parsed, shortened.
    key: Option<String>,
    /// The error that ended the parsing, if it isn't one of the JSON itself.
    fault: Option<ProtocolError>,
}

impl Trace {
    fn into_error(self, error: &serde_json::Error) -> ProtocolError {
        let reason = shortened_reason(error);
        match (self.fault, self.key) {
            (Some(fault), _) => fault,
            (None, Some(key)) => ProtocolError::MalformedValue { key, reason },
            (None, None) => ProtocolError::Malformed { reason },
        }
    }
}

#[derive(Clone, Copy)]
struct ObjectSeed<'s> {
    table: &'static Table,
    trace: &'s RefCell<Trace>,
}

impl ObjectSeed<'_> {
    fn fault<E: serde::de::Error>(&self, fault: ProtocolError) -> E {
        let error = E::custom(&fault);
        self.trace.borrow_mut().fault = Some(fault);
        error
    }

    fn read_known<'de, A: MapAccess<'de>>(
        &self,
        fields: &mut Fields<'de>,
        key: &'static Key,
        spelling: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let options = self.table.options.filter(|_| key.holds_options);
        if let Some(table) = options {
            if fields.options.is_some() {
                return Err(self.fault(ProtocolError::RepeatedKey { key: spelling }));
            }
            let nested = map.next_value_seed(ObjectSeed {
                table,
                trace: self.trace,
            })?;
            fields.options = Some(Box::new(nested));
            return Ok(());
        }
        let raw: &RawValue = map.next_value()?;
        fields
            .insert(Field {
                key: spelling,
                raw: raw.get(),
                name: key.name(),
            })
            .map_err(|fault| self.fault(fault))
    }
}

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_> {
    type Value = Fields<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Fields<'de>, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_> {
    type Value = Fields<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    /// Accepts `null` in place of the options object only.
    fn visit_unit<E: serde::de::Error>(self) -> Result<Fields<'de>, E> {
        if self.table.closed {
            Ok(Fields::default())
        } else {
            Err(E::custom("invalid type: null, expected an object"))
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(name) = map.next_key::<String>()? {
            self.trace.borrow_mut().key = Some(shortened(&name));
            let known = self.table.keys.iter().find_map(|key| {
                let spelling = key.spellings.iter().find(|&&spelling| spelling == name)?;
                Some((key, *spelling))
            });
            match known {
                Some((key, spelling)) => self.read_known(&mut fields, key, spelling, &mut map)?,
                None if self.table.closed => {
                    return Err(self.fault(ProtocolError::UnknownOption { key: shortened(&name) }));
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
            self.trace.borrow_mut().key = None;
        }
        Ok(fields)
    }
}
