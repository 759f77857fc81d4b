//! The library of templates, made ready for search.
//!
//! How much each kind of evidence counts ([`Weights`]) was tuned on one half of the requests in `bench/choice`, drawn by
//! chance, and is measured on the other half (docs/benchmarks.md).

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};

use domain::template::TemplateBody;
use domain::{Bilingual, Capability, Key};
use serde::Serialize;
use serde_json::Value;

use crate::bm25::{Field, Index};
use crate::meaning::{Meaning, MeaningError, Vector, closeness};
use crate::words::{Analysed, Analyser, mostly_arabic};

/// What templates are found by.
const FIELDS: [&str; 9] =
    ["title", "tags", "description", "example", "parameters", "result", "department", "instructions", "asks"];

/// How people ask for each template: texts of either language, by the template's key.
pub type Asks = BTreeMap<Key, Vec<String>>;

/// The names of the fields by which templates are found, as they appear in [`Match::fields`].
#[must_use]
pub fn field_names() -> &'static [&'static str] {
    &FIELDS
}

/// How much each kind of evidence counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// Of each field, in the order of [`field_names`].
    pub fields: [f32; 9],
    /// What a template's words count more for which no way of asking is known, because it has fewer of them; 1 is the
    /// same.
    pub unasked: f32,
    /// Of pairs of neighbouring stems, where stems count 1.
    pub pairs: f32,
    /// Of what words stand for in either language, where stems count 1.
    pub concepts: f32,
    /// Of parts of words, where stems count 1.
    pub grams: f32,
    /// The share of meaning in the whole, 0 to 1; the words have the rest.
    pub meaning: f32,
    /// Within meaning: of the title, of title and description, of the example's request, and of the
    /// nearest way of asking.
    pub texts: [f32; 4],
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            fields: [3.15, 1.5, 1.5, 2.1, 0.525, 0.8, 0.5, 0.15, 2.0],
            unasked: 1.6,
            pairs: 0.7,
            concepts: 0.7,
            grams: 0.3,
            meaning: 0.4,
            texts: [0.3, 0.4, 0.3, 0.3],
        }
    }
}

/// What somebody asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// In their words, in English or Arabic or both.
    pub text: String,
    /// Only templates of this department.
    pub department: Option<String>,
}

impl Request {
    /// A request to the whole library.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), department: None }
    }
}

/// A word of the request that a template has as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Match {
    /// As it stands in the request.
    pub word: String,
    /// Where the template has it or another form of it.
    pub fields: Vec<&'static str>,
}

/// A template that may do what was asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    /// Its key.
    pub key: Key,
    /// How well it fits beside the others of the library, 0 to 1.
    pub score: f32,
    /// How well its words fit beside those of the others, 0 to 1.
    pub words: f32,
    /// How close its meaning is to the request's beside the others, 0 to 1; nothing without a model of meaning.
    pub meaning: Option<f32>,
    /// How much of the request it has, whatever others have: the share of the request's words, the rare ones counting
    /// more, that the template has too, or has another word for; 0 to 1.
    pub coverage: f32,
    /// How close its nearest text comes to the request, whatever others do: a cosine, -1 to 1; nothing without a model of
    /// meaning.
    pub closeness: Option<f32>,
    /// The words that it has in common with the request.
    pub matches: Vec<Match>,
}

impl Found {
    /// What a template must have of a request at least, to be thought to be about it. Nineteen in twenty of the requests of
    /// `bench/choice` have more in common with the template that is found for them first, while most requests for what no
    /// template does have less (a test holds both).
    pub const LEAST_COVERAGE: f32 = 0.3;
    /// How close a template's meaning must come to a request's at least, when its words do not say enough.
    pub const LEAST_CLOSENESS: f32 = 0.5;

    /// Whether it is about what was asked for at all, and not only nearer than others.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.coverage >= Self::LEAST_COVERAGE
            || self.closeness.is_some_and(|closeness| closeness >= Self::LEAST_CLOSENESS)
    }
}

/// A template as it is found.
struct Entry {
    key: Key,
    department: String,
    capability: Option<Capability>,
    /// The stems of each field.
    stems: Vec<HashSet<String>>,
    /// The vectors of the title, of title and description, and of the example, in each language there is, and of all
    /// ways of asking.
    vectors: [Vec<Vector>; 4],
    /// How people ask for it.
    asks: Vec<String>,
}

