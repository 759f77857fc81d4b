//! How an agent has done, with what is long ago counting less.

use std::time::Duration;

use domain::Timestamp;
use serde::{Deserialize, Serialize};

/// After how long a result counts half.
pub(super) const HALF_LIFE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// An average whose values fade with time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Average {
    sum: f64,
    weight: f64,
    at: Timestamp,
}

impl Default for Average {
    fn default() -> Self {
        Self { sum: 0.0, weight: 0.0, at: Timestamp::from_micros(0) }
    }
}

impl Average {
    /// An average that was computed elsewhere, over so many values, as of a moment.
    #[must_use]
    pub fn of(mean: f64, count: f64, at: Timestamp) -> Self {
        let count = if count.is_finite() { count.max(0.0) } else { 0.0 };
        if mean.is_finite() { Self { sum: mean * count, weight: count, at } } else { Self::default() }
    }

    /// Takes in a value of a moment; of an earlier moment than the last one it counts accordingly less. What is no
    /// number is left out.
    pub fn add(&mut self, value: f64, at: Timestamp) {
        if !value.is_finite() {
            return;
        }
        if at >= self.at {
            let kept = fading(self.at, at);
            (self.sum, self.weight, self.at) = (self.sum * kept + value, self.weight * kept + 1.0, at);
        } else {
            let kept = fading(at, self.at);
            self.sum += value * kept;
            self.weight += kept;
        }
    }

    /// A value of a moment turns out to be another one; without an earlier one it is a new value. What is no number is left
    /// out.
    pub fn correct(&mut self, from: Option<f64>, to: f64, at: Timestamp) {
        match from {
            None => self.add(to, at),
            Some(from) if (to - from).is_finite() => self.sum += (to - from) * fading(at, self.at),
            Some(_) => {}
        }
    }

    /// How many values it still counts for.
    #[must_use]
    pub fn weight(&self, now: Timestamp) -> f64 {
        self.weight * fading(self.at, now)
    }

    /// The mean; nothing when there is no value.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }

    /// The mean together with `strength` values of `prior`.
    pub(super) fn with_prior(&self, prior: f64, strength: f64, now: Timestamp) -> f64 {
        let weight = self.weight(now);
        let own = self.mean().unwrap_or(prior) * weight;
        if weight + strength > 0.0 { (own + prior * strength) / (weight + strength) } else { prior }
    }
}

/// What is left of a value after the time between two moments, 1 to 0.
fn fading(from: Timestamp, to: Timestamp) -> f64 {
    0.5_f64.powf(to.since(from).as_secs_f64() / HALF_LIFE.as_secs_f64())
}

/// How an agent has done.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct History {
    /// Quality of its results, 1 to 10: what people say of each, or else a judge, or else the checks.
    pub quality: Average,
    /// What a task cost, in US dollars. What is not known is left out.
    pub cost_usd: Average,
    /// How long a task took, in seconds.
    pub seconds: Average,
    /// 1 for every task that failed, 0 for every task that did not.
    pub failures: Average,
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test fails by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(day: i64) -> Timestamp {
        Timestamp::from_micros(day * 86_400_000_000)
    }

    #[test]
    fn after_a_half_life_a_value_counts_half() {
        let mut average = Average::default();
        average.add(4.0, day(0));
        average.add(8.0, day(14));
        assert!((average.weight(day(14)) - 1.5).abs() < 1e-9);
        assert!((average.mean().expect("a mean") - (4.0 * 0.5 + 8.0) / 1.5).abs() < 1e-9);
        assert!((average.weight(day(28)) - 0.75).abs() < 1e-9);
    }

    #[test]
    fn a_value_that_comes_late_counts_as_on_time() {
        let (mut one, mut other) = (Average::default(), Average::default());
        one.add(4.0, day(3));
        one.add(8.0, day(9));
        other.add(8.0, day(9));
        other.add(4.0, day(3));
        assert!((one.mean().expect("a mean") - other.mean().expect("a mean")).abs() < 1e-9);
        assert!((one.weight(day(9)) - other.weight(day(9))).abs() < 1e-9);
    }

    #[test]
    fn a_value_that_is_corrected_counts_as_if_it_had_been_so_from_the_start() {
        let (mut one, mut other) = (Average::default(), Average::default());
        for (average, first) in [(&mut one, 2.0), (&mut other, 9.0)] {
            average.add(first, day(1));
            average.add(6.0, day(8));
        }
        one.correct(Some(2.0), 9.0, day(1));
        assert!((one.mean().expect("a mean") - other.mean().expect("a mean")).abs() < 1e-9);
        assert!((one.weight(day(9)) - other.weight(day(9))).abs() < 1e-9);
        one.correct(None, 4.0, day(8));
        other.add(4.0, day(8));
        assert!((one.mean().expect("a mean") - other.mean().expect("a mean")).abs() < 1e-9);
    }

    #[test]
    fn what_is_no_number_is_left_out() {
        let mut average = Average::of(f64::NAN, 3.0, day(0));
        average.add(f64::INFINITY, day(1));
        assert_eq!(average.mean(), None);
    }

    #[test]
    fn with_time_an_agent_returns_to_the_prior() {
        let average = Average::of(9.0, 100.0, day(0));
        assert!(average.with_prior(5.0, 3.0, day(0)) > 8.8);
        assert!(average.with_prior(5.0, 3.0, day(365)) < 5.1);
    }

    proptest! {
        #[test]
        fn a_mean_lies_among_its_values(values in prop::collection::vec((0.0..10.0_f64, 0_i64..400), 1..40)) {
            let mut average = Average::default();
            for (value, when) in &values {
                average.add(*value, day(*when));
            }
            let mean = average.mean().expect("a mean");
            let least = values.iter().map(|(value, _)| *value).fold(f64::INFINITY, f64::min);
            let most = values.iter().map(|(value, _)| *value).fold(0.0, f64::max);
            prop_assert!(mean >= least - 1e-6 && mean <= most + 1e-6, "{mean} of {least} to {most}");
        }
    }
}
