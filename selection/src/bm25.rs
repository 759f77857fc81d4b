//! BM25F (Robertson, Zaragoza and Taylor 2004): one score over fields that count differently.
//!
//! The counts of a term in the fields of an entry are weighted and put into relation to the length of each field before
//! they are added up and dampened, so a word that stands in five fields is no five words.

use std::collections::HashMap;

/// How soon repeating a term stops to count.
const K1: f32 = 1.2;
/// How far the length of a field counts.
const B: f32 = 0.6;

/// A field of an entry: how much it counts, and its terms.
pub(crate) struct Field {
    pub(crate) weight: f32,
    pub(crate) terms: Vec<String>,
}

/// The terms of all entries.
pub(crate) struct Index {
    entries: usize,
    /// Per term, in which entries it stands, and its weighted and normalised count there.
    postings: HashMap<String, Vec<(usize, f32)>>,
}

impl Index {
    /// Of entries that all have the same fields in the same order.
    pub(crate) fn new(entries: Vec<Vec<Field>>) -> Self {
        let averages = average_lengths(&entries);
        let count = entries.len();
        let mut postings: HashMap<String, Vec<(usize, f32)>> = HashMap::new();
        for (entry, fields) in entries.into_iter().enumerate() {
            let mut counts: HashMap<String, f32> = HashMap::new();
            for (field, average) in fields.into_iter().zip(&averages) {
                let relative = if *average > 0.0 { length(&field.terms) / average } else { 1.0 };
                let once = field.weight / (1.0 - B + B * relative);
                for term in field.terms {
                    *counts.entry(term).or_default() += once;
                }
            }
            for (term, count) in counts {
                postings.entry(term).or_default().push((entry, count));
            }
        }
        Self { entries: count, postings }
    }

    /// Calls back with each entry that a term stands in, and what it adds to the entry's score.
    pub(crate) fn matches(&self, term: &str, mut found: impl FnMut(usize, f32)) {
        let Some(postings) = self.postings.get(term) else { return };
        let rarity = self.rarity(postings.len());
        for (entry, count) in postings {
            found(*entry, rarity * count * (K1 + 1.0) / (K1 + count));
        }
    }

    /// How rare a term is, and whether it stands in an entry. What stands nowhere is as rare as can be.
    pub(crate) fn rarity_and_has(&self, term: &str, entry: usize) -> (f32, bool) {
        match self.postings.get(term) {
            None => (self.rarity(0), false),
            Some(postings) => (self.rarity(postings.len()), postings.iter().any(|(known, _)| *known == entry)),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "libraries have far fewer than 2^23 entries")]
    fn rarity(&self, having: usize) -> f32 {
        let (all, having) = (self.entries as f32, having as f32);
        (1.0 + (all - having + 0.5) / (having + 0.5)).ln()
    }
}

#[expect(clippy::cast_precision_loss, reason = "fields have far fewer than 2^23 terms")]
fn length(terms: &[String]) -> f32 {
    terms.len() as f32
}

/// The average length of each field, over the entries that have something in it.
fn average_lengths(entries: &[Vec<Field>]) -> Vec<f32> {
    let width = entries.iter().map(Vec::len).max().unwrap_or(0);
    let mut sums = vec![(0.0_f32, 0.0_f32); width];
    for fields in entries {
        for (field, (sum, count)) in fields.iter().zip(&mut sums) {
            if !field.terms.is_empty() {
                *sum += length(&field.terms);
                *count += 1.0;
            }
        }
    }
    sums.into_iter().map(|(sum, count)| if count > 0.0 { sum / count } else { 0.0 }).collect()
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn scores(entries: &[[(&str, f32); 2]], term: &str) -> Vec<f32> {
        let fields = |entry: &[(&str, f32); 2]| {
            entry
                .iter()
                .map(|(text, weight)| Field {
                    weight: *weight,
                    terms: text.split_whitespace().map(ToOwned::to_owned).collect(),
                })
                .collect()
        };
        let index = Index::new(entries.iter().map(fields).collect());
        let mut scores = vec![0.0; entries.len()];
        index.matches(term, |entry, score| scores[entry] += score);
        scores
    }

    #[test]
    fn a_weighty_field_counts_more_than_a_light_one() {
        let scores = scores(
            &[[("audit", 3.0), ("plan", 1.0)], [("plan", 3.0), ("audit", 1.0)], [("x", 3.0), ("y", 1.0)]],
            "audit",
        );
        assert!(scores[0] > scores[1] && scores[1] > 0.0 && scores[2] == 0.0, "{scores:?}");
    }

    #[test]
    fn the_same_word_counts_more_in_a_short_field() {
        let scores = scores(&[[("audit", 1.0), ("", 1.0)], [("audit a b c d e f g", 1.0), ("", 1.0)]], "audit");
        assert!(scores[0] > scores[1], "{scores:?}");
    }

    #[test]
    fn a_rare_word_counts_more_than_a_frequent_one() {
        let entries = [[("audit plan", 1.0), ("", 1.0)], [("plan x", 1.0), ("", 1.0)], [("plan y", 1.0), ("", 1.0)]];
        assert!(scores(&entries, "audit")[0] > scores(&entries, "plan")[0]);
    }
}
