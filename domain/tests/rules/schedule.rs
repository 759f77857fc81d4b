//! When schedules fire: patterns, time zones, and the days on which clocks change.

use std::time::Duration;

use domain::trigger::{Cron, Schedule, Zone, time_zones};
use domain::{Key, Timestamp, TriggerId};
use proptest::prelude::*;

pub(crate) fn schedule(cron: &str, zone: &str) -> Schedule {
    Schedule::new(cron.parse().unwrap(), zone.parse().unwrap())
}

/// A moment from RFC 3339.
pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
}

/// The next ticks on the clock of the zone.
fn ticks(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let schedule = schedule(cron, zone);
    let found = schedule.next_firings(at(after), count);
    found.into_iter().map(|tick| schedule.local(tick).unwrap().0).collect()
}

#[test]
fn five_fields_count_minutes_and_six_begin_with_seconds() {
    let after = "2026-01-01T00:00:00Z";
    assert_eq!(ticks("*/20 * * * *", "UTC", after, 2), ["2026-01-01T00:20:00+00:00", "2026-01-01T00:40:00+00:00"]);
    assert_eq!(ticks("*/20 * * * * *", "UTC", after, 2), ["2026-01-01T00:00:20+00:00", "2026-01-01T00:00:40+00:00"]);
    assert_eq!(ticks("@daily", "UTC", after, 1), ["2026-01-02T00:00:00+00:00"]);
    assert_eq!(
        ticks("0 9 * * MON-FRI", "Asia/Tokyo", after, 2),
        ["2026-01-02T09:00:00+09:00", "2026-01-05T09:00:00+09:00"]
    );
    for wrong in ["", "* * * *", "* * * * * * *", "61 * * * *", "0 0 32 * *", "0 0 * * FOO", "hello", &"1,".repeat(200)]
    {
        assert!(wrong.parse::<Cron>().is_err(), "`{wrong}` was taken");
    }
}

#[test]
fn day_of_month_and_day_of_week_are_either_or() {
    let found = ticks("0 0 13 * FRI", "UTC", "2026-01-31T12:00:00Z", 4);
    let days = ["2026-02-06", "2026-02-13", "2026-02-20", "2026-02-27"];
    assert!(found.iter().zip(days).all(|(tick, day)| tick.starts_with(day)), "{found:?}");
    let both = ticks("0 0 13 * +FRI", "UTC", "2026-01-31T12:00:00Z", 3);
    let days = ["2026-02-13", "2026-03-13", "2026-11-13"];
    assert!(both.iter().zip(days).all(|(tick, day)| tick.starts_with(day)), "{both:?}");
}

#[test]
fn days_that_a_month_does_not_have_are_passed_over() {
    let found = ticks("0 12 31 * *", "UTC", "2026-01-31T12:00:00Z", 3);
    assert_eq!(found, ["2026-03-31T12:00:00+00:00", "2026-05-31T12:00:00+00:00", "2026-07-31T12:00:00+00:00"]);
    assert_eq!(
        ticks("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", 2),
        ["2028-02-29T00:00:00+00:00", "2032-02-29T00:00:00+00:00"]
    );
    assert_eq!(ticks("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", 1), ["2104-02-29T00:00:00+00:00"]);
    assert!(ticks("0 0 30 2 *", "UTC", "2026-01-01T00:00:00Z", 1).is_empty());
}

#[test]
fn last_nearest_and_nth_days() {
    let after = "2026-01-15T00:00:00Z";
    let first = |cron| ticks(cron, "UTC", after, 2).into_iter().map(|tick| tick[..10].to_owned()).collect::<Vec<_>>();
    assert_eq!(first("0 0 L * *"), ["2026-01-31", "2026-02-28"]);
    assert_eq!(first("0 0 LW * *"), ["2026-01-30", "2026-02-27"]);
    assert_eq!(first("0 0 15W 2,3 *"), ["2026-02-16", "2026-03-16"]);
    assert_eq!(first("0 0 * * TUE#2"), ["2026-02-10", "2026-03-10"]);
    assert_eq!(first("0 0 * * FRI#L"), ["2026-01-30", "2026-02-27"]);
}

#[test]
fn a_fixed_time_in_the_gap_of_spring_fires_right_after_it() {
    // Berlin goes from 02:00 to 03:00 on 29 March 2026.
    assert_eq!(
        ticks("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", 3),
        ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
    );
    // New York goes from 02:00 to 03:00 on 8 March 2026.
    assert_eq!(
        ticks("0 0 2 * * *", "America/New_York", "2026-03-08T05:00:00Z", 2),
        ["2026-03-08T03:00:00-04:00", "2026-03-09T02:00:00-04:00"]
    );
}

#[test]
fn an_interval_in_the_gap_of_spring_is_passed_over() {
    assert_eq!(
        ticks("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:15:00Z", 3),
        ["2026-03-29T01:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"]
    );
}

