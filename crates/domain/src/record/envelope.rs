//! The JSON of a record: format and nonce, then the record's own fields, all in one object.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer};
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::Nonce;

/// The record format this build writes, and the newest it reads.
const FORMAT: u32 = 1;

const VERSION: &str = "v";
const NONCE: &str = "nonce";

#[derive(Serialize)]
struct Envelope<'a, T> {
    v: u32,
    nonce: Nonce,
    #[serde(flatten)]
    record: &'a T,
}

/// Writes a record's JSON, the format first.
pub(super) fn write<T: Serialize>(record: &T, nonce: Nonce) -> Vec<u8> {
    serde_json::to_vec(&Envelope { v: FORMAT, nonce, record })
        .expect("records are made of strings and numbers")
}

/// Reads a record's JSON. Records are read far more often than written, so it is read once and nothing is
/// built on the way, which is what flattened fields would do.
pub(super) fn read<'de, T: Deserialize<'de>>(text: &'de [u8]) -> Result<(T, Nonce), String> {
    let Opened(record, nonce) = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    Ok((record, nonce))
}

struct Opened<T>(T, Nonce);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Opened<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Opening(PhantomData))
    }
}

struct Opening<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Opening<T> {
    type Value = Opened<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Opened<T>, A::Error> {
        let mut fields = Fields { map, format: None, nonce: None };
        let record = T::deserialize(MapAccessDeserializer::new(&mut fields))?;
        // A record may be read before its last field.
        while (&mut fields).next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        fields.format.ok_or_else(|| Error::missing_field(VERSION))?;
        Ok(Opened(record, fields.nonce.ok_or_else(|| Error::missing_field(NONCE))?))
    }
}

/// The fields of an object, of which format and nonce are kept back and the rest goes to the record.
struct Fields<A> {
    map: A,
    format: Option<u32>,
    nonce: Option<Nonce>,
}

impl<'de, A: MapAccess<'de>> Fields<A> {
    fn take_format(&mut self) -> Result<(), A::Error> {
        let format = self.map.next_value()?;
        if format > FORMAT {
            let refusal = format_args!("written in format {format}, this build reads up to {FORMAT}");
            return Err(Error::custom(refusal));
        }
        self.format = Some(format);
        Ok(())
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for &mut Fields<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(name) = self.map.next_key::<&'de str>()? {
            match name {
                VERSION => self.take_format()?,
                NONCE => self.nonce = Some(self.map.next_value()?),
                _ => return seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some),
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}
