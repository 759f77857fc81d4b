//! A file of ways of asking: for each template, by its key, how people ask for what it does.

use std::collections::BTreeMap;

use domain::Key;
use serde::Deserialize;

use super::Fault;

/// The most ways of asking for one template in one language.
const MOST: usize = 20;
/// The fewest and the most characters of one.
const LENGTHS: (usize, usize) = (4, 200);

/// How people ask for a template, in each language.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asks {
    /// In English.
    #[serde(default)]
    pub en: Vec<String>,
    /// In Arabic.
    #[serde(default)]
    pub ar: Vec<String>,
}

impl Asks {
    /// Each, the English ones first.
    pub fn each(&self) -> impl Iterator<Item = &str> {
        self.en.iter().chain(&self.ar).map(String::as_str)
    }

    /// Each with its field below the template's key.
    fn fields(&self) -> impl Iterator<Item = (String, &str)> {
        [("en", &self.en), ("ar", &self.ar)].into_iter().flat_map(|(language, asks)| {
            asks.iter().enumerate().map(move |(index, ask)| (format!("{language}[{index}]"), ask.as_str()))
        })
    }
}

/// The whole file.
pub(super) type AsksFile = BTreeMap<Key, Asks>;

/// Where each way of asking stands already: the template and the file, by the text as it is compared.
pub(super) type Known = BTreeMap<String, (Key, String)>;

/// What is wrong with a file, each with its field. What is right is added to what is known.
pub(super) fn check(asks: &AsksFile, file: &str, known: &mut Known) -> Vec<(String, Fault)> {
    let mut faults = Vec::new();
    if asks.is_empty() {
        faults.push((String::new(), Fault::Rule("names no template".to_owned())));
    }
    let (least, most) = LENGTHS;
    for (key, asks) in asks {
        for (language, texts) in [("en", &asks.en), ("ar", &asks.ar)] {
            if texts.len() > MOST {
                let what = format!("{} ways of asking stand here; at most {MOST} are allowed", texts.len());
                faults.push((format!("{key}.{language}"), Fault::Rule(what)));
            }
        }
        if asks.each().next().is_none() {
            faults.push((key.to_string(), Fault::Rule("there must be a way of asking in `en` or in `ar`".to_owned())));
        }
        for (field, text) in asks.fields() {
            let field = format!("{key}.{field}");
            let length = text.trim().chars().count();
            if !(least..=most).contains(&length) {
                let what = format!("is {length} characters long; a way of asking has {least} to {most}");
                faults.push((field, Fault::Rule(what)));
                continue;
            }
            match known.get(&compared(text)) {
                Some((other, first)) => {
                    let what =
                        format!("asks for `{other}` too, in {first}; a way of asking stands in a catalogue once");
                    faults.push((field, Fault::Rule(what)));
                }
                None => {
                    known.insert(compared(text), (key.clone(), file.to_owned()));
                }
            }
        }
    }
    faults
}

/// A text without what makes no difference: its letters' case and how its words are set apart.
fn compared(text: &str) -> String {
    text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}
