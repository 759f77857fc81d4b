use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::checksum::{digits, french, iban, italian, luhn, spanish, verhoeff, weighted};

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// API keys, passwords beside their names, private keys, tokens.
    Secret,
    /// E-mail addresses.
    Email,
    /// Telephone numbers.
    Phone,
    /// Numbers of payment cards.
    Card,
    /// International bank account numbers.
    Iban,
    /// National ids: of the United States, the United Kingdom, France, Spain, Italy, Poland, India, Egypt, Saudi Arabia
    /// and the United Arab Emirates.
    NationalId,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::Secret, Self::Email, Self::Phone, Self::Card, Self::Iban, Self::NationalId];

    /// The name in placeholders.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Secret => "SECRET",
            Self::Email => "EMAIL",
            Self::Phone => "PHONE",
            Self::Card => "CARD",
            Self::Iban => "IBAN",
            Self::NationalId => "NATIONAL_ID",
        }
    }

    /// The kind of a name as configuration has it, such as `national-id`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.label().to_ascii_lowercase().replace('_', "-") == name)
    }
}

struct Pattern {
    kind: Kind,
    regex: Regex,
    /// The group that is the value; 0 for the whole match.
    group: usize,
    /// Whether a match is really one; sees the value and what stands before it.
    real: fn(&str, &str) -> bool,
}

/// Every place of these kinds; they may overlap.
pub(super) fn find(text: &str, kinds: &[Kind]) -> Vec<(Range<usize>, Kind)> {
    let (plain, places) = western_digits(text);
    let mut found = Vec::new();
    for pattern in PATTERNS.iter().filter(|pattern| kinds.contains(&pattern.kind)) {
        let mut from = 0;
        while let Some(captures) = pattern.regex.captures_at(&plain, from) {
            let Some(value) = captures.get(pattern.group).filter(|value| !value.is_empty()) else { break };
            let before = plain.get(..value.start()).unwrap_or_default();
            if (pattern.real)(value.as_str(), before) && standing_alone(&plain, value.range(), pattern.kind) {
                let place = |at: usize| places.as_ref().map_or(Some(at), |places| places.get(at).copied());
                if let (Some(start), Some(end)) = (place(value.start()), place(value.end())) {
                    found.push((start..end, pattern.kind));
                }
                from = value.end();
            } else {
                // A real one may begin within what only looked like one.
                from = value.start() + value.as_str().chars().next().map_or(1, char::len_utf8);
            }
        }
    }
    found
}

/// The text with Arabic and Persian digits as Western ones, and for each byte of it the byte of the original, one more
/// at the end; `None` when nothing had to be changed.
fn western_digits(text: &str) -> (std::borrow::Cow<'_, str>, Option<Vec<usize>>) {
    let western = |c: char| match c {
        '٠'..='٩' => char::from_digit(u32::from(c) - u32::from('٠'), 10),
        '۰'..='۹' => char::from_digit(u32::from(c) - u32::from('۰'), 10),
        _ => None,
    };
    if !text.chars().any(|c| western(c).is_some()) {
        return (text.into(), None);
    }
    let (mut plain, mut places) = (String::with_capacity(text.len()), Vec::with_capacity(text.len() + 1));
    for (at, c) in text.char_indices() {
        let shown = western(c).unwrap_or(c);
        plain.push(shown);
        places.extend((0..shown.len_utf8()).map(|offset| at + offset));
    }
    places.push(text.len());
    (plain.into(), Some(places))
}

/// A number within a longer one is none.
fn standing_alone(text: &str, range: Range<usize>, kind: Kind) -> bool {
    if matches!(kind, Kind::Secret | Kind::Email) {
        return true;
    }
    let word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let before = text.get(..range.start).and_then(|before| before.chars().next_back());
    let after = text.get(range.end..).and_then(|after| after.chars().next());
    !word(before) && !word(after)
}

fn always(_: &str, _: &str) -> bool {
    true
}

fn card(value: &str, _: &str) -> bool {
    let digits = digits(value);
    // What cards begin with: 2 to 6.
    (13..=19).contains(&digits.len()) && matches!(digits.first(), Some(2..=6)) && luhn(&digits)
}

fn phone(value: &str, before: &str) -> bool {
    let count = digits(value).len();
    // What follows `#`, `=` or a word for a number is an order, a ticket, a port.
    (9..=15).contains(&count) && !before.ends_with(['#', '=', '/', '.', '-'])
}

fn american(value: &str, _: &str) -> bool {
    let digits = digits(value);
    let number = |digits: &[u32]| digits.iter().fold(0, |number, digit| number * 10 + digit);
    let [area, group, serial] =
        [digits.get(..3), digits.get(3..5), digits.get(5..9)].map(|part| part.map_or(0, number));
    area != 0 && area != 666 && area < 900 && group != 0 && serial != 0
}

fn date(month: u32, day: u32) -> bool {
    (1..=12).contains(&month) && (1..=31).contains(&day)
}

fn two(digits: &[u32], at: usize) -> u32 {
    digits.get(at).copied().unwrap_or(0) * 10 + digits.get(at + 1).copied().unwrap_or(0)
}

