//! What a request says about the parameters of a template, by rules that do not guess.
//!
//! Four things are read: a parameter that is named (`position: nurse`, `المنصب: ممرضة`), one of a few choices when the request
//! has exactly one of them, a number beside a word of the parameter's title (`2 seats`), and the language of the answer,
//! which is the request's. Invariants: every value is a part of the request or follows from its language, and says which;
//! what is said twice or in two ways is not read; what was given is not read over.

use ::words::normalise;
use domain::template::TemplateBody;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::words::{Analyser, mostly_arabic};

/// The parameter for the language of the answer.
const ANSWER_LANGUAGE: &str = "answer_language";
/// A choice that is shorter is found in too many texts by chance.
const SHORTEST_CHOICE: usize = 3;

/// A parameter that was read out of a request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReadParameter {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// The part of the request that says so; empty for what follows from its language.
    pub quote: String,
    /// By which rule.
    pub by: ReadBy,
}

/// By what a parameter was read out of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadBy {
    /// The request names it.
    Name,
    /// The request has exactly one of its choices.
    Choice,
    /// A number stands beside a word of its title.
    Number,
    /// The language of the request.
    Language,
    /// A model found it, and the request says so.
    Model,
}

/// The parameters of a template that a request tells, in the order in which the template describes them.
#[must_use]
pub fn read(template: &TemplateBody, request: &str, given: &Map<String, Value>) -> Vec<ReadParameter> {
    let Some(properties) = template.parameters.get("properties").and_then(Value::as_object) else { return Vec::new() };
    let text = Text::new(request);
    let named = named(&text, properties);
    let analyser = Analyser::new();
    let mut read = Vec::new();
    for (name, schema) in properties.iter().filter(|(name, _)| !given.contains_key(*name)) {
        let found = match named.iter().filter(|label| label.parameter == name).collect::<Vec<_>>().as_slice() {
            [] => choice(&text, schema)
                .map(|(value, quote)| (value, quote, ReadBy::Choice))
                .or_else(|| number(&text, &analyser, name, schema).map(|(value, quote)| (value, quote, ReadBy::Number)))
                .or_else(|| language(request, name, schema).map(|value| (value, String::new(), ReadBy::Language))),
            [label] => value(label.value, schema).map(|value| (value, label.quote.trim().to_owned(), ReadBy::Name)),
            _ => None,
        };
        if let Some((value, quote, by)) = found {
            read.push(ReadParameter { name: name.clone(), value, quote, by });
        }
    }
    read
}

/// What a model has read out of a request, of which nothing counts that the request does not say.
///
/// A value counts when its parameter was asked for and not given, it has the parameter's type and is one of its choices if
/// there are some, the passage that is quoted for it stands in the request word by word, and it says no more than the
/// request: every word of a text, or another form of it, stands there, and a number stands in the quoted passage. What a model
/// translates or makes up does not count, and is asked back.
#[must_use]
pub fn supported(
    template: &TemplateBody,
    request: &str,
    given: &Map<String, Value>,
    answers: &[ModelAnswer],
) -> Vec<ReadParameter> {
    let Some(properties) = template.parameters.get("properties").and_then(Value::as_object) else { return Vec::new() };
    let text = Text::new(request);
    let analyser = Analyser::new();
    let stems: Vec<String> = analyser.analyse(request).stems;
    let mut read: Vec<ReadParameter> = Vec::new();
    for ModelAnswer { name, value, quote } in answers {
        let Some(schema) = properties.get(name) else { continue };
        let passage = forms(quote);
        let is_quoted = !passage.is_empty() && !text.places(&passage).is_empty();
        let is_new = !given.contains_key(name) && !read.iter().any(|known| known.name == *name);
        let says = Says { forms: text.words.iter().map(|word| word.form.as_str()).collect(), stems: &stems, passage };
        if is_quoted && is_new && says.holds(&analyser, value, schema) {
            let quote = quote.trim().to_owned();
            read.push(ReadParameter { name: name.clone(), value: value.clone(), quote, by: ReadBy::Model });
        }
    }
    read
}