/// All templates, made ready for search.
pub struct Library {
    analyser: Analyser,
    weights: Weights,
    entries: Vec<Entry>,
    terms: Terms,
}

impl Library {
    /// Makes templates ready for search by words alone, all but those that are taken by name only.
    #[must_use]
    pub fn new<'a>(templates: impl IntoIterator<Item = &'a TemplateBody>, asks: &Asks, weights: Weights) -> Self {
        let analyser = Analyser::new();
        let (mut entries, mut texts) = (Vec::new(), Vec::new());
        for template in templates.into_iter().filter(|body| !body.is_by_name_only()) {
            let asks = asks.get(&template.key).cloned().unwrap_or_default();
            let mut analysed: Vec<Vec<Analysed>> = fields(template)
                .into_iter()
                .map(|texts| texts.iter().map(|text| analyser.analyse(text)).collect())
                .collect();
            let (arabic, english): (Vec<_>, Vec<_>) = asks.iter().cloned().partition(|ask| mostly_arabic(ask));
            analysed.push([english, arabic].iter().map(|texts| analyser.analyse(&texts.join(" "))).collect());
            entries.push(Entry {
                key: template.key.clone(),
                department: template.department.clone(),
                capability: template.capability,
                stems: analysed
                    .iter()
                    .map(|texts| texts.iter().flat_map(|text| text.stems.iter().cloned()).collect())
                    .collect(),
                vectors: Default::default(),
                asks,
            });
            texts.push(analysed);
        }
        let terms = Terms::of(&texts, &weights.fields);
        Self { analyser, weights, entries, terms }
    }

    /// Makes the same templates ready for search by meaning as well.
    ///
    /// # Errors
    /// When the model fails.
    pub fn with_meaning<'a>(
        mut self,
        templates: impl IntoIterator<Item = &'a TemplateBody>,
        model: &dyn Meaning,
    ) -> Result<Self, MeaningError> {
        let by_key: BTreeMap<&Key, &TemplateBody> = templates.into_iter().map(|body| (&body.key, body)).collect();
        for entry in &mut self.entries {
            let Some(template) = by_key.get(&entry.key) else { continue };
            let [titles, wholes, examples] = meaningful(template);
            let texts = [titles, wholes, examples, entry.asks.clone()];
            for (texts, vectors) in texts.iter().zip(&mut entry.vectors) {
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                *vectors = model.vectors(&texts)?;
            }
        }
        Ok(self)
    }

    /// How many templates there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The templates that fit a request best, the best one first, at most `most`. A template that has nothing in common
    /// with the request is left out. With a model, the library must have been made with the same one.
    ///
    /// # Errors
    /// When the model fails.
    pub fn find(
        &self,
        request: &Request,
        model: Option<&dyn Meaning>,
        most: usize,
    ) -> Result<Vec<Found>, MeaningError> {
        let analysed = self.analyser.analyse(&request.text);
        let words = self.by_words(&analysed);
        let vector = match model {
            Some(model) => model.vectors(&[&request.text])?.into_iter().next(),
            None => None,
        };
        let meaning = vector.as_deref().map(|vector| self.by_meaning(vector));
        let asked = |entry: &Entry| request.department.as_ref().is_none_or(|wanted| *wanted == entry.department);
        let among: Vec<usize> =
            self.entries.iter().enumerate().filter(|(_, entry)| asked(entry)).map(|(index, _)| index).collect();
        let words = relative(&words, &among, 0.0);
        let meaning = meaning.map(|closeness| {
            let average = among.iter().filter_map(|index| closeness.get(*index)).sum::<f32>() / count(among.len());
            relative(&closeness, &among, average)
        });
        let share = if meaning.is_some() { self.weights.meaning } else { 0.0 };
        let mut scored: Vec<(usize, f32, f32, Option<f32>)> = Vec::with_capacity(among.len());
        for (place, index) in among.iter().enumerate() {
            let words = words.get(place).copied().unwrap_or(0.0);
            let meaning = meaning.as_ref().map(|meaning| meaning.get(place).copied().unwrap_or(0.0));
            let score = words * (1.0 - share) + meaning.unwrap_or(0.0) * share;
            if score > 0.0 {
                scored.push((*index, score, words, meaning));
            }
        }
        scored.sort_by(|(one, a, ..), (other, b, ..)| b.total_cmp(a).then_with(|| self.by_key(*one, *other)));
        scored.truncate(most);
        let found = scored.into_iter().filter_map(|(index, score, words, meaning)| {
            let entry = self.entries.get(index)?;
            let coverage = self.terms.coverage(&analysed, self.weights.concepts, index);
            let closeness = vector.as_ref().and_then(|vector| {
                entry.vectors.iter().filter_map(|vectors| nearest(vectors, vector)).max_by(f32::total_cmp)
            });
            let matches = matches(entry, &analysed);
            Some(Found { key: entry.key.clone(), score, words, meaning, coverage, closeness, matches })
        });
        Ok(found.collect())
    }

    /// What a task needs, judged by the templates that were found for it: each capability with a weight, which add up to
    /// 1 at most, the heaviest first. Of templates that ask for none the weight is lost.
    #[must_use]
    pub fn classify(&self, found: &[Found]) -> Vec<(Capability, f64)> {
        // What is close behind the best still counts, what is far behind does not.
        const SHARPNESS: i32 = 6;
        let mut weights: BTreeMap<Capability, f64> = BTreeMap::new();
        let mut sum = 0.0;
        for found in found {
            let weight = f64::from(found.score).powi(SHARPNESS);
            sum += weight;
            let capability =
                self.entries.iter().find(|entry| entry.key == found.key).and_then(|entry| entry.capability);
            if let Some(capability) = capability {
                *weights.entry(capability).or_default() += weight;
            }
        }
        if sum <= 0.0 {
            return Vec::new();
        }
        let mut weights: Vec<(Capability, f64)> =
            weights.into_iter().map(|(capability, weight)| (capability, (weight / sum).min(1.0))).collect();
        weights.sort_by(|(one, a), (other, b)| b.total_cmp(a).then(one.cmp(other)));
        weights
    }

    fn by_key(&self, one: usize, other: usize) -> Ordering {
        self.entries.get(one).map(|entry| &entry.key).cmp(&self.entries.get(other).map(|entry| &entry.key))
    }

    /// How well each template's words fit.
    fn by_words(&self, request: &Analysed) -> Vec<f32> {
        let mut scores = self.terms.scores(request, &self.weights, self.entries.len());
        for (score, entry) in scores.iter_mut().zip(&self.entries) {
            if entry.asks.is_empty() {
                *score *= self.weights.unasked;
            }
        }
        scores
    }

    /// How close each template's meaning is. What kind of text comes close how often differs, so each kind is measured
    /// from its own average; so a template that lacks a kind neither gains nor loses by that.
    fn by_meaning(&self, request: &[f32]) -> Vec<f32> {
        let mut sums = vec![(0.0_f32, 0.0_f32); self.entries.len()];
        for (kind, weight) in self.weights.texts.into_iter().enumerate() {
            let of_entry = |entry: &Entry| entry.vectors.get(kind).and_then(|vectors| nearest(vectors, request));
            let close: Vec<Option<f32>> = self.entries.iter().map(of_entry).collect();
            let known: Vec<f32> = close.iter().flatten().copied().collect();
            let average = known.iter().sum::<f32>() / count(known.len());
            for ((sum, weights), close) in sums.iter_mut().zip(close) {
                if let Some(close) = close {
                    *sum += (close - average) * weight;
                    *weights += weight;
                }
            }
        }
        sums.into_iter().map(|(sum, weights)| if weights > 0.0 { sum / weights } else { 0.0 }).collect()
    }
}

