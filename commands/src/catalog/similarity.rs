//! How much the instructions of templates resemble each other.
//!
//! *Wording* is containment of word 5-grams: of the shorter text's sequences of five words, the share that the other
//! has too (Broder, "On the resemblance and containment of documents", 1997). Copies with a few words exchanged have
//! much in common, independent texts next to nothing. *Words* is the cosine of TF-IDF vectors over titles,
//! descriptions and instructions: what is about the same things in other words. The first is a rule of our own
//! catalogue, the second only a hint for readers.

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::Key;
use domain::template::TemplateBody;
use serde::Serialize;

use super::Catalog;

/// How many words make a sequence.
const SEQUENCE: usize = 5;
/// Texts with fewer sequences are measured as if they had so many, because two short questions share a phrase soon.
const FEWEST: usize = 20;

/// Two templates and how similar they are, from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pair {
    /// The one.
    pub one: Key,
    /// The other.
    pub other: Key,
    /// How similar.
    pub share: f64,
}

/// The most similar pairs of templates, most similar first.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Similarity {
    /// By the wording of their instructions.
    pub wording: Vec<Pair>,
    /// By the words of their titles, descriptions and instructions.
    pub words: Vec<Pair>,
}

impl Catalog {
    /// The `most` most similar pairs of templates by each measure.
    #[must_use]
    pub fn similarity(&self, most: usize) -> Similarity {
        Similarity { wording: top(wording(&self.templates), most), words: top(words(&self.templates), most) }
    }
}

/// Every pair of templates whose instructions share a sequence of words.
pub(super) fn wording(templates: &[TemplateBody]) -> Vec<Pair> {
    let sequences: Vec<HashSet<String>> = templates
        .iter()
        .map(|body| {
            let words = words_of(&body.instructions);
            words.windows(SEQUENCE).map(|words| words.join(" ")).collect()
        })
        .collect();
    let mut holders: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, sequences) in sequences.iter().enumerate() {
        for sequence in sequences {
            holders.entry(sequence).or_default().push(index);
        }
    }
    let mut shared: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for holders in holders.values() {
        for (place, one) in holders.iter().enumerate() {
            for other in holders.iter().skip(place + 1) {
                *shared.entry((*one, *other)).or_default() += 1;
            }
        }
    }
    let length = |index: usize| sequences.get(index).map_or(0, HashSet::len);
    let pair = |((one, other), shared): ((usize, usize), usize)| {
        let shorter = length(one).min(length(other)).max(FEWEST);
        pair(templates, one, other, ratio(shared, shorter))
    };
    shared.into_iter().filter_map(pair).collect()
}

/// Every pair of templates with words in common that are not everybody's.
fn words(templates: &[TemplateBody]) -> Vec<Pair> {
    let counts: Vec<HashMap<String, usize>> = templates
        .iter()
        .map(|body| {
            let mut counts = HashMap::new();
            let texts = [&body.title.en, &body.description.en, &body.instructions];
            for word in texts.into_iter().flat_map(|text| words_of(text)).filter(|word| word.chars().count() > 2) {
                *counts.entry(word).or_default() += 1;
            }
            counts
        })
        .collect();
    let mut holders: HashMap<&str, usize> = HashMap::new();
    for word in counts.iter().flat_map(HashMap::keys) {
        *holders.entry(word).or_default() += 1;
    }
    let weight = |word: &str, count: usize| {
        let rarity = ratio(templates.len(), holders.get(word).copied().unwrap_or(1)).ln();
        (1.0 + ratio(count, 1).ln()) * rarity
    };
    let vectors: Vec<HashMap<&str, f64>> = counts
        .iter()
        .map(|counts| {
            let vector: HashMap<&str, f64> =
                counts.iter().map(|(word, count)| (word.as_str(), weight(word, *count))).collect();
            let length = vector.values().map(|weight| weight * weight).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
            vector.into_iter().map(|(word, weight)| (word, weight / length)).collect()
        })
        .collect();
    let mut pairs = Vec::new();
    for (index, one) in vectors.iter().enumerate() {
        for (place, other) in vectors.iter().enumerate().skip(index + 1) {
            let cosine = one.iter().filter_map(|(word, weight)| Some(weight * other.get(word)?)).sum::<f64>();
            pairs.extend((cosine > 0.0).then(|| pair(templates, index, place, cosine)).flatten());
        }
    }
    pairs
}

