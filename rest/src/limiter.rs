//! How much one caller may ask: a bucket of tokens that fills evenly, told by the RateLimit fields
//! (draft-ietf-httpapi-ratelimit-headers).
//!
//! Invariants: memory is bounded, because a bucket that is full again says nothing and is forgotten. Each process
//! counts for itself.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use actix_web::Error;
use actix_web::ResponseError;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use parking_lot::Mutex;

use crate::call::actor;
use crate::{Api, Problem};

/// How many buckets are kept before those that are full again are looked for.
const MANY: usize = 4096;

/// How much one caller may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many requests, at least 1; so many may also come at once.
    pub requests: u32,
    /// In how long, more than zero.
    pub window: Duration,
}

/// One caller's tokens.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// What is left for a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    /// Whether this request may go on.
    admitted: bool,
    /// How many more may come now.
    remaining: u64,
    /// In how many seconds the bucket is full again, or, for a refused request, has a token.
    reset: u64,
}

pub(crate) struct Limiter {
    rate: Rate,
    buckets: Mutex<HashMap<String, Bucket>>,
}

impl Limiter {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, buckets: Mutex::default() }
    }

    /// Tokens for each second.
    fn pace(&self) -> f64 {
        f64::from(self.rate.requests) / self.rate.window.as_secs_f64().max(0.001)
    }

    /// Takes a token.
    fn take(&self, caller: &str, now: Instant) -> Left {
        let (full, pace) = (f64::from(self.rate.requests.max(1)), self.pace());
        let filled =
            |bucket: Bucket| (bucket.tokens + now.saturating_duration_since(bucket.at).as_secs_f64() * pace).min(full);
        let mut buckets = self.buckets.lock();
        if buckets.len() >= MANY {
            buckets.retain(|_, bucket| filled(*bucket) < full);
        }
        let bucket = buckets.entry(caller.to_owned()).or_insert(Bucket { tokens: full, at: now });
        let tokens = filled(*bucket);
        let admitted = tokens >= 1.0;
        let tokens = if admitted { tokens - 1.0 } else { tokens };
        *bucket = Bucket { tokens, at: now };
        let missing = if admitted { full - tokens } else { 1.0 - tokens };
        Left { admitted, remaining: whole(tokens.floor()), reset: whole((missing / pace).ceil()).max(1) }
    }
}

/// A small number that is not negative, as an integer.
fn whole(number: f64) -> u64 {
    Duration::try_from_secs_f64(number).map_or(u64::MAX, |duration| duration.as_secs())
}

/// The middleware: refuses what is too much, and tells every caller what is left.
pub(crate) async fn limit<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let Some(api) = request.app_data::<Data<Api>>().map(|api| Api::clone(api)) else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    let Some(limiter) = api.limiter() else { return Ok(next.call(request).await?.map_into_left_body()) };
    // Who cannot be told apart shares the bucket of those without a name.
    let caller = actor(request.request(), api.options()).map_or_else(|_| String::new(), |actor| actor.to_string());
    let left = limiter.take(&caller, Instant::now());
    let mut response = if left.admitted {
        next.call(request).await?.map_into_left_body()
    } else {
        let detail = format!("too many requests; the next one may come in {} s", left.reset);
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", detail).after(left.reset);
        request.into_response(problem.error_response()).map_into_right_body()
    };
    let Rate { requests, window } = limiter.rate;
    let policy = format!("\"default\";q={requests};w={}", window.as_secs().max(1));
    let state = format!("\"default\";r={};t={}", left.remaining, left.reset);
    for (name, value) in [("ratelimit-policy", policy), ("ratelimit", state)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills() {
        let limiter = Limiter::new(Rate { requests: 2, window: Duration::from_secs(10) });
        let begin = Instant::now();
        assert_eq!(limiter.take("a", begin), Left { admitted: true, remaining: 1, reset: 5 });
        assert_eq!(limiter.take("a", begin), Left { admitted: true, remaining: 0, reset: 10 });
        assert_eq!(limiter.take("a", begin), Left { admitted: false, remaining: 0, reset: 5 });
        assert!(limiter.take("b", begin).admitted, "callers have buckets of their own");
        assert!(limiter.take("a", begin + Duration::from_secs(6)).admitted);
        assert!(!limiter.take("a", begin + Duration::from_secs(6)).admitted);
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let limiter = Limiter::new(Rate { requests: 1, window: Duration::from_secs(1) });
        let begin = Instant::now();
        for caller in 0..MANY {
            limiter.take(&caller.to_string(), begin);
        }
        limiter.take("late", begin + Duration::from_secs(2));
        assert_eq!(limiter.buckets.lock().len(), 1);
    }
}