/// How close the nearest vector is.
fn nearest(vectors: &[Vector], request: &[f32]) -> Option<f32> {
    vectors.iter().map(|vector| closeness(vector, request)).max_by(f32::total_cmp)
}

/// The terms of all entries, of each kind.
struct Terms {
    stems: Index,
    pairs: Index,
    concepts: Index,
    grams: Index,
}

impl Terms {
    fn of(entries: &[Vec<Vec<Analysed>>], weights: &[f32]) -> Self {
        let index = |terms: fn(&Analysed) -> &Vec<String>| {
            Index::new(entries.iter().map(|analysed| of_entry(analysed, weights, terms)).collect())
        };
        Self {
            stems: index(|text| &text.stems),
            pairs: index(|text| &text.pairs),
            concepts: index(|text| &text.concepts),
            grams: index(|text| &text.grams),
        }
    }

    /// How much of a request an entry has: the share of its stems and, counting `concepts` times as much, of what its words
    /// stand for, each by how rare it is.
    fn coverage(&self, request: &Analysed, concepts: f32, entry: usize) -> f32 {
        let (mut had, mut all) = (0.0_f32, 0.0_f32);
        for (index, terms, weight) in
            [(&self.stems, &request.stems, 1.0), (&self.concepts, &request.concepts, concepts)]
        {
            let terms: std::collections::BTreeSet<&String> = terms.iter().collect();
            for term in terms {
                let (rarity, has) = index.rarity_and_has(term, entry);
                all += rarity * weight;
                had += if has { rarity * weight } else { 0.0 };
            }
        }
        if all > 0.0 { (had / all).clamp(0.0, 1.0) } else { 0.0 }
    }