fn pair(templates: &[TemplateBody], one: usize, other: usize, share: f64) -> Option<Pair> {
    Some(Pair { one: templates.get(one)?.key.clone(), other: templates.get(other)?.key.clone(), share })
}

fn top(mut pairs: Vec<Pair>, most: usize) -> Vec<Pair> {
    pairs.sort_by(|one, other| {
        other.share.total_cmp(&one.share).then_with(|| (&one.one, &one.other).cmp(&(&other.one, &other.other)))
    });
    pairs.truncate(most);
    pairs
}

fn ratio(part: usize, whole: usize) -> f64 {
    let float = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    float(part) / float(whole)
}

/// The words of a text in lower case. Tags of the template language are no words; inserted names are.
pub(super) fn words_of(text: &str) -> Vec<String> {
    let mut prose = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once("{%") {
        prose.push_str(before);
        prose.push(' ');
        rest = tag.split_once("%}").map_or("", |(_, after)| after);
    }
    prose.push_str(rest);
    let words = prose.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(key: &str, instructions: &str) -> TemplateBody {
        TemplateBody::new(key.parse().unwrap(), key, json!({ "type": "object" }), instructions)
    }

    fn share(one: &str, other: &str) -> f64 {
        wording(&[template("a", one), template("b", other)]).first().map_or(0.0, |pair| pair.share)
    }

    const REVIEW: &str = "Read the contract clause by clause. For each clause say what it obliges us to do, by when, \
        and what happens when we do not. Mark every clause that lets the other side end the contract without a reason, \
        and say how often such a clause was enforced. End with the three clauses that you would negotiate first.";

    #[test]
    fn copies_with_words_exchanged_are_found() {
        assert!((share(REVIEW, REVIEW) - 1.0).abs() < 1e-9);
        let copy = REVIEW.replace("contract", "lease").replace("negotiate", "change");
        assert!(share(REVIEW, &copy) > 0.5, "{}", share(REVIEW, &copy));
        let longer = format!("{} {REVIEW}", "Before you begin ask who signed it and when that was. ".repeat(5));
        assert!(share(REVIEW, &longer) > 0.95);
    }

    #[test]
    fn texts_of_their_own_are_not() {
        let other = "List the risks of this project, most serious first. Give each a likelihood, an effect, an owner and \
            the next step, in a table. Say which of them would end the project, and by which sign you would notice first.";
        assert!(share(REVIEW, other) < 0.05);
        assert!(share("Say hello to the new colleague.", "Say hello to the new customer.") < 0.15);
    }

    #[test]
    fn tags_are_no_words_and_names_are() {
        assert_eq!(
            words_of("{% if a is defined -%}\nTo {{ who }}: Über-\n{% endif %}end"),
            ["to", "who", "über", "end"]
        );
        assert_eq!(words_of("open {% if"), ["open"]);
    }

    #[test]
    fn the_same_subject_in_other_words_shows() {
        let templates = [
            template("lease", "Review the lease of the warehouse: rent, deposit, repairs and notice period."),
            template("rent", "Which repairs, rent, deposit and notice does the warehouse lease impose on tenants?"),
            template("hello", "Greet a visitor."),
        ];
        let found = top(words(&templates), 3);
        let (first, rest) = found.split_first().unwrap();
        assert_eq!((first.one.as_str(), first.other.as_str()), ("lease", "rent"));
        assert!(first.share > 0.3 && rest.iter().all(|pair| pair.share < 0.1), "{found:?}");
    }
}
