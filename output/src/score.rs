//! How good an answer is by what a program can decide: the items of the template's checklist that say how they are checked,
//! and what holds of every good answer.
//!
//! Words are runs of letters and digits; headings, lists, tables and programs are those of Markdown; texts are compared
//! whatever their case.

use domain::FinishReason;
use domain::task::{Checked, Quality, Score};
use domain::template::{Check, TemplateBody};
use serde_json::Value;

use crate::direction::Direction;
use crate::prose::{Block, Span, parse};

/// An answer, as it is checked.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// What was asked for, as Markdown.
    pub text: &'a str,
    /// Why the model stopped.
    pub finish: &'a FinishReason,
    /// The template's parameters.
    pub parameters: &'a Value,
    /// Whether there is structured data that fits the template's output schema; `None` when the template has none.
    pub fits: Option<bool>,
    /// Whether every part is there; `None` when only the answer was asked for.
    pub complete: Option<bool>,
}

/// Checks an answer; `None` when the template's checklist has nothing that a program can decide, because what holds of
/// every answer says too little.
#[must_use]
pub fn quality(template: &TemplateBody, answer: Answer<'_>) -> Option<Quality> {
    if template.checklist.iter().all(|item| item.check.is_none()) {
        return None;
    }
    let counts = Counts::of(answer.text);
    let mut checks = vec![
        Checked {
            item: None,
            what: "the answer was not cut off".to_owned(),
            holds: *answer.finish != FinishReason::Length && *answer.finish != FinishReason::ContentFilter,
        },
        Checked { item: None, what: "the answer says something".to_owned(), holds: counts.words > 0 },
    ];
    let general = |what: &str, holds: Option<bool>| Some(Checked { item: None, what: what.to_owned(), holds: holds? });
    checks.extend(general("every part that was asked for is there", answer.complete));
    checks.extend(general(
        "the answer is written as the language asked for is",
        is_in_script(&counts, answer.parameters),
    ));
    for (item, entry) in (0_u32..).zip(&template.checklist) {
        if let Some(check) = &entry.check {
            let holds = holds(check, &counts, answer);
            checks.push(Checked { item: Some(item), what: entry.text.en.clone(), holds });
        }
    }
    let count = |checks: usize| u32::try_from(checks).unwrap_or(u32::MAX);
    let score = Score::of_share(count(checks.iter().filter(|check| check.holds).count()), count(checks.len()))?;
    Some(Quality { score, checks })
}

fn holds(check: &Check, counts: &Counts, answer: Answer<'_>) -> bool {
    let has = |text: &str| counts.text.contains(&text.trim().to_lowercase());
    match check {
        Check::MinWords(least) => counts.words >= *least,
        Check::MaxWords(most) => counts.words <= *most,
        Check::ContainsHeading(heading) => {
            let wanted =
                [Some(&heading.en), heading.ar.as_ref()].into_iter().flatten().map(|text| text.trim().to_lowercase());
            wanted.into_iter().any(|wanted| counts.headings.iter().any(|heading| heading.contains(&wanted)))
        }
        Check::MinHeadings(least) => u32::try_from(counts.headings.len()).unwrap_or(u32::MAX) >= *least,
        Check::MinListItems(least) => counts.items >= *least,
        Check::MaxListItems(most) => counts.items <= *most,
        Check::MinTableRows(least) => counts.rows >= *least,
        Check::ContainsCodeBlock => counts.programs > 0,
        Check::Mentions(name) => match answer.parameters.get(name) {
            Some(Value::Array(values)) => values.iter().all(|value| has(&plain(value))),
            // What was not given cannot be mentioned.
            None | Some(Value::Null) => true,
            Some(value) => has(&plain(value)),
        },
        Check::ContainsAny(texts) => texts.iter().any(|text| has(text)),
        Check::Omits(texts) => !texts.iter().any(|text| has(text)),
        Check::FitsOutputSchema => answer.fits == Some(true),
    }
}