    /// How well each of so many entries fits.
    fn scores(&self, request: &Analysed, weights: &Weights, entries: usize) -> Vec<f32> {
        let mut scores = vec![0.0_f32; entries];
        let kinds = [
            (&self.stems, &request.stems, 1.0),
            (&self.pairs, &request.pairs, weights.pairs),
            (&self.concepts, &request.concepts, weights.concepts),
            (&self.grams, &request.grams, weights.grams),
        ];
        for (index, terms, weight) in kinds {
            // Saying a thing twice does not make it twice as important.
            let terms: HashSet<&String> = terms.iter().collect();
            let mut terms: Vec<&String> = terms.into_iter().collect();
            // In the same order each time, because the sum of floats depends on it.
            terms.sort_unstable();
            for term in terms {
                index.matches(term, |entry, score| {
                    if let Some(sum) = scores.get_mut(entry) {
                        *sum += score * weight;
                    }
                });
            }
        }
        scores
    }
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

#[expect(clippy::cast_precision_loss, reason = "libraries have far fewer than 2^23 entries")]
fn count(number: usize) -> f32 {
    number.max(1) as f32
}

/// Values between 0, for `lowest` and below, and 1, for the highest among them.
fn relative(values: &[f32], among: &[usize], lowest: f32) -> Vec<f32> {
    let values: Vec<f32> = among.iter().map(|index| values.get(*index).copied().unwrap_or(lowest) - lowest).collect();
    let highest = values.iter().copied().fold(0.0, f32::max);
    values.into_iter().map(|value| if highest > 0.0 { (value / highest).clamp(0.0, 1.0) } else { 0.0 }).collect()
}

/// The words that a template and a request have in common, in the order of the request.
fn matches(entry: &Entry, request: &Analysed) -> Vec<Match> {
    let mut seen = HashSet::new();
    let words = request.stems.iter().zip(&request.words).filter(|(stem, _)| seen.insert(*stem));
    let of_word = |(stem, word): (&String, &String)| {
        let fields: Vec<&'static str> = FIELDS
            .into_iter()
            .zip(&entry.stems)
            .filter(|(_, stems)| stems.contains(stem))
            .map(|(name, _)| name)
            .collect();
        (!fields.is_empty()).then(|| Match { word: word.clone(), fields })
    };
    words.filter_map(of_word).collect()
}

/// The weighted terms of an entry: each field once per language, because lengths of different languages do not compare.
fn of_entry(analysed: &[Vec<Analysed>], weights: &[f32], terms: fn(&Analysed) -> &Vec<String>) -> Vec<Field> {
    let fields = analysed.iter().zip(weights.iter().copied());
    fields
        .flat_map(|(texts, weight)| texts.iter().map(move |text| Field { weight, terms: terms(text).clone() }))
        .collect()
}

/// The texts of each field, in English and in Arabic, in the order of [`FIELDS`]; ways of asking stand elsewhere.
fn fields(template: &TemplateBody) -> [[String; 2]; 8] {
    let both = |text: &Bilingual| [text.en.clone(), text.ar.clone().unwrap_or_default()];
    let of_some = |text: Option<&Bilingual>| text.map(both).unwrap_or_default();
    let (labels_en, labels_ar) = labels(&template.parameters);
    let capability = template.capability.map(Capability::name).unwrap_or_default();
    let trades = [template.department.as_str(), capability];
    [
        both(&template.title),
        [format!("{} {}", template.tags.join(" "), template.key), String::new()],
        both(&template.description),
        of_some(template.example.as_ref().map(|example| &example.request)),
        [labels_en, labels_ar],
        of_some(template.result.as_ref()),
        [trades.join(" "), trades.map(arabic_trade).join(" ")],
        [template.instructions.clone(), String::new()],
    ]
}

/// What parameters are called, in English and in Arabic.
fn labels(parameters: &Value) -> (String, String) {
    let properties = parameters.get("properties").and_then(Value::as_object);
    let (mut english, mut arabic) = (Vec::new(), Vec::new());
    for (name, schema) in properties.into_iter().flatten() {
        let text = |field: &str| schema.get(field).and_then(Value::as_str);
        // Every template has a language of the answer; it tells none from another.
        if name != "answer_language" {
            english.push(text("title").unwrap_or(name));
            arabic.extend(text("x-title-ar"));
        }
    }
    (english.join(" "), arabic.join(" "))
}

/// The texts that stand for what a template means: its title, title and description, and its example's request, each in
/// the languages that it has.
fn meaningful(template: &TemplateBody) -> [Vec<String>; 3] {
    let Bilingual { en, ar } = &template.title;
    let mut titles = vec![en.clone()];
    let mut wholes = vec![format!("{en}. {}", template.description.en)];
    if let Some(ar) = ar {
        titles.push(ar.clone());
        wholes.push(format!("{ar}. {}", template.description.ar.as_deref().unwrap_or_default()));
    }
    let example = template.example.as_ref().map(|example| &example.request);
    let examples = example.into_iter().flat_map(|text| [Some(text.en.clone()), text.ar.clone()]).flatten().collect();
    [titles, wholes, examples]
}

/// The Arabic words for a department or a capability.
fn arabic_trade(name: &str) -> &'static str {
    match name {
        "engineering" | "coding" => "هندسة برمجيات برمجة تطوير",
        "code_review" => "مراجعة الشيفرة الكود",
        "architecture" => "معمارية هندسة الأنظمة",
        "legal" => "قانوني شؤون قانونية",
        "compliance" => "امتثال التزام",
        "strategy" => "استراتيجية",
        "operations" => "عمليات تشغيل",
        "hr" => "موارد بشرية",
        "recruitment" => "توظيف استقطاب",
        "devops" => "تشغيل بنية تحتية نشر",
        "security" => "أمن معلومات سيبراني",
        "data" | "data_analysis" => "تحليل بيانات",
        "documentation" => "توثيق",
        "ux" | "ux_ui" => "تجربة المستخدم واجهات",
        "research" => "بحث دراسة",
        "finance" => "مالية محاسبة",
        "marketing" => "تسويق",
        "product" | "product_management" => "إدارة المنتج",
        "administration" => "إدارة سكرتارية شؤون إدارية",
        _ => "",
    }
}

