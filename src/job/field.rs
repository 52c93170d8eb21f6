//! One optional value of a JSON object, on the way in.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Unexpected, Visitor};

/// What stood in a place. `""`, `null` and an absent key all mean unset, but a PATCH tells them
/// apart: the last two leave what is there, the first empties it.
#[derive(Debug, Default)]
pub enum Field<T> {
    /// No such key.
    #[default]
    Absent,
    /// `null`.
    Null,
    /// `""`.
    Empty,
    /// Anything else.
    Value(T),
}

impl<T> Field<T> {
    /// The value; `None` for the three ways of unset.
    pub fn set(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null | Self::Empty => None,
        }
    }

    /// What a PATCH makes of it: `None` leaves, `Some(None)` empties, `Some(Some(_))` replaces.
    pub fn patch(self) -> Option<Option<T>> {
        match self {
            Self::Absent | Self::Null => None,
            Self::Empty => Some(None),
            Self::Value(value) => Some(Some(value)),
        }
    }
}

impl<T: Copy> Field<T> {
    /// What a PATCH leaves of a value that was there or not.
    pub fn over(&self, present: Option<T>) -> Option<T> {
        match self {
            Self::Absent | Self::Null => present,
            Self::Empty => None,
            Self::Value(value) => Some(*value),
        }
    }
}

/// A type that can stand in a [`Field`]: it takes one kind of JSON value and refuses the others.
pub trait FieldValue: Sized {
    /// What is accepted, for the refusal.
    const ACCEPTED: &'static str;

    /// From a string that is not empty.
    fn from_text(text: &str) -> Result<Self, FromText> {
        let _ = text;
        Err(FromText::WrongType)
    }

    /// From `true` or `false`.
    fn from_bool(_: bool) -> Option<Self> {
        None
    }

    /// From a whole number.
    fn from_integer(_: i64) -> Option<Self> {
        None
    }

    /// From an object; `None` refuses objects.
    fn from_map<'de, A: MapAccess<'de>>(_: A) -> Option<Result<Self, A::Error>> {
        None
    }
}

/// Why a text is no value.
pub enum FromText {
    /// The place takes no string.
    WrongType,
    /// The string is not of the form; what is wrong and what is accepted.
    Malformed(String),
}

impl<'de, T: FieldValue> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor(PhantomData))
    }
}

struct FieldVisitor<T>(PhantomData<T>);

impl<'de, T: FieldValue> Visitor<'de> for FieldVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::ACCEPTED)
    }

    fn visit_unit<E: Error>(self) -> Result<Field<T>, E> {
        Ok(Field::Null)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Field<T>, E> {
        if text.is_empty() {
            return Ok(Field::Empty);
        }
        T::from_text(text).map(Field::Value).map_err(|error| match error {
            FromText::WrongType => E::invalid_type(Unexpected::Str(text), &self),
            FromText::Malformed(message) => E::custom(message),
        })
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Field<T>, E> {
        let refusal = || E::invalid_type(Unexpected::Bool(value), &self);
        T::from_bool(value).map(Field::Value).ok_or_else(refusal)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Field<T>, E> {
        let refusal = || E::invalid_type(Unexpected::Signed(value), &self);
        T::from_integer(value).map(Field::Value).ok_or_else(refusal)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Field<T>, E> {
        let refusal = || E::invalid_type(Unexpected::Unsigned(value), &self);
        i64::try_from(value).ok().and_then(T::from_integer).map(Field::Value).ok_or_else(refusal)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Field<T>, A::Error> {
        match T::from_map(map) {
            Some(value) => value.map(Field::Value),
            None => Err(A::Error::invalid_type(Unexpected::Map, &self)),
        }
    }
}

/// A key that only files may hold. In a request it is an unknown field like any other.
#[derive(Debug, Default)]
pub struct Unknown;

impl<'de> Deserialize<'de> for Unknown {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("unknown field `state`; it stands in files only"))
    }
}

impl FieldValue for Box<str> {
    const ACCEPTED: &'static str = "a string";

    fn from_text(text: &str) -> Result<Self, FromText> {
        Ok(text.into())
    }
}

impl FieldValue for bool {
    const ACCEPTED: &'static str = "true or false";

    fn from_bool(value: bool) -> Option<Self> {
        Some(value)
    }
}

impl FieldValue for i64 {
    const ACCEPTED: &'static str = "a whole number that fits into 64 bits";

    fn from_integer(value: i64) -> Option<Self> {
        Some(value)
    }
}

impl FieldValue for super::GoDuration {
    const ACCEPTED: &'static str = "a duration as a string, such as \"1m30s\"";

    fn from_text(text: &str) -> Result<Self, FromText> {
        text.parse().map_err(FromText::Malformed)
    }
}

impl FieldValue for jiff::Timestamp {
    const ACCEPTED: &'static str = "a time of RFC 3339 as a string, such as \"2025-09-19T11:05:00Z\"";

    fn from_text(text: &str) -> Result<Self, FromText> {
        super::parse_time(text).map_err(FromText::Malformed)
    }
}

impl FieldValue for uuid::Uuid {
    const ACCEPTED: &'static str = "a UUID as a string";

    fn from_text(text: &str) -> Result<Self, FromText> {
        text.parse()
            .map_err(|_| FromText::Malformed(format!("{text:?} is not a UUID; accepted are 32 hexadecimal digits")))
    }
}

impl FieldValue for super::JobId {
    const ACCEPTED: &'static str = "an id as a string";

    fn from_text(text: &str) -> Result<Self, FromText> {
        super::JobId::parse(text).map_err(FromText::Malformed)
    }
}

impl FieldValue for super::Status {
    const ACCEPTED: &'static str = "success, failed, timeout, skipped, missed, paused or an empty string";

    fn from_text(text: &str) -> Result<Self, FromText> {
        let refusal = || FromText::Malformed(format!("{text:?} is not a status; accepted are {}", Self::ACCEPTED));
        Self::parse(text).ok_or_else(refusal)
    }
}

/// Headers in the order of the text.
pub(super) type Headers = Vec<(Box<str>, Box<str>)>;

impl FieldValue for Headers {
    const ACCEPTED: &'static str = "an object of header names and string values";

    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Option<Result<Self, A::Error>> {
        let mut headers = Self::new();
        loop {
            match map.next_entry::<Box<str>, Field<Box<str>>>() {
                Ok(Some((name, Field::Value(value)))) => headers.push((name, value)),
                Ok(Some((name, Field::Empty))) => headers.push((name, "".into())),
                Ok(Some((_, Field::Absent | Field::Null))) => {}
                Ok(None) => return Some(Ok(headers)),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
