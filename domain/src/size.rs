//! How large a JSON value may be that goes into events: inputs, parameters, outputs.

use serde_json::Value;

/// The most bytes of JSON text that one value may have.
pub const MAX_VALUE_BYTES: usize = 512 * 1024;
/// How deep objects and arrays may stand in each other.
pub const MAX_VALUE_DEPTH: usize = 64;

/// A value that is too large to be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueTooLarge {
    /// Too many bytes.
    #[error("has more than {MAX_VALUE_BYTES} bytes as JSON, the most that are kept")]
    Bytes,
    /// Too deep.
    #[error("is nested more than {MAX_VALUE_DEPTH} levels deep")]
    Depth,
}

/// Checks that a value is not too large to be kept, without writing it out: bytes are counted as JSON text has them,
/// every escaped character as six.
///
/// # Errors
/// Which limit it exceeds.
pub fn check_size(value: &Value) -> Result<(), ValueTooLarge> {
    let mut left = MAX_VALUE_BYTES;
    measure(value, MAX_VALUE_DEPTH, &mut left)
}

fn measure(value: &Value, depth: usize, left: &mut usize) -> Result<(), ValueTooLarge> {
    let depth_below = || depth.checked_sub(1).ok_or(ValueTooLarge::Depth);
    match value {
        Value::Null | Value::Bool(_) => take(left, 5),
        Value::Number(_) => take(left, 24),
        Value::String(text) => take(left, text_bytes(text)),
        Value::Array(items) => {
            let depth = depth_below()?;
            take(left, 2)?;
            items.iter().try_for_each(|item| take(left, 1).and_then(|()| measure(item, depth, left)))
        }
        Value::Object(entries) => {
            let depth = depth_below()?;
            take(left, 2)?;
            entries.iter().try_for_each(|(name, item)| {
                take(left, text_bytes(name) + 2)?;
                measure(item, depth, left)
            })
        }
    }
}

fn text_bytes(text: &str) -> usize {
    let escaped = text.bytes().filter(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\')).count();
    text.len() + 2 + 5 * escaped
}

fn take(left: &mut usize, bytes: usize) -> Result<(), ValueTooLarge> {
    *left = left.checked_sub(bytes).ok_or(ValueTooLarge::Bytes)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{MAX_VALUE_BYTES, MAX_VALUE_DEPTH, ValueTooLarge, check_size};

    fn nested(levels: usize) -> Value {
        (0..levels).fold(json!(1), |inner, _| json!([inner]))
    }

    #[test]
    fn the_limits_are_exact_enough() {
        assert_eq!(check_size(&json!("x".repeat(MAX_VALUE_BYTES - 2))), Ok(()));
        assert_eq!(check_size(&json!("x".repeat(MAX_VALUE_BYTES - 1))), Err(ValueTooLarge::Bytes));
        assert_eq!(check_size(&json!("\u{1}".repeat(MAX_VALUE_BYTES / 6 + 1))), Err(ValueTooLarge::Bytes));
        assert_eq!(check_size(&nested(MAX_VALUE_DEPTH)), Ok(()));
        assert_eq!(check_size(&nested(MAX_VALUE_DEPTH + 1)), Err(ValueTooLarge::Depth));
    }

    #[test]
    fn what_passes_is_no_larger_than_it_says() {
        let value = json!({"a\"b": ["\n\t", 1.5, null, true, {"c": "\u{7}"}]});
        let mut left = MAX_VALUE_BYTES;
        assert_eq!(super::measure(&value, MAX_VALUE_DEPTH, &mut left), Ok(()));
        assert!(MAX_VALUE_BYTES - left >= value.to_string().len());
    }
}
