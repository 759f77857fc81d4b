//! When a schedule fires. Cron patterns and their behaviour at changes of the clock come from `croner`, which follows
//! Vixie cron: docs/use/triggers.md says what that means.
//!
//! Time zones come from the database that is compiled into the program, never from the machine: the same event must mean
//! the same moments on every node.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use croner::parser::{CronParser, Year};
use jiff::Zoned;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

use crate::{Timestamp, TriggerId};

/// Text that is no cron pattern or time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSchedule(pub String);

macro_rules! schedule_text {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text, as written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Takes text that was checked when it was first written, such as one read back from the journal.
            #[must_use]
            pub fn trusted(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl FromStr for $name {
            type Err = InvalidSchedule;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $check(text).map(|_| Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidSchedule;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

schedule_text!(
    /// A cron pattern: minute, hour, day of the month, month and day of the week; with six fields, the second comes
    /// first.
    Cron,
    compile
);

schedule_text!(
    /// A time zone by its IANA name, such as `Europe/Berlin`.
    Zone,
    zone_of
);

/// The longest cron pattern, in bytes.
const MAX_PATTERN: usize = 256;

fn compile(pattern: &str) -> Result<croner::Cron, InvalidSchedule> {
    if pattern.len() > MAX_PATTERN {
        return Err(InvalidSchedule(format!("the cron pattern is longer than {MAX_PATTERN} bytes")));
    }
    let parser = CronParser::builder().year(Year::Disallowed).build();
    parser.parse(pattern).map_err(|error| InvalidSchedule(format!("`{pattern}` is no cron pattern: {error}")))
}

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

fn zone_of(name: &str) -> Result<TimeZone, InvalidSchedule> {
    ZONES.get(name).map_err(|_| {
        let shown: String = name.chars().take(80).collect();
        InvalidSchedule(format!("`{shown}` is no IANA time zone, such as `Europe/Berlin` or `UTC`"))
    })
}

/// The names of all time zones that a schedule may use.
#[must_use]
pub fn time_zones() -> Vec<String> {
    ZONES.available().map(|name| name.as_str().to_owned()).collect()
}

/// The next match after a moment. The library gives up where a clock jumps by more than two hours, as that of Samoa did
/// over a whole day; then the search goes on behind the jump.
fn next_occurrence(cron: &croner::Cron, mut start: Zoned) -> Option<Zoned> {
    const JUMPS: usize = 4;
    let mut inclusive = false;
    for _ in 0..JUMPS {
        if let Ok(found) = cron.find_next_occurrence(&start, inclusive) {
            return Some(found);
        }
        let jump = start.time_zone().following(start.timestamp()).next()?.timestamp();
        start = jump.to_zoned(start.time_zone().clone());
        inclusive = true;
    }
    None
}

/// Fires at times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// At which times.
    pub cron: Cron,
    /// On whose clock.
    pub zone: Zone,
    /// Each tick fires up to so much later, but before the next one; by how much follows from the trigger and the tick.
    pub jitter: Duration,
    /// Ticks that could not fire in time, because no node was there, still fire if they are not older than this.
    pub catch_up: Duration,
}

impl Schedule {
    /// The longest jitter: 1 h.
    pub const MAX_JITTER: Duration = Duration::from_secs(3600);
    /// The shortest catch-up window: 10 s. With less, a busy moment would be taken for an outage.
    pub const MIN_CATCH_UP: Duration = Duration::from_secs(10);
    /// The longest catch-up window: 31 days.
    pub const MAX_CATCH_UP: Duration = Duration::from_secs(31 * 24 * 3600);
    /// The catch-up window of those who do not say: 1 h.
    pub const CATCH_UP: Duration = Duration::from_secs(3600);

    /// Without jitter, with the usual catch-up window.
    #[must_use]
    pub fn new(cron: Cron, zone: Zone) -> Self {
        Self { cron, zone, jitter: Duration::ZERO, catch_up: Self::CATCH_UP }
    }

    /// The ticks after a moment, in their order; none when the pattern or the zone cannot be read any more.
    pub fn ticks_after(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> + use<> {
        let found = compile(self.cron.as_str()).ok().zip(zone_of(self.zone.as_str()).ok());
        let mut at = after;
        std::iter::from_fn(move || {
            let (cron, zone) = found.as_ref()?;
            let start = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?.to_zoned(zone.clone());
            let next = next_occurrence(cron, start)?;
            let next = Timestamp::from_micros(next.timestamp().as_microsecond());
            if next <= at {
                return None;
            }
            at = next;
            Some(next)
        })
    }

    /// The first `count` ticks after a moment, without jitter.
    #[must_use]
    pub fn next_firings(&self, after: Timestamp, count: usize) -> Vec<Timestamp> {
        self.ticks_after(after).take(count).collect()
    }

    /// The first tick after a moment.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        self.ticks_after(after).next()
    }

    /// Whether a moment is one of its ticks.
    #[must_use]
    pub fn is_tick(&self, at: Timestamp) -> bool {
        self.next_after(Timestamp::from_micros(at.as_micros().saturating_sub(1))) == Some(at)
    }

    /// When a tick fires: the tick itself, plus its jitter. Later ticks never fire before earlier ones.
    #[must_use]
    pub fn fires_at(&self, trigger: TriggerId, tick: Timestamp) -> Timestamp {
        if self.jitter.is_zero() {
            return tick;
        }
        let gap = self.next_after(tick).map_or(self.jitter, |next| next.since(tick));
        let most = self.jitter.min(gap).as_micros();
        let mut hasher = blake3::Hasher::new_derive_key("hishamos 2026 jitter of a trigger's tick");
        hasher.update(trigger.as_uuid().as_bytes());
        hasher.update(&tick.as_micros().to_le_bytes());
        let mut chance = [0; 8];
        hasher.finalize_xof().fill(&mut chance);
        // Below `most`, because the chance is below 2 to the 64th.
        let late = (u128::from(u64::from_le_bytes(chance)) * most) >> 64;
        tick.plus(Duration::from_micros(u64::try_from(late).unwrap_or(0)))
    }

    /// The name of a tick, in causes and to people: RFC 3339, in UTC.
    #[must_use]
    pub fn name_of(tick: Timestamp) -> String {
        match jiff::Timestamp::from_microsecond(tick.as_micros()) {
            Ok(at) => at.to_string(),
            Err(_) => tick.as_micros().to_string(),
        }
    }

    /// A tick on the clock of the schedule: date and time with its offset, such as `2026-03-29T03:30:00+02:00`, and the
    /// date alone.
    #[must_use]
    pub fn local(&self, tick: Timestamp) -> Option<(String, String)> {
        let zone = zone_of(self.zone.as_str()).ok()?;
        let at = jiff::Timestamp::from_microsecond(tick.as_micros()).ok()?.to_zoned(zone);
        let offset = at.timestamp().display_with_offset(at.offset());
        Some((offset.to_string(), at.date().to_string()))
    }
}
