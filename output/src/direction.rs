//! Which way a text goes.

use std::ops::RangeInclusive;

/// The way of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From left to right.
    LeftToRight,
    /// From right to left.
    RightToLeft,
}

/// Where Unicode has the scripts that are written from right to left: Hebrew, Arabic, Syriac, Thaana, N'Ko and others,
/// the presentation forms, and the blocks beyond the first plane that are set aside for such scripts.
const RIGHT_TO_LEFT: [RangeInclusive<char>; 5] = [
    '\u{0590}'..='\u{08FF}',
    '\u{FB1D}'..='\u{FDFF}',
    '\u{FE70}'..='\u{FEFF}',
    '\u{10800}'..='\u{10FFF}',
    '\u{1E800}'..='\u{1EFFF}',
];

impl Direction {
    /// The way that a text goes by its letters; `None` when it has none. Names and terms from other languages stand more
    /// often in Arabic texts than the other way round, so two letters in five are enough for right to left.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let (mut all, mut right) = (0_u64, 0_u64);
        for letter in text.chars().filter(|letter| letter.is_alphabetic()) {
            all += 1;
            right += u64::from(RIGHT_TO_LEFT.iter().any(|range| range.contains(&letter)));
        }
        if all == 0 {
            return None;
        }
        Some(if right.saturating_mul(5) >= all.saturating_mul(2) { Self::RightToLeft } else { Self::LeftToRight })
    }

    /// As HTML's `dir` has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LeftToRight => "ltr",
            Self::RightToLeft => "rtl",
        }
    }

    pub(crate) fn is_right_to_left(self) -> bool {
        self == Self::RightToLeft
    }
}

#[cfg(test)]
mod tests {
    use super::Direction;

    #[test]
    fn letters_decide() {
        assert_eq!(Direction::of("Quarterly report"), Some(Direction::LeftToRight));
        assert_eq!(Direction::of("تقرير الربع الثالث"), Some(Direction::RightToLeft));
        assert_eq!(Direction::of("استخدم PostgreSQL وKubernetes في البيئة الجديدة"), Some(Direction::RightToLeft));
        assert_eq!(Direction::of("The word سلام means peace"), Some(Direction::LeftToRight));
        assert_eq!(Direction::of("דוח רבעוני"), Some(Direction::RightToLeft));
        assert_eq!(Direction::of("2026-11 … 42 %"), None);
    }
}
