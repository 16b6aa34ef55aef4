//! Weighs YAML before it is built: aliases may stand for aliases, and a short file for gigabytes.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess as _, Visitor};

/// What one value costs beside its text: about what it takes in memory.
const VALUE_BYTES: usize = 64;

/// The parser looks at every open bracket again for each token, so its time grows with brackets × bytes. This
/// keeps it under about a second; 16 KiB may be all brackets, 1 MiB may have 256.
const MAX_BRACKETS_TIMES_BYTES: usize = 1 << 28;

/// Returns how many brackets may open in a text of that length, if `yaml` has more. Brackets inside words, which
/// open nothing, are not counted; those in quoted text are, since telling them apart takes the parser itself.
pub(crate) fn too_many_brackets(yaml: &str) -> Option<usize> {
    let limit = MAX_BRACKETS_TIMES_BYTES / yaml.len().max(1);
    let bytes = yaml.as_bytes();
    let opens = |index: &usize| {
        matches!(bytes[*index], b'[' | b'{') && !index.checked_sub(1).is_some_and(|before| is_word(bytes[before]))
    };
    (0..bytes.len()).filter(opens).nth(limit).map(|_| limit)
}

/// Says whether `yaml`, with its aliases expanded, stays within `limit` bytes. Builds nothing.
///
/// # Errors
/// What the parser says.
pub(crate) fn fits(yaml: &str, limit: usize) -> Result<bool, serde_norway::Error> {
    let mut scale = Scale {
        left: limit,
        over: false,
    };
    let weighed = Weigh(&mut scale).deserialize(serde_norway::Deserializer::from_str(yaml));
    if scale.over { Ok(false) } else { weighed.map(|()| true) }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || matches!(byte, b'(' | b')' | b'_' | b'.' | b'$')
}

struct Scale {
    left: usize,
    over: bool,
}

struct Weigh<'a>(&'a mut Scale);

impl Weigh<'_> {
    fn put<E: Error>(&mut self, text_bytes: usize) -> Result<(), E> {
        match self.0.left.checked_sub(VALUE_BYTES + text_bytes) {
            Some(left) => {
                self.0.left = left;
                Ok(())
            }
            None => {
                self.0.over = true;
                Err(E::custom("too large"))
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Weigh<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Weigh<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_bool<E: Error>(mut self, _: bool) -> Result<(), E> {
        self.put(0)
    }

    fn visit_i64<E: Error>(mut self, _: i64) -> Result<(), E> {
        self.put(0)
    }

    fn visit_u64<E: Error>(mut self, _: u64) -> Result<(), E> {
        self.put(0)
    }

    fn visit_i128<E: Error>(mut self, _: i128) -> Result<(), E> {
        self.put(0)
    }

    fn visit_u128<E: Error>(mut self, _: u128) -> Result<(), E> {
        self.put(0)
    }

    fn visit_f64<E: Error>(mut self, _: f64) -> Result<(), E> {
        self.put(0)
    }

    fn visit_unit<E: Error>(mut self) -> Result<(), E> {
        self.put(0)
    }

    /// An empty document.
    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        self.put(text.len())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut sequence: A) -> Result<(), A::Error> {
        self.put(0)?;
        while sequence.next_element_seed(Weigh(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.put(0)?;
        while map.next_key_seed(Weigh(self.0))?.is_some() {
            map.next_value_seed(Weigh(self.0))?;
        }
        Ok(())
    }

    /// A value with a tag of its own, `!tag value`.
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<(), A::Error> {
        let ((), value) = tagged.variant_seed(Weigh(self.0))?;
        value.newtype_variant_seed(Weigh(self.0))
    }
}
