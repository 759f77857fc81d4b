use std::fmt;

use serde::{Deserialize, Serialize};

/// A language that what people read is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Language {
    /// English, in which everything is written.
    #[default]
    #[serde(rename = "en")]
    English,
    /// Arabic.
    #[serde(rename = "ar")]
    Arabic,
}

/// A text that people read: in English and, where somebody has written it, in Arabic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Bilingual {
    /// In English.
    pub en: String,
    /// In Arabic.
    pub ar: Option<String>,
}

impl Bilingual {
    /// The text in a language; in English where it is not written in that one.
    #[must_use]
    pub fn in_language(&self, language: Language) -> &str {
        match (language, &self.ar) {
            (Language::Arabic, Some(text)) => text,
            _ => &self.en,
        }
    }

    /// Whether there is nothing to read in one of the languages that it claims to be written in.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.en.trim().is_empty() || self.ar.as_ref().is_some_and(|text| text.trim().is_empty())
    }
}

impl From<String> for Bilingual {
    /// A text in English only.
    fn from(en: String) -> Self {
        Self { en, ar: None }
    }
}

impl From<&str> for Bilingual {
    /// A text in English only.
    fn from(en: &str) -> Self {
        en.to_owned().into()
    }
}

impl fmt::Display for Bilingual {
    /// In English.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.en)
    }
}
