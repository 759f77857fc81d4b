use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan, Zoned};
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Within which time a budget holds. Windows begin at round moments in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// An hour, from minute 0.
    Hour,
    /// A day, from midnight.
    Day,
    /// A week, from Monday.
    Week,
    /// A calendar month.
    Month,
    /// For ever.
    Ever,
}

impl Window {
    /// Every window.
    pub const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Ever];

    /// The stable snake_case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Ever => "ever",
        }
    }

    /// When the window that holds a moment began. What is outside the years that a calendar has is in a window of its
    /// own.
    #[must_use]
    pub fn start(self, at: Timestamp) -> Timestamp {
        self.bounds(at).map_or(Timestamp::from_micros(0), |(start, _)| start)
    }

    /// When the next window begins; `None` when there is none.
    #[must_use]
    pub fn end(self, at: Timestamp) -> Option<Timestamp> {
        self.bounds(at).map(|(_, end)| end)
    }

    fn bounds(self, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let now = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?.to_zoned(TimeZone::UTC);
        let moment = |at: &Zoned| Timestamp::from_micros(at.timestamp().as_microsecond());
        let (start, end) = match self {
            Self::Hour => {
                // Whole hours since midnight.
                let day = now.start_of_day().ok()?;
                let hours = now.duration_since(&day).as_hours();
                let start = day.checked_add(SignedDuration::from_hours(hours)).ok()?;
                let end = start.checked_add(SignedDuration::from_hours(1)).ok()?;
                (start, end)
            }
            Self::Day => {
                let start = now.start_of_day().ok()?;
                let end = start.checked_add(1.day()).ok()?;
                (start, end)
            }
            Self::Week => {
                let back = i64::from(now.weekday().since(Weekday::Monday));
                let start = now.start_of_day().ok()?.checked_sub(back.days()).ok()?;
                let end = start.checked_add(1.week()).ok()?;
                (start, end)
            }
            Self::Month => {
                let start = now.first_of_month().ok()?.start_of_day().ok()?;
                let end = start.checked_add(1.month()).ok()?;
                (start, end)
            }
            Self::Ever => return None,
        };
        Some((moment(&start), moment(&end)))
    }
}
