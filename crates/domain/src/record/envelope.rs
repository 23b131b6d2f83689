//! The JSON of a record: format and nonce, then the record's own fields, all in one object.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer};
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::Nonce;

/// The record format this build writes, and the newest it reads. Every format writes its number first, so that
/// a newer one is told before anything of it is misunderstood.
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
    fn take_nonce(&mut self) -> Result<(), A::Error> {
        // It decides who wrote a record: of two, neither can be believed.
        match self.nonce.replace(self.map.next_value()?) {
            Some(_) => Err(Error::duplicate_field(NONCE)),
            None => Ok(()),
        }
    }

    fn take_format(&mut self) -> Result<(), A::Error> {
        let format = self.map.next_value()?;
        if self.format.is_some() {
            return Err(Error::duplicate_field(VERSION));
        }
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
                NONCE => self.take_nonce()?,
                _ => return seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some),
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Example {
        a: u32,
        #[serde(default)]
        b: String,
    }

    fn opened(text: &str) -> Result<(Example, Nonce), String> {
        read(text.as_bytes())
    }

    #[test]
    fn a_record_comes_back_as_it_was_written() {
        let example = Example { a: 7, b: "text \"quoted\"".into() };

        let text = write(&example, Nonce(5));

        assert!(text.starts_with(br#"{"v":1,"nonce":"#), "the format comes first");
        assert_eq!(read(&text), Ok((example, Nonce(5))));
    }

    #[test]
    fn fields_may_come_in_any_order_and_unknown_ones_are_passed_over() {
        let expected = Ok((Example { a: 1, b: String::new() }, Nonce(10)));

        assert_eq!(opened(r#"{"a":1,"nonce":"a","later":{"x":[1]},"v":1}  "#), expected);
        assert_eq!(opened(r#"{"nonce":"a","v":1,"a":1}"#), expected);
    }

    #[test]
    fn what_is_no_record_is_told() {
        for (text, complaint) in [
            (r#"{"nonce":"a","a":1}"#, "missing field `v`"),
            (r#"{"v":1,"a":1}"#, "missing field `nonce`"),
            (r#"{"v":1,"nonce":"a"}"#, "missing field `a`"),
            (r#"{"v":1,"v":1,"nonce":"a","a":1}"#, "duplicate field `v`"),
            (r#"{"v":1,"nonce":"a","a":1,"nonce":"b"}"#, "duplicate field `nonce`"),
            (r#"{"v":1,"nonce":"g","a":1}"#, "invalid digit"),
            (r#"{"v":2,"nonce":7,"a":"of another kind"}"#, "written in format 2, this build reads up to 1"),
            ("[]", "invalid type"),
            (r#"{"v":1,"nonce":"a","a":1"#, "EOF"),
        ] {
            let told = opened(text).expect_err(text);

            assert!(told.contains(complaint), "{text}: {told}");
        }
    }
}