#[cfg(test)]
#[expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use domain::template::Example;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn template(key: &str, title: (&str, &str), description: (&str, &str), capability: Capability) -> TemplateBody {
        let text = |(en, ar): (&str, &str)| Bilingual { en: en.to_owned(), ar: Some(ar.to_owned()) };
        let parameters = json!({ "type": "object", "properties": { "role": { "type": "string", "title": "Role" } } });
        let key = key.parse().expect("a key");
        TemplateBody {
            description: text(description),
            department: capability.name().to_owned(),
            capability: Some(capability),
            example: Some(Example { request: text(description), parameters: json!({}), parameters_ar: None }),
            ..TemplateBody::new(key, text(title), parameters, "{{ role }}")
        }
    }

    fn templates() -> Vec<TemplateBody> {
        vec![
            template(
                "write-job-ad",
                ("Write a job advertisement", "كتابة إعلان وظيفي"),
                ("For a vacancy: an advertisement for a job board", "لوظيفة شاغرة: إعلان لمواقع التوظيف"),
                Capability::Recruitment,
            ),
            template(
                "review-contract",
                ("Review a contract", "مراجعة عقد"),
                ("Finds the risks in an agreement before it is signed", "يستخرج مخاطر اتفاقية قبل توقيعها"),
                Capability::Legal,
            ),
            template(
                "review-code",
                ("Review a change of code", "مراجعة تغيير في الشيفرة"),
                ("Finds mistakes in a pull request", "يكتشف الأخطاء في طلب الدمج"),
                Capability::CodeReview,
            ),
        ]
    }

    fn best(text: &str) -> Option<String> {
        let library = Library::new(&templates(), &Asks::new(), Weights::default());
        let found = library.find(&Request::new(text), None, 3).expect("found");
        found.first().map(|found| found.key.to_string())
    }

    #[test]
    fn a_request_finds_its_template_in_either_language() {
        assert_eq!(best("need an advertisement for a nurse vacancy").as_deref(), Some("write-job-ad"));
        assert_eq!(best("أبغى اعلانات وظيفيه لممرضين").as_deref(), Some("write-job-ad"));
        assert_eq!(best("شوفوا مخاطر العقود قبل التوقيع").as_deref(), Some("review-contract"));
        assert_eq!(best("any misstakes in my pull requests?").as_deref(), Some("review-code"));
        assert_eq!(best("zzz qqq"), None);
        assert_eq!(best(""), None);
    }

    #[test]
    fn a_way_of_asking_finds_its_template() {
        let asks =
            Asks::from([("review-code".parse().expect("a key"), vec!["will this blow up in production".to_owned()])]);
        let library = Library::new(&templates(), &asks, Weights::default());
        let found = library.find(&Request::new("does it blow up?"), None, 3).expect("found");
        assert_eq!(found.iter().map(|found| found.key.as_str()).collect::<Vec<_>>(), ["review-code"]);
        assert!(found[0].matches.iter().any(|word| word.fields == ["asks"]), "{found:?}");
        assert_eq!(best("does it blow up?"), None);
    }

    #[test]
    fn it_says_which_words_fit_and_where() {
        let library = Library::new(&templates(), &Asks::new(), Weights::default());
        let found = library.find(&Request::new("check contracts, contracts!"), None, 1).expect("found");
        assert_eq!(found[0].key.as_str(), "review-contract");
        assert_eq!(found[0].matches.len(), 1);
        assert_eq!(found[0].matches[0].word, "contracts");
        assert!(found[0].matches[0].fields.contains(&"title"), "{found:?}");
    }

    #[test]
    fn a_department_keeps_the_others_out() {
        let library = Library::new(&templates(), &Asks::new(), Weights::default());
        let request = Request { text: "review".to_owned(), department: Some("legal".to_owned()) };
        let found = library.find(&request, None, 9).expect("found");
        assert_eq!(found.iter().map(|found| found.key.as_str()).collect::<Vec<_>>(), ["review-contract"]);
    }

    #[test]
    fn a_task_is_classified_by_what_was_found_for_it() {
        let library = Library::new(&templates(), &Asks::new(), Weights::default());
        let found = library.find(&Request::new("review the contract before signing"), None, 3).expect("found");
        let needs = library.classify(&found);
        assert_eq!(needs[0].0, Capability::Legal);
        assert!(needs[0].1 > 0.8 && needs.iter().map(|(_, weight)| weight).sum::<f64>() <= 1.0 + 1e-9, "{needs:?}");
        assert!(library.classify(&[]).is_empty());
    }

    /// Places a text by which of three words it has.
    struct Three;

    impl Meaning for Three {
        fn vectors(&self, texts: &[&str]) -> Result<Vec<Vector>, MeaningError> {
            let place = |text: &&str| {
                let has = |words: &[&str]| f32::from(u8::from(words.iter().any(|word| text.contains(word))));
                let mut vector = vec![has(&["job", "hire"]), has(&["contract", "sue"]), has(&["code", "bug"]), 0.1];
                let norm = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
                vector.iter_mut().for_each(|number| *number /= norm);
                vector
            };
            Ok(texts.iter().map(place).collect())
        }
    }

    #[test]
    fn meaning_finds_what_no_word_finds() {
        let library = Library::new(&templates(), &Asks::new(), Weights::default())
            .with_meaning(&templates(), &Three)
            .expect("made");
        let found = library.find(&Request::new("can they sue us"), Some(&Three), 1).expect("found");
        assert_eq!(found[0].key.as_str(), "review-contract");
        assert_eq!(found[0].meaning, Some(1.0));
    }

    proptest! {
        #[test]
        fn scores_lie_between_0_and_1_and_fall(text in "[a-zA-Zء-ي ]{0,60}") {
            let library = Library::new(&templates(), &Asks::new(), Weights::default());
            let found = library.find(&Request::new(text.clone()), None, 9).expect("found");
            prop_assert!(found.iter().all(|found| found.score > 0.0 && found.score <= 1.0));
            prop_assert!(found.is_sorted_by(|one, other| one.score >= other.score));
            prop_assert_eq!(&found, &library.find(&Request::new(text), None, 9).expect("found"));
        }
    }
}