/// What a model says about a parameter.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelAnswer {
    /// The parameter's name.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// The passage of the request that says so, word by word.
    pub quote: String,
}

/// What a request says.
struct Says<'a> {
    /// The forms of all its words.
    forms: Vec<&'a str>,
    stems: &'a [String],
    /// The forms of the words that are quoted.
    passage: Vec<String>,
}

impl Says<'_> {
    fn holds(&self, analyser: &Analyser, value: &Value, schema: &Value) -> bool {
        if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
            return choices.contains(value);
        }
        let kind = schema.get("type").and_then(Value::as_str).unwrap_or("string");
        match (kind, value) {
            ("string", Value::String(text)) => {
                let words = forms(text);
                let says = |word: &String| {
                    let other = || analyser.analyse(word).stems.iter().all(|stem| self.stems.contains(stem));
                    self.forms.contains(&word.as_str()) || (!analyser.analyse(word).stems.is_empty() && other())
                };
                !words.is_empty() && words.iter().all(says)
            }
            ("integer" | "number", Value::Number(number)) => {
                let fits = kind == "number" || number.is_i64() || number.is_u64();
                let bound = |field: &str| schema.get(field).and_then(Value::as_f64);
                let value = number.as_f64().unwrap_or(f64::NAN);
                let within = bound("minimum").is_none_or(|least| value >= least)
                    && bound("maximum").is_none_or(|most| value <= most);
                // A fraction is two words of the passage.
                let written = number.to_string();
                let parts: Vec<&str> = written.split('.').collect();
                let mut windows = self.passage.windows(parts.len());
                fits && within && windows.any(|window| window.iter().map(String::as_str).eq(parts.iter().copied()))
            }
            ("boolean", Value::Bool(_)) => true,
            ("array", Value::Array(list)) => {
                let of = schema.get("items").cloned().unwrap_or_default();
                !list.is_empty() && list.iter().all(|value| self.holds(analyser, value, &of))
            }
            _ => false,
        }
    }
}

/// A request and its words.
struct Text<'a> {
    text: &'a str,
    words: Vec<Word>,
}

/// A word and where it stands.
struct Word {
    start: usize,
    end: usize,
    form: String,
}

impl<'a> Text<'a> {
    fn new(text: &'a str) -> Self {
        let mut words = Vec::new();
        let mut start = None;
        for (place, letter) in text.char_indices().chain([(text.len(), ' ')]) {
            // Vowel signs stand within words.
            let within = letter.is_alphanumeric() || matches!(letter, '\u{64b}'..='\u{65f}' | '\u{670}');
            match (within, start) {
                (true, None) => start = Some(place),
                (false, Some(from)) => {
                    let form = text.get(from..place).map(normalise).unwrap_or_default();
                    words.push(Word { start: from, end: place, form });
                    start = None;
                }
                _ => {}
            }
        }
        Self { text, words }
    }

    fn part(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// Where these words stand one after the other.
    fn places(&self, words: &[String]) -> Vec<(usize, usize)> {
        let windows = self.words.windows(words.len().max(1));
        let same = |window: &&[Word]| window.iter().map(|word| &word.form).eq(words.iter());
        windows.filter(same).filter_map(|window| Some((window.first()?.start, window.last()?.end))).collect()
    }
}

/// The forms of the words of a text.
fn forms(text: &str) -> Vec<String> {
    Text::new(text).words.into_iter().map(|word| word.form).collect()
}

/// What people call a parameter.
fn titles(name: &str, schema: &Value) -> Vec<Vec<String>> {
    let text = |field: &str| schema.get(field).and_then(Value::as_str);
    let all = [Some(name), text("title"), text("x-title-ar")];
    all.into_iter().flatten().map(forms).filter(|forms| !forms.is_empty()).collect()
}

/// A parameter that is named, with what is said of it.
struct Named<'a> {
    parameter: &'a str,
    quote: &'a str,
    value: &'a str,
}

