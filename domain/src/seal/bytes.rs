use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that does not hold the wanted bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {length} bytes as {} hexadecimal digits", length * 2)]
pub struct InvalidHex {
    text: String,
    length: usize,
}

macro_rules! hexadecimal {
    ($($(#[$doc:meta])* $name:ident($length:literal)),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $length]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidHex;

            fn from_str(text: &str) -> Result<Self, InvalidHex> {
                let invalid = || InvalidHex { text: text.chars().take(200).collect(), length: $length };
                let digits = text.as_bytes();
                if digits.len() != $length * 2 {
                    return Err(invalid());
                }
                let mut bytes = [0; $length];
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                    for digit in pair {
                        let value = char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
                        *byte = (*byte << 4) | value.ok_or_else(invalid)?;
                    }
                }
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

hexadecimal! {
    /// A BLAKE3 hash. Its text form is hexadecimal.
    Digest(32),
    /// An Ed25519 public key. Its text form is hexadecimal.
    PublicKey(32),
    /// An Ed25519 signature. Its text form is hexadecimal.
    Signature(64),
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn text_comes_back_as_bytes() {
        let digest = Digest(std::array::from_fn(|place| u8::try_from(place * 7).unwrap_or(255)));
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        let json = serde_json::to_string(&Signature([0xab; 64])).unwrap();
        assert_eq!(serde_json::from_str::<Signature>(&json).unwrap(), Signature([0xab; 64]));
        for wrong in ["", "00", &"0g".repeat(32), &"é".repeat(32)] {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
    }
}
