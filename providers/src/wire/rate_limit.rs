//! What platforms say about their limits in the headers of each answer.
//!
//! OpenAI (and those who copy it): `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, the reset as a span such as
//! `6m0s`. Anthropic: `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}`, the
//! reset as a time (RFC 3339). OpenRouter: `x-ratelimit-{limit,remaining,reset}`, the reset as milliseconds since 1970.
//! Google says nothing.

use std::time::{Duration, SystemTime};

/// One limit: how much of what, until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// How much may be used within the window.
    pub limit: Option<u64>,
    /// How much of it is left.
    pub remaining: Option<u64>,
    /// When all of it is there again, from now.
    pub reset: Option<Duration>,
}

/// The limits that a platform told; what it did not tell is `None` within.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateLimits {
    /// Calls.
    pub requests: Window,
    /// Tokens in and out; where a platform counts them apart, the tighter one.
    pub tokens: Window,
}

/// Reads the headers of an answer at the time `now`; `None` when they say nothing.
#[must_use]
pub fn parse<'a>(header: impl Fn(&str) -> Option<&'a str>, now: SystemTime) -> Option<RateLimits> {
    let number = |name: &str| header(name).and_then(|text| text.trim().parse::<u64>().ok());
    let openai = |what: &str| Window {
        limit: number(&format!("x-ratelimit-limit-{what}")),
        remaining: number(&format!("x-ratelimit-remaining-{what}")),
        reset: header(&format!("x-ratelimit-reset-{what}")).and_then(span),
    };
    let anthropic = |what: &str| Window {
        limit: number(&format!("anthropic-ratelimit-{what}-limit")),
        remaining: number(&format!("anthropic-ratelimit-{what}-remaining")),
        reset: header(&format!("anthropic-ratelimit-{what}-reset")).and_then(|text| until(text, now)),
    };
    let openrouter = Window {
        limit: number("x-ratelimit-limit"),
        remaining: number("x-ratelimit-remaining"),
        reset: number("x-ratelimit-reset").and_then(|time| from(SystemTime::UNIX_EPOCH, time, now)),
    };
    let tokens = [openai("tokens"), anthropic("tokens"), anthropic("input-tokens"), anthropic("output-tokens")];
    let limits = RateLimits {
        requests: tightest([openai("requests"), anthropic("requests"), openrouter]),
        tokens: tightest(tokens),
    };
    (limits != RateLimits::default()).then_some(limits)
}

/// The window with the smallest part left; those that say nothing do not count.
fn tightest<const N: usize>(windows: [Window; N]) -> Window {
    let told = windows.into_iter().filter(|window| *window != Window::default());
    let key = |window: &Window| match (window.remaining, window.limit) {
        (Some(left), Some(limit)) if limit > 0 => u128::from(left) * 1_000_000 / u128::from(limit),
        (Some(left), _) => u128::from(left),
        (None, _) => u128::MAX,
    };
    told.min_by_key(key).unwrap_or_default()
}

/// No platform's window is believed to be longer.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

fn from(epoch: SystemTime, milliseconds: u64, now: SystemTime) -> Option<Duration> {
    let time = epoch.checked_add(Duration::from_millis(milliseconds))?;
    Some(time.duration_since(now).unwrap_or_default().min(LONGEST))
}

fn until(text: &str, now: SystemTime) -> Option<Duration> {
    let time: jiff::Timestamp = text.trim().parse().ok()?;
    Some(SystemTime::from(time).duration_since(now).unwrap_or_default().min(LONGEST))
}

/// A span as Go writes it: `1h2m3.5s`, `120ms`; a bare number is seconds.
fn span(text: &str) -> Option<Duration> {
    let text = text.trim();
    let seconds = |seconds: f64| {
        (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds.min(LONGEST.as_secs_f64())).ok())?
    };
    if let Ok(number) = text.parse::<f64>() {
        return seconds(number);
    }
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let scale = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * scale;
        rest = tail;
    }
    (!text.is_empty()).then(|| seconds(total))?
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{RateLimits, Window, parse, span};

    fn read(headers: &[(&'static str, &'static str)]) -> Option<RateLimits> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        parse(|wanted| headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value), now)
    }

    fn window(limit: u64, remaining: u64, reset: u64) -> Window {
        Window { limit: Some(limit), remaining: Some(remaining), reset: Some(Duration::from_secs(reset)) }
    }

    #[test]
    fn reads_every_platform() {
        let openai = [
            ("x-ratelimit-limit-requests", "10000"),
            ("x-ratelimit-remaining-requests", "9999"),
            ("x-ratelimit-reset-requests", "6s"),
            ("x-ratelimit-limit-tokens", "200000"),
            ("x-ratelimit-remaining-tokens", "150000"),
            ("x-ratelimit-reset-tokens", "1m30s"),
        ];
        let expected = RateLimits { requests: window(10_000, 9999, 6), tokens: window(200_000, 150_000, 90) };
        assert_eq!(read(&openai), Some(expected));
        let anthropic = [
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "49"),
            ("anthropic-ratelimit-requests-reset", "2027-01-15T08:00:07Z"),
            ("anthropic-ratelimit-input-tokens-limit", "1000"),
            ("anthropic-ratelimit-input-tokens-remaining", "900"),
            ("anthropic-ratelimit-input-tokens-reset", "2027-01-15T08:00:30Z"),
            ("anthropic-ratelimit-output-tokens-limit", "1000"),
            ("anthropic-ratelimit-output-tokens-remaining", "10"),
            ("anthropic-ratelimit-output-tokens-reset", "2027-01-15T07:59:30Z"),
        ];
        assert_eq!(read(&anthropic), Some(RateLimits { requests: window(50, 49, 7), tokens: window(1000, 10, 0) }));
        let openrouter =
            [("x-ratelimit-limit", "20"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1800000060000")];
        let expected = RateLimits { requests: window(20, 0, 60), tokens: Window::default() };
        assert_eq!(read(&openrouter), Some(expected));
        assert_eq!(read(&[("content-type", "text/plain")]), None);
    }

    #[test]
    fn reads_spans() {
        let cases = [
            ("6m0s", Some(360_000)),
            ("1h2m3.5s", Some(3_723_500)),
            ("120ms", Some(120)),
            ("7", Some(7000)),
            ("0s", Some(0)),
            ("", None),
            ("soon", None),
            ("5x", None),
            ("-1s", None),
            ("9999h", Some(86_400_000)),
        ];
        for (text, milliseconds) in cases {
            assert_eq!(span(text), milliseconds.map(Duration::from_millis), "{text}");
        }
    }
}