/// All parameters that are named: a title or the name, a colon or an equals sign, and the value up to the end of the line,
/// a semicolon, or the next name.
fn named<'a>(text: &Text<'a>, properties: &'a Map<String, Value>) -> Vec<Named<'a>> {
    let labels: Vec<(&str, Vec<String>)> = properties
        .iter()
        .flat_map(|(name, schema)| titles(name, schema).into_iter().map(move |title| (name.as_str(), title)))
        .collect();
    let signs = text.text.char_indices().filter(|(_, letter)| matches!(letter, ':' | '=' | '：'));
    // (parameter, where its name begins, where its value begins)
    let mut found: Vec<(&str, usize, usize)> = Vec::new();
    for (place, sign) in signs {
        let before: Vec<&Word> = text.words.iter().take_while(|word| word.end <= place).collect();
        let adjoins = before.last().is_some_and(|word| text.part(word.end, place).trim().is_empty());
        let fits = |title: &&(&str, Vec<String>)| {
            let tail = before.len().checked_sub(title.1.len()).and_then(|from| before.get(from..));
            tail.is_some_and(|tail| tail.iter().map(|word| &word.form).eq(title.1.iter()))
        };
        // The longest name wins: `answer language` is not `language`.
        let best = labels.iter().filter(fits).max_by_key(|(_, title)| title.len());
        if let (true, Some((name, title))) = (adjoins, best) {
            let start = before.len().checked_sub(title.len()).and_then(|from| before.get(from)).map(|word| word.start);
            found.push((name, start.unwrap_or(place), place + sign.len_utf8()));
        }
    }
    let ends = found.iter().skip(1).map(|(_, start, _)| *start).chain([text.text.len()]);
    let value = |(&(parameter, start, from), next): (&(&'a str, usize, usize), usize)| {
        let rest = text.part(from, next);
        let rest = rest.split(['\n', ';', '؛']).next().unwrap_or_default();
        let value = rest.trim().trim_end_matches([',', '،', ' ']);
        (!value.is_empty()).then(|| Named { parameter, quote: text.part(start, from + rest.len()), value })
    };
    found.iter().zip(ends).filter_map(value).collect()
}

/// A text as a value of a schema's type; nothing when it is none.
fn value(text: &str, schema: &Value) -> Option<Value> {
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        let text = forms(text);
        return labelled(schema, choices).find(|(label, _)| forms(label) == text).map(|(_, choice)| choice.clone());
    }
    match schema.get("type").and_then(Value::as_str).unwrap_or("string") {
        "string" => Some(Value::String(text.to_owned())),
        "integer" => normalise(text).parse::<i64>().ok().map(Value::from),
        "number" => normalise(text).parse().ok().and_then(serde_json::Number::from_f64).map(Value::Number),
        "boolean" => match normalise(text).as_str() {
            "yes" | "true" | "نعم" => Some(Value::Bool(true)),
            "no" | "false" | "لا" => Some(Value::Bool(false)),
            _ => None,
        },
        "array" => {
            let of = schema.get("items").cloned().unwrap_or_default();
            let parts = text.split([',', '،']).map(str::trim).filter(|part| !part.is_empty());
            parts.map(|part| value(part, &of)).collect::<Option<Vec<Value>>>().map(Value::Array)
        }
        _ => None,
    }
}

/// The choices with their texts, in both languages.
fn labelled<'a>(schema: &'a Value, choices: &'a [Value]) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let arabic = schema.get("x-enum-ar").and_then(Value::as_array).into_iter().flatten();
    let own = choices.iter().filter_map(|choice| Some((choice.as_str()?, choice)));
    own.chain(arabic.zip(choices).filter_map(|(label, choice)| Some((label.as_str()?, choice))))
}

/// The only one of a few choices that the request has.
fn choice(text: &Text<'_>, schema: &Value) -> Option<(Value, String)> {
    let choices = schema.get("enum")?.as_array()?;
    let mut found: Vec<(&Value, usize, usize)> = Vec::new();
    for (label, choice) in labelled(schema, choices) {
        if label.chars().count() >= SHORTEST_CHOICE {
            let places = text.places(&forms(label));
            found.extend(places.into_iter().map(|(start, end)| (choice, start, end)));
        }
    }
    // `first written` has `written` in it.
    let longest = |one: &&(&Value, usize, usize)| {
        !found.iter().any(|other| other.1 <= one.1 && one.2 <= other.2 && other.2 - other.1 > one.2 - one.1)
    };
    let kept: Vec<&(&Value, usize, usize)> = found.iter().filter(longest).collect();
    let (choice, start, end) = kept.first()?;
    kept.iter().all(|(other, ..)| other == choice).then(|| ((*choice).clone(), text.part(*start, *end).to_owned()))
}