/// Whether the prose goes the way in which the language goes that the parameter `answer_language` names; `None` when it names
/// none of which that is known, or there is no prose.
fn is_in_script(counts: &Counts, parameters: &Value) -> Option<bool> {
    const LEFT_TO_RIGHT: [&str; 10] =
        ["english", "french", "german", "spanish", "italian", "portuguese", "dutch", "turkish", "indonesian", "malay"];
    const RIGHT_TO_LEFT: [&str; 7] = ["arabic", "العربية", "hebrew", "persian", "farsi", "urdu", "pashto"];
    let asked = parameters.get(TemplateBody::ANSWER_LANGUAGE)?.as_str()?.trim().to_lowercase();
    let wanted = if RIGHT_TO_LEFT.contains(&asked.as_str()) {
        Direction::RightToLeft
    } else if LEFT_TO_RIGHT.contains(&asked.as_str()) {
        Direction::LeftToRight
    } else {
        return None;
    };
    Some(Direction::of(&counts.prose)? == wanted)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What there is in an answer.
#[derive(Debug, Default)]
struct Counts {
    /// All of it, in lower case.
    text: String,
    /// What of it is neither a program nor data.
    prose: String,
    words: u32,
    headings: Vec<String>,
    items: u32,
    /// The rows of the longest table.
    rows: u32,
    programs: u32,
}

impl Counts {
    fn of(text: &str) -> Self {
        let mut counts = Self { text: text.to_lowercase(), ..Self::default() };
        counts.blocks(&parse(text, 1));
        counts
    }

    fn blocks(&mut self, blocks: &[Block]) {
        for block in blocks {
            match block {
                Block::Heading { spans, .. } => {
                    let heading = self.spans(spans);
                    self.headings.push(heading.to_lowercase());
                }
                Block::Paragraph(spans) => drop(self.spans(spans)),
                Block::Code { text, .. } => {
                    self.programs = self.programs.saturating_add(1);
                    self.count(text);
                }
                Block::Quote(blocks) => self.blocks(blocks),
                Block::List { items, .. } => {
                    self.items = self.items.saturating_add(u32::try_from(items.len()).unwrap_or(u32::MAX));
                    items.iter().for_each(|item| self.blocks(&item.blocks));
                }
                Block::Table(table) => {
                    self.rows = self.rows.max(u32::try_from(table.rows.len()).unwrap_or(u32::MAX));
                    table.head.iter().chain(table.rows.iter().flatten()).for_each(|cell| drop(self.spans(cell)));
                }
                Block::Rule => {}
            }
        }
    }

    fn spans(&mut self, spans: &[Span]) -> String {
        let text: String = spans.iter().map(|span| span.text.as_str()).collect();
        self.count(&text);
        self.prose.push_str(&text);
        self.prose.push(' ');
        text
    }

    fn count(&mut self, text: &str) {
        let words = text.split(char::is_whitespace).filter(|word| word.chars().any(char::is_alphanumeric)).count();
        self.words = self.words.saturating_add(u32::try_from(words).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use domain::task::{Output, Rating};
    use domain::template::ChecklistItem;
    use domain::{Bilingual, Key};
    use serde_json::json;

    use super::*;

    fn general(text: &str, parameters: &Value, complete: Option<bool>) -> Vec<(String, bool)> {
        let key: Key = "echo".parse().unwrap();
        let item = ChecklistItem { text: Bilingual::from("long enough"), check: Some(Check::MinWords(1)) };
        let template = TemplateBody { checklist: vec![item], ..TemplateBody::new(key, "Echo", json!({}), "Say it.") };
        let answer = Answer { text, finish: &FinishReason::Stop, parameters, fits: None, complete };
        let quality = quality(&template, answer).unwrap();
        let checks = quality.checks.into_iter().filter(|check| check.item.is_none()).skip(2);
        checks.map(|check| (check.what, check.holds)).collect()
    }

    #[test]
    fn the_language_that_was_asked_for_shows_in_the_letters() {
        let cases = [
            ("English", "All is well.", Some(true)),
            ("english ", "كل شيء على ما يرام", Some(false)),
            ("Arabic", "كل شيء على ما يرام", Some(true)),
            ("Arabic", "All is well.", Some(false)),
            (
                "Arabic",
                "النتيجة:\n\n```rust\nfn main() { println!(\"a long program in Latin letters\"); }\n```",
                Some(true),
            ),
            ("Quenya", "All is well.", None),
            ("Arabic", "2026", None),
        ];
        for (language, text, holds) in cases {
            let told = general(text, &json!({ "answer_language": language }), None);
            assert_eq!(told.first().map(|(_, holds)| *holds), holds, "{language}: {text}");
        }
        assert!(general("All is well.", &json!({}), None).is_empty(), "nobody asked for a language");
    }

    #[test]
    fn a_part_that_is_missing_counts() {
        let whole = Output {
            summary: Some("x".to_owned()),
            critique: Some("x".to_owned()),
            improvements: Some(vec![]),
            alternatives: Some(vec![]),
            actions: Some(vec![]),
            rating: Some(Rating { score: Score::of_share(1, 2).unwrap(), parts: vec![] }),
            ..Output::default()
        };
        assert!(whole.is_complete());
        assert!(!Output { actions: None, ..whole }.is_complete());
        for complete in [true, false] {
            assert_eq!(
                general("x", &json!({}), Some(complete)),
                [("every part that was asked for is there".to_owned(), complete)]
            );
        }
    }
}
