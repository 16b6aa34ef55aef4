//! Weighs YAML before it is built: aliases may stand for aliases, and a short file for gigabytes.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess as _, Visitor};

/// What one value costs beside its text: about what it takes in memory.
const VALUE_BYTES: usize = 64;

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