/// The only number beside a word of the title.
fn number(text: &Text<'_>, analyser: &Analyser, name: &str, schema: &Value) -> Option<(Value, String)> {
    if !matches!(schema.get("type")?.as_str()?, "integer" | "number") {
        return None;
    }
    let titles = titles(name, schema).concat().join(" ");
    let stems = analyser.analyse(&titles).stems;
    let about = |place: Option<usize>| {
        let word = place.and_then(|place| text.words.get(place));
        word.is_some_and(|word| analyser.analyse(&word.form).stems.iter().any(|stem| stems.contains(stem)))
    };
    let mut found = text.words.iter().enumerate().filter_map(|(place, word)| {
        let number: i64 = word.form.parse().ok()?;
        // A part of a date, a time, an amount with a fraction or a range is no number by itself.
        let before =
            text.part(0, word.start).chars().next_back().is_none_or(|letter| letter.is_whitespace() || letter == '(');
        let mut after = text.part(word.end, text.text.len()).chars();
        let ends = match after.next() {
            None => true,
            Some(letter) if letter.is_whitespace() => true,
            Some('.' | ',' | '،' | ')' | '؟' | '?' | '!') => after.next().is_none_or(|letter| !letter.is_numeric()),
            Some(_) => false,
        };
        let bound = |field: &str| schema.get(field).and_then(Value::as_i64);
        let within =
            bound("minimum").is_none_or(|least| number >= least) && bound("maximum").is_none_or(|most| number <= most);
        let is_meant = before && ends && within && (about(place.checked_sub(1)) || about(place.checked_add(1)));
        is_meant.then(|| (Value::from(number), text.part(word.start, word.end).to_owned()))
    });
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// Who asks in Arabic is answered in Arabic, where the template leaves the language open.
fn language(request: &str, name: &str, schema: &Value) -> Option<Value> {
    let is_open = name == ANSWER_LANGUAGE && schema.get("enum").is_none();
    (is_open && mostly_arabic(request)).then(|| Value::String("Arabic".to_owned()))
}

#[cfg(test)]
#[expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    fn template() -> TemplateBody {
        let parameters = json!({
            "type": "object",
            "required": ["role", "location"],
            "properties": {
                "role": { "type": "string", "title": "Job title", "x-title-ar": "المسمى الوظيفي" },
                "location": { "type": "string", "title": "Place of work", "x-title-ar": "مكان العمل" },
                "contract": { "enum": ["full-time", "part-time"], "x-enum-ar": ["دوام كامل", "دوام جزئي"], "default": "full-time" },
                "seats": { "type": "integer", "title": "Open seats", "x-title-ar": "عدد المقاعد", "minimum": 1, "maximum": 50 },
                "skills": { "type": "array", "items": { "type": "string" }, "title": "Skills" },
                "remote": { "type": "boolean" },
                "answer_language": { "type": "string", "default": "English" },
            },
        });
        TemplateBody::new("ad".parse().expect("a key"), "Ad", parameters, "{{ role }}")
    }

    fn told(request: &str, given: Value) -> Value {
        let given = given.as_object().expect("an object").clone();
        let read = read(&template(), request, &given);
        for parameter in &read {
            assert!(request.contains(&parameter.quote), "{parameter:?} is no part of {request}");
        }
        read.into_iter().map(|parameter| (parameter.name, parameter.value)).collect::<Map<_, _>>().into()
    }

    #[test]
    fn what_is_named_is_read_up_to_the_next_name() {
        let request =
            "Write the ad. Job title: Nurse (night), place of work = Riyadh\nskills: triage, first aid; remote: no";
        let expected = json!({ "role": "Nurse (night)", "location": "Riyadh", "skills": ["triage", "first aid"], "remote": false });
        assert_eq!(told(request, json!({})), expected);
        let arabic = "اكتب الإعلان، المسمّى الوظيفي: ممرضة، مكان العمل: الرياض";
        let expected = json!({ "role": "ممرضة", "location": "الرياض", "answer_language": "Arabic" });
        assert_eq!(told(arabic, json!({})), expected);
        assert_eq!(told("role: a; role: b", json!({})), json!({}), "what is said twice is not read");
        assert_eq!(told("role: a", json!({ "role": "b" })), json!({}), "what was given is not read over");
        assert_eq!(told("remote: perhaps. See https://example.org at 10:30", json!({})), json!({}));
    }

    #[test]
    fn what_a_model_read_counts_only_when_the_request_says_it() {
        let answer = |name: &str, value: Value, quote: &str| ModelAnswer {
            name: name.to_owned(),
            value,
            quote: quote.to_owned(),
        };
        let request =
            "Please post an opening: two night nurses for our clinic in Riyadh, 12 places, with triage skills";
        let told = |answers: &[ModelAnswer], given: Value| -> Value {
            let given = given.as_object().expect("an object").clone();
            let read = supported(&template(), request, &given, answers);
            assert!(read.iter().all(|one| one.by == ReadBy::Model && request.contains(&one.quote)), "{read:?}");
            read.into_iter().map(|parameter| (parameter.name, parameter.value)).collect::<Map<_, _>>().into()
        };
        let good = [
            answer("role", json!("night nurse"), "two night nurses"),
            answer("location", json!("Riyadh"), "our clinic in Riyadh"),
            answer("seats", json!(12), "12 places"),
            answer("skills", json!(["triage"]), "with triage skills"),
            answer("contract", json!("part-time"), "two night nurses"),
        ];
        let all = json!({
            "role": "night nurse", "location": "Riyadh", "seats": 12, "skills": ["triage"], "contract": "part-time"
        });
        assert_eq!(told(&good, json!({})), all);
        assert_eq!(told(&good[..2], json!({ "role": "Doctor" })), json!({ "location": "Riyadh" }));
        for wrong in [
            answer("role", json!("experienced nurse"), "two night nurses"),
            answer("role", json!("nurse"), "a nurse who is kind"),
            answer("role", json!("nurse"), ""),
            answer("role", json!(7), "two night nurses"),
            answer("role", json!(""), "two night nurses"),
            answer("location", json!("Jeddah"), "our clinic in Riyadh"),
            answer("seats", json!(2), "two night nurses"),
            answer("seats", json!(120), "12 places"),
            answer("seats", json!(12.5), "12 places"),
            answer("skills", json!(["triage", "surgery"]), "with triage skills"),
            answer("skills", json!([]), "with triage skills"),
            answer("contract", json!("seasonal"), "two night nurses"),
            answer("wage", json!("12"), "12 places"),
        ] {
            assert_eq!(told(std::slice::from_ref(&wrong), json!({})), json!({}), "{wrong:?}");
        }
        let twice =
            [answer("location", json!("Riyadh"), "in Riyadh"), answer("location", json!("clinic"), "our clinic")];
        assert_eq!(told(&twice, json!({})), json!({ "location": "Riyadh" }), "the first one counts");
    }

    #[test]
    fn a_choice_is_read_when_there_is_only_one() {
        assert_eq!(told("an ad for a part time nurse", json!({})), json!({ "contract": "part-time" }));
        assert_eq!(told("نحتاج ممرضة بدوام، دوام جزئي", json!({}))["contract"], "part-time");
        assert_eq!(told("part-time or full-time?", json!({})), json!({}));
        assert_eq!(told("a full day of time", json!({})), json!({}));
    }

    #[test]
    fn a_number_is_read_beside_a_word_of_its_title() {
        assert_eq!(told("an ad for 2 seats", json!({})), json!({ "seats": 2 }));
        assert_eq!(told("we have ٣ مقاعد", json!({}))["seats"], 3);
        for request in ["an ad for 2 nurses", "2 seats or 3 seats", "900 seats", "1.5 seats", "2026-03-04 seats"] {
            assert_eq!(told(request, json!({})), json!({}), "{request}");
        }
    }
}
