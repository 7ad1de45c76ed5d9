//! The data of a tensor in JSON: flat or nested as its shape is, numbers or strings.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, SeqAccess, Unexpected, Visitor},
};
use tailrace_classifier::RAW_BYTES;

use crate::inference_api::MAX_IMAGES;

/// The elements, row by row. They are at most as many as a request may bring.
#[derive(Debug, PartialEq, Eq)]
pub enum Data {
    /// Of a tensor of UINT8.
    Numbers(Vec<u8>),
    /// Of a tensor of BYTES.
    Strings(Vec<String>),
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut elements = Elements::default();
        deserializer.deserialize_seq(List(&mut elements))?;
        match elements {
            Elements { numbers, strings } if strings.is_empty() => Ok(Self::Numbers(numbers)),
            Elements { numbers, strings } if numbers.is_empty() => Ok(Self::Strings(strings)),
            _ => Err(D::Error::custom("\"data\" has both numbers and strings")),
        }
    }
}

#[derive(Default)]
struct Elements {
    numbers: Vec<u8>,
    strings: Vec<String>,
}

const EXPECTED: &str = "numbers from 0 to 255 or strings, as many as 256 images have";

/// Reads a list and the lists in it. How deep they go is bounded by serde_json.
struct List<'e>(&'e mut Elements);

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Element(self.0))?.is_some() {}
        Ok(())
    }
}

struct Element<'e>(&'e mut Elements);

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Element<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(EXPECTED)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        List(self.0).visit_seq(list)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        let byte = u8::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &EXPECTED))?;
        if self.0.numbers.len() == MAX_IMAGES * RAW_BYTES {
            return Err(E::invalid_length(self.0.numbers.len() + 1, &EXPECTED));
        }
        self.0.numbers.push(byte);
        Ok(())
    }

    /// numpy writes 128.0 where an array has become one of floats.
    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        if number.fract() != 0.0 || !(0.0..=255.0).contains(&number) {
            return Err(E::invalid_value(Unexpected::Float(number), &EXPECTED));
        }
        self.visit_u64(number as u64)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if self.0.strings.len() == MAX_IMAGES {
            return Err(E::invalid_length(MAX_IMAGES + 1, &EXPECTED));
        }
        self.0.strings.push(text.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Data, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn lists_may_be_flat_or_nested() {
        for json in ["[1, 2, 3, 4]", "[[1, 2], [3, 4]]", "[[[1], [2, 3]], 4]"] {
            assert_eq!(read(json), Ok(Data::Numbers(vec![1, 2, 3, 4])), "{json}");
        }
        assert_eq!(read("[0.0, [128.0, 2.55e2], -0.0, 7]"), Ok(Data::Numbers(vec![0, 128, 255, 0, 7])));
        assert_eq!(read(r#"["a", ["b"]]"#), Ok(Data::Strings(vec!["a".into(), "b".into()])));
    }

    #[test]
    fn what_is_neither_a_byte_nor_a_string_is_refused() {
        for json in [
            "[256]",
            "[-1]",
            "[0.5]",
            "[255.5]",
            "[256.0]",
            "[-1.0]",
            "[1e300]",
            "[254.99999]",
            "[true]",
            "[null]",
            "[{}]",
            "1",
            r#"[1, "a"]"#,
        ] {
            assert!(read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn more_than_a_request_may_bring_is_not_read() {
        let error = read(&format!("[{}\"\"]", "\"\",".repeat(MAX_IMAGES))).unwrap_err();
        assert!(error.starts_with("invalid length 257"), "{error}");
        let deep = "[".repeat(100_000);
        assert!(read(&deep).unwrap_err().starts_with("recursion limit exceeded"));
    }
}