#[test]
fn a_fixed_time_in_the_overlap_of_autumn_fires_once() {
    // Berlin goes from 03:00 back to 02:00 on 25 October 2026.
    assert_eq!(
        ticks("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
    );
    // Also for those who look between the two.
    assert_eq!(ticks("30 2 * * *", "Europe/Berlin", "2026-10-25T00:45:00Z", 1), ["2026-10-26T02:30:00+01:00"]);
}

#[test]
fn an_interval_in_the_overlap_of_autumn_goes_on_in_real_time() {
    assert_eq!(
        ticks("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:45:00Z", 6),
        [
            "2026-10-25T02:00:00+02:00",
            "2026-10-25T02:30:00+02:00",
            "2026-10-25T02:00:00+01:00",
            "2026-10-25T02:30:00+01:00",
            "2026-10-25T03:00:00+01:00",
            "2026-10-25T03:30:00+01:00"
        ]
    );
}

#[test]
fn zones_that_change_by_half_an_hour_or_are_odd() {
    // Lord Howe Island goes from 02:00 to 02:30 on 4 October 2026, and from 02:00 back to 01:30 on 5 April 2026.
    assert_eq!(
        ticks("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", 2),
        ["2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"]
    );
    assert_eq!(
        ticks("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", 2),
        ["2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"]
    );
    assert_eq!(
        ticks("*/15 * * * *", "Australia/Lord_Howe", "2026-04-04T14:29:00Z", 5),
        [
            "2026-04-05T01:30:00+11:00",
            "2026-04-05T01:45:00+11:00",
            "2026-04-05T01:30:00+10:30",
            "2026-04-05T01:45:00+10:30",
            "2026-04-05T02:00:00+10:30"
        ]
    );
    assert_eq!(ticks("0 9 * * *", "Asia/Kathmandu", "2026-01-01T00:00:00Z", 1), ["2026-01-01T09:00:00+05:45"]);
    // Samoa had no 30 December 2011.
    let samoa = ticks("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", 2);
    assert_eq!(samoa, ["2011-12-29T12:00:00-10:00", "2011-12-31T12:00:00+14:00"]);
}

#[test]
fn zones_are_iana_names() {
    for name in ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"] {
        assert_eq!(name.parse::<Zone>().unwrap().as_str(), name);
    }
    for wrong in ["", "Berlin", "UTC+2", "+02:00", "Europe/Atlantis"] {
        assert!(wrong.parse::<Zone>().is_err(), "`{wrong}` was taken");
    }
    assert!(time_zones().iter().any(|name| name == "Europe/Berlin"));
}

#[test]
fn jitter_is_chance_but_always_the_same_and_before_the_next_tick() {
    let key: Key = "nightly".parse().unwrap();
    let id = TriggerId::from_key(&key);
    let jittered = |cron| Schedule { jitter: Duration::from_secs(600), ..schedule(cron, "UTC") };
    let daily = jittered("0 2 * * *");
    let start = at("2026-01-01T00:00:00Z");
    let late: Vec<Duration> =
        daily.next_firings(start, 200).into_iter().map(|tick| daily.fires_at(id, tick).since(tick)).collect();
    let again: Vec<Duration> =
        daily.next_firings(start, 200).into_iter().map(|tick| daily.fires_at(id, tick).since(tick)).collect();
    assert_eq!(late, again);
    assert!(late.iter().all(|late| *late < Duration::from_secs(600)));
    let early = late.iter().filter(|late| **late < Duration::from_secs(300)).count();
    assert!((70..=130).contains(&early), "{early} of 200 in the first half");
    let other = TriggerId::from_key(&"other".parse().unwrap());
    let tick = daily.next_after(start).unwrap();
    assert_ne!(daily.fires_at(id, tick), daily.fires_at(other, tick));
    let minutely = jittered("* * * * *");
    let times: Vec<Timestamp> =
        minutely.next_firings(start, 500).into_iter().map(|tick| minutely.fires_at(id, tick)).collect();
    assert!(times.is_sorted(), "later ticks fire later");
}

proptest! {
    #[test]
    fn ticks_ascend_and_match_in_every_zone(
        zone in proptest::sample::select(time_zones()),
        cron in proptest::sample::select(vec![
            "* * * * *", "*/7 * * * *", "30 2 * * *", "0 0 * * *", "15 1,2,3 * * SUN", "0 0 L * *", "*/45 59 23 * * *",
        ]),
        start in 0_i64..4_102_444_800,
    ) {
        let schedule = schedule(cron, &zone);
        let start = Timestamp::from_micros(start * 1_000_000 + 1);
        let found = schedule.next_firings(start, 20);
        prop_assert_eq!(found.len(), 20);
        prop_assert!(found.first().is_some_and(|tick| *tick > start));
        prop_assert!(found.is_sorted_by(|one, next| one < next), "{:?}", found);
        for tick in &found {
            prop_assert!(schedule.is_tick(*tick), "{} is no tick", Schedule::name_of(*tick));
        }
        // Looking from between two ticks finds the later one.
        for pair in found.windows(2) {
            let between = Timestamp::from_micros(pair[1].as_micros() - 1);
            prop_assert_eq!(schedule.next_after(between), Some(pair[1]));
        }
    }
}
