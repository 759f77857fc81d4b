//! How a platform says when to come back: `Retry-After` in seconds or as an HTTP date (RFC 9110 §10.2.3), and
//! `retry-after-ms` as OpenAI and Azure send it.

use std::time::{Duration, SystemTime};

/// No platform's wish for a longer pause is believed.
const LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The pause asked for at the time `now`, at most a day; the header in milliseconds is the more exact one and wins. A
/// date in the past is no pause at all; what cannot be read is `None`.
#[must_use]
pub fn parse(seconds_or_date: Option<&str>, milliseconds: Option<&str>, now: SystemTime) -> Option<Duration> {
    let number = |text: &str, scale: f64| {
        let value: f64 = text.trim().parse().ok()?;
        // Also refuses NaN and what would overflow.
        (value >= 0.0).then(|| Duration::try_from_secs_f64((value / scale).min(LIMIT.as_secs_f64())).ok())?
    };
    if let Some(pause) = milliseconds.and_then(|text| number(text, 1000.0)) {
        return Some(pause);
    }
    let text = seconds_or_date?;
    number(text, 1.0).or_else(|| {
        let date = httpdate::parse_http_date(text.trim()).ok()?;
        Some(date.duration_since(now).unwrap_or(Duration::ZERO).min(LIMIT))
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::parse;

    #[test]
    fn reads_every_form() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let cases = [
            (Some("7"), None, Some(Duration::from_secs(7))),
            (Some("0.5"), None, Some(Duration::from_millis(500))),
            (Some("7"), Some("1500"), Some(Duration::from_millis(1500))),
            (Some("Sun, 06 Nov 1994 08:49:47 GMT"), None, Some(Duration::from_secs(10))),
            (Some("Sun, 06 Nov 1994 08:49:27 GMT"), None, Some(Duration::ZERO)),
            (Some("1e300"), None, Some(Duration::from_secs(86_400))),
            (Some("-3"), None, None),
            (Some("NaN"), None, None),
            (Some("soon"), None, None),
            (None, None, None),
        ];
        for (text, milliseconds, expected) in cases {
            assert_eq!(parse(text, milliseconds, now), expected, "{text:?} {milliseconds:?}");
        }
    }
}