/// Century, date of birth, governorate.
fn egyptian(value: &str, _: &str) -> bool {
    let digits = digits(value);
    let governorate = two(&digits, 7);
    date(two(&digits, 3), two(&digits, 5)) && ((1..=35).contains(&governorate) || governorate == 88)
}

fn polish(value: &str, _: &str) -> bool {
    let digits = digits(value);
    date(two(&digits, 2) % 20, two(&digits, 4)) && weighted(&digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1], 10)
}

/// Ten digits are too common by themselves, so a word for it must stand before them.
fn saudi(value: &str, before: &str) -> bool {
    let near: String = before.chars().rev().take(40).collect::<Vec<_>>().into_iter().rev().collect();
    let near = near.to_lowercase();
    let words = ["iqama", "national id", "id number", "هوية", "إقامة", "اقامة"];
    luhn(&digits(value)) && words.iter().any(|word| near.contains(word))
}

/// A value beside the name of a secret; a placeholder or a sentence is none.
fn assigned(value: &str, _: &str) -> bool {
    let kinds =
        [char::is_lowercase as fn(char) -> bool, char::is_uppercase, char::is_numeric, |c| !c.is_alphanumeric()];
    let mixed = kinds.iter().filter(|kind| value.chars().any(kind)).count() >= 2;
    mixed && !value.starts_with(['$', '<', '{', '*', '['])
}

/// Of two kinds for the same place the one that comes first here wins.
static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    use Kind::{Card, Email, Iban, NationalId, Phone, Secret};
    type Row = (Kind, &'static str, usize, fn(&str, &str) -> bool);
    let rows: [Row; 28] = [
        (
            Secret,
            r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----",
            0,
            always,
        ),
        // OpenAI, Anthropic, OpenRouter, Stripe and those who copy them.
        (Secret, r"\b(?:sk|rk|pk)[-_](?:[A-Za-z0-9]+[-_])*[A-Za-z0-9_-]{16,}", 0, always),
        (Secret, r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{40,})", 0, always),
        (Secret, r"\bglpat-[A-Za-z0-9_-]{20,}", 0, always),
        (Secret, r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}", 0, always),
        (Secret, r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", 0, always),
        (Secret, r"\bAIza[0-9A-Za-z_-]{35}", 0, always),
        (Secret, r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}", 0, always),
        (Secret, r"\b(?i:bearer)\s+([A-Za-z0-9._~+/-]{20,}=*)", 1, always),
        (
            Secret,
            r#"(?i)\b(?:password|passwd|pwd|secret|api[_-]?key|access[_-]?key|auth[_-]?token|client[_-]?secret)["']?\s*[:=]\s*["']?([^\s"',;]{8,})"#,
            1,
            assigned,
        ),
        (Secret, r"\b[a-z][a-z0-9+.-]*://[^\s/:@]+:([^\s/@]+)@", 1, always),
        (
            Email,
            r"(?i)[a-z0-9][a-z0-9._%+'-]*@[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+",
            0,
            always,
        ),
        (Iban, r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b", 0, |value, _| iban(value)),
        (NationalId, r"\b\d{3}-\d{2}-\d{4}\b", 0, american),
        (NationalId, r"\b[ABCEGHJ-PRSTW-Z][ABCEGHJ-NPRSTW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b", 0, always),
        (NationalId, r"\b[12] ?\d{2} ?[0-9]{2} ?\d{2} ?\d{3} ?\d{3} ?\d{2}\b", 0, |value, _| french(&digits(value))),
        (NationalId, r"\b(?:\d{8}|[XYZ]\d{7})-?[A-Z]\b", 0, |value, _| spanish(value)),
        (NationalId, r"\b[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]\b", 0, |value, _| italian(value)),
        (NationalId, r"\b[23]\d{13}\b", 0, egyptian),
        (NationalId, r"\b784-?\d{4}-?\d{7}-?\d\b", 0, |value, _| luhn(&digits(value))),
        (NationalId, r"\b[2-9]\d{3}[ -]\d{4}[ -]\d{4}\b", 0, |value, _| verhoeff(&digits(value))),
        (NationalId, r"\b\d{11}\b", 0, polish),
        (NationalId, r"\b[12]\d{9}\b", 0, saudi),
        (Card, r"\b\d{4}[ -]?\d{4}[ -]?\d{4}[ -]?\d{1,7}\b", 0, card),
        (Card, r"\b3\d{3}[ -]?\d{6}[ -]?\d{5}\b", 0, card),
        (Phone, r"(?:\+|\b00)[1-9]\d{0,2}(?:[ .\-/]?\(?\d{1,4}\)?){2,6}\b", 0, phone),
        (Phone, r"\(\d{3}\) ?\d{3}[-. ]\d{4}\b|\b\d{3}[-.]\d{3}[-.]\d{4}\b", 0, phone),
        (Phone, r"\b0[1-9]\d{0,4}(?: ?[/\-] ?| )\d{2,8}(?:[ \-]\d{2,6}){0,3}\b", 0, phone),
    ];
    rows.into_iter()
        .filter_map(|(kind, regex, group, real)| Some(Pattern { kind, regex: Regex::new(regex).ok()?, group, real }))
        .collect()
});

#[cfg(test)]
mod tests {
    use super::PATTERNS;

    #[test]
    fn every_pattern_is_one() {
        assert_eq!(PATTERNS.len(), 28);
    }
}
