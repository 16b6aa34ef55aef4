//! Bounds the size of YAML before it is built: aliases may refer to aliases, so that a short file expands to gigabytes.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess as _, Visitor};

/// The cost of one value in addition to its text: about what it takes in memory.
const VALUE_BYTES: usize = 64;

/// The parser visits every open bracket again for each token, so its time grows with brackets × bytes. This limit keeps
/// it under about a second: 16 KiB may consist of brackets, 1 MiB may have 256.
const MAX_BRACKETS_TIMES_BYTES: usize = 1 << 28;

/// Returns how many brackets a text of that length may open, if `yaml` opens more. Brackets inside words, which open
/// nothing, are not counted; those in quoted text are, since only the parser itself can recognise them.
pub(crate) fn too_many_brackets(yaml: &str) -> Option<usize> {
    let limit = MAX_BRACKETS_TIMES_BYTES / yaml.len().max(1);
    let bytes = yaml.as_bytes();
    let opens = |index: &usize| {
        matches!(bytes[*index], b'[' | b'{') && !index.checked_sub(1).is_some_and(|before| is_word(bytes[before]))
    };
    (0..bytes.len()).filter(opens).nth(limit).map(|_| limit)
}

/// Returns true if `yaml`, with its aliases expanded, stays within `limit` bytes. Builds nothing.
///
/// # Errors
/// The parser's.
pub(crate) fn fits(yaml: &str, limit: usize) -> Result<bool, serde_norway::Error> {
    let mut budget = Budget {
        left: limit,
        exceeded: false,
    };
    let counted = CountBytes(&mut budget).deserialize(serde_norway::Deserializer::from_str(yaml));
    if budget.exceeded {
        Ok(false)
    } else {
        counted.map(|()| true)
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || matches!(byte, b'(' | b')' | b'_' | b'.' | b'$')
}

/// How many bytes may still come.
struct Budget {
    left: usize,
    exceeded: bool,
}

/// Visits a value and its parts, and takes their bytes from the budget.
struct CountBytes<'a>(&'a mut Budget);

impl CountBytes<'_> {
    fn spend<E: Error>(&mut self, text_bytes: usize) -> Result<(), E> {
        match self.0.left.checked_sub(VALUE_BYTES + text_bytes) {
            Some(left) => {
                self.0.left = left;
                Ok(())
            }
            None => {
                self.0.exceeded = true;
                Err(E::custom("too large"))
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for CountBytes<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for CountBytes<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_bool<E: Error>(mut self, _: bool) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_i64<E: Error>(mut self, _: i64) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_u64<E: Error>(mut self, _: u64) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_i128<E: Error>(mut self, _: i128) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_u128<E: Error>(mut self, _: u128) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_f64<E: Error>(mut self, _: f64) -> Result<(), E> {
        self.spend(0)
    }

    fn visit_unit<E: Error>(mut self) -> Result<(), E> {
        self.spend(0)
    }

    /// An empty document.
    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        self.spend(text.len())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut sequence: A) -> Result<(), A::Error> {
        self.spend(0)?;
        while sequence.next_element_seed(CountBytes(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.spend(0)?;
        while map.next_key_seed(CountBytes(self.0))?.is_some() {
            map.next_value_seed(CountBytes(self.0))?;
        }
        Ok(())
    }

    /// A value with a tag of its own, `!tag value`.
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<(), A::Error> {
        let ((), value) = tagged.variant_seed(CountBytes(self.0))?;
        value.newtype_variant_seed(CountBytes(self.0))
    }
}
