//! Numbers and durations as people write them. Both are read from their text, so that nothing is rounded.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A decimal number with at most `DIGITS` digits after the point, in whole units of its last digit.
fn decimal<const DIGITS: usize>(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let fraction = fraction.trim_end_matches('0');
    if !is_number(whole) || whole.len() > 9 || fraction.len() > DIGITS || !(fraction.is_empty() || is_number(fraction))
    {
        return None;
    }
    let units = format!("{whole}{fraction:0<DIGITS$}").parse::<i64>().ok()?;
    Some(if negative { -units } else { units })
}

/// A decimal number with at most three digits after the point, kept in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Thousandths(pub(super) i64);

impl Thousandths {
    /// The number in the integer type of the domain. What does not fit becomes `otherwise`, a number that the
    /// domain refuses with the right range.
    pub(super) fn fit<T: TryFrom<i64>>(self, otherwise: T) -> T {
        T::try_from(self.0).unwrap_or(otherwise)
    }
}

impl<'de> Deserialize<'de> for Thousandths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        decimal::<3>(&text).map(Self).ok_or_else(|| {
            D::Error::custom(format_args!(
                "`{text}` is no decimal number with at most three digits after the point, such as 0.25"
            ))
        })
    }
}

impl Serialize for Thousandths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Nine digits and three more are far inside what a double holds exactly enough to print again.
        let whole = i32::try_from(self.0).map_err(serde::ser::Error::custom)?;
        serializer.serialize_f64(f64::from(whole) / 1000.0)
    }
}

/// US dollars with at most nine digits after the point, kept in billionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dollars(pub(super) i64);

impl<'de> Deserialize<'de> for Dollars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        decimal::<9>(&text).map(Self).ok_or_else(|| {
            D::Error::custom(format_args!(
                "`{text}` is no amount in US dollars with at most nine digits after the point, such as 0.50"
            ))
        })
    }
}

impl Serialize for Dollars {
    /// As text, because a double would be written with an exponent where the amount is small.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, fraction) = (self.0.unsigned_abs() / 1_000_000_000, self.0.unsigned_abs() % 1_000_000_000);
        let digits = format!("{fraction:09}");
        let digits = digits.trim_end_matches('0');
        serializer.serialize_str(&format!("{sign}{whole}.{}", if digits.is_empty() { "0" } else { digits }))
    }
}

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// A duration such as `300s`, `2m` or `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Human(pub(super) Duration);

impl Human {
    fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let mut millis: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, tail) = rest.split_at(digits);
            let letters = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
            let (unit, tail) = tail.split_at(letters);
            let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
            millis = millis.checked_add(number.parse::<u64>().ok()?.checked_mul(*factor)?)?;
            rest = tail;
        }
        (!text.is_empty()).then(|| Self(Duration::from_millis(millis)))
    }

    fn write(self) -> String {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let mut text = String::new();
        for (unit, factor) in UNITS {
            if rest >= factor {
                text.push_str(&format!("{}{unit}", rest / factor));
                rest %= factor;
            }
        }
        if text.is_empty() { "0s".to_owned() } else { text }
    }
}

impl<'de> Deserialize<'de> for Human {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format_args!(
                "`{text}` is no duration; write whole numbers with their units ms, s, m, h or d, such as 300s or 1h30m"
            ))
        })
    }
}

impl Serialize for Human {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.write())
    }
}
