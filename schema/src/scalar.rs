//! The scalars of the API, each the edge form of a domain value.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};

pub(crate) type Json = async_graphql::Json<serde_json::Value>;

/// A place in the whole journal, as a decimal string. It is opaque: later is larger, and nothing else may be
/// concluded from it. `"0"` is before the first event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(pub(crate) journal::Position);

/// A place in the whole journal, as a decimal string. It is opaque: later is larger, and nothing else may be
/// concluded from it. `"0"` is before the first event.
#[Scalar(name = "Position")]
impl ScalarType for Position {
    fn parse(value: Value) -> InputValueResult<Self> {
        let number = match &value {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.as_u64(),
            _ => return Err(InputValueError::expected_type(value)),
        };
        number
            .map(|number| Self(journal::Position::from_u64(number)))
            .ok_or_else(|| InputValueError::custom("a position is a decimal string such as \"42\", as the API gave it"))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

impl From<journal::Position> for Position {
    fn from(position: journal::Position) -> Self {
        Self(position)
    }
}

/// A moment in UTC, as RFC 3339 with up to six digits of the second, such as `2026-01-31T12:00:00.25Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DateTime(pub(crate) domain::Timestamp);

/// A moment in UTC, as RFC 3339 with up to six digits of the second, such as `2026-01-31T12:00:00.25Z`.
#[Scalar(name = "DateTime", specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        let moment: jiff::Timestamp = text.parse().map_err(|error| {
            InputValueError::custom(format!("`{text}` is no moment such as 2026-01-31T12:00:00Z: {error}"))
        })?;
        Ok(Self(domain::Timestamp::from_micros(moment.as_microsecond())))
    }

    fn to_value(&self) -> Value {
        // Beyond jiff's years (-9999 to 9999) nothing is recorded; null says so without failing the whole answer.
        jiff::Timestamp::from_microsecond(self.0.as_micros())
            .map_or(Value::Null, |moment| Value::String(moment.to_string()))
    }
}

impl From<domain::Timestamp> for DateTime {
    fn from(moment: domain::Timestamp) -> Self {
        Self(moment)
    }
}

/// Money in billionths of a US dollar, as a decimal string, because it may exceed what an `Int` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NanoUsd(pub(crate) i64);

/// Money in billionths of a US dollar, as a decimal string, because it may exceed what an `Int` holds.
#[Scalar(name = "NanoUsd")]
impl ScalarType for NanoUsd {
    fn parse(value: Value) -> InputValueResult<Self> {
        let number = match &value {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.as_i64(),
            _ => return Err(InputValueError::expected_type(value)),
        };
        number
            .map(Self)
            .ok_or_else(|| InputValueError::custom("an amount is a whole number of billionths of a US dollar"))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// A count that may exceed what an `Int` holds, as a JSON number; exact up to 2⁵³.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Count(pub(crate) u64);

/// A count that may exceed what an `Int` holds, as a JSON number; exact up to 2⁵³.
#[Scalar(name = "Count")]
impl ScalarType for Count {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::Number(number) => {
                number.as_u64().map(Self).ok_or_else(|| InputValueError::custom("a count is a whole number from 0"))
            }
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::from(self.0)
    }
}

impl Count {
    /// From a column or sum that is never negative.
    pub(crate) fn of(number: i64) -> Self {
        Self(u64::try_from(number).unwrap_or(0))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn positions_survive_beyond_53_bits() {
        let position = Position(journal::Position::from_u64(u64::MAX));
        assert_eq!(position.to_value(), Value::from("18446744073709551615"));
        assert_eq!(Position::parse(position.to_value()).unwrap(), position);
        assert!(Position::parse(Value::from("-1")).is_err());
        assert!(Position::parse(Value::from("1 ")).is_err());
    }

    #[test]
    fn moments_are_rfc_3339() {
        let moment = DateTime(domain::Timestamp::from_micros(1_769_860_800_250_000));
        assert_eq!(moment.to_value(), Value::from("2026-01-31T12:00:00.25Z"));
        assert_eq!(DateTime::parse(Value::from("2026-01-31T13:00:00.25+01:00")).unwrap(), moment);
        assert!(DateTime::parse(Value::from("yesterday")).is_err());
        assert_eq!(DateTime(domain::Timestamp::from_micros(i64::MAX)).to_value(), Value::Null);
    }

    #[test]
    fn money_is_exact() {
        assert_eq!(NanoUsd(i64::MAX).to_value(), Value::from("9223372036854775807"));
        assert_eq!(NanoUsd::parse(Value::from("-5")).unwrap(), NanoUsd(-5));
    }
}
