//! Frozen values that agents, templates and workflows share.

use domain::{Bilingual, Capability};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};

/// A text in English and, perhaps, in Arabic.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct BilingualV1<'a> {
    en: &'a str,
    #[serde(borrow)]
    ar: Option<&'a str>,
}

impl<'a> BilingualV1<'a> {
    /// What was written before there was a second language.
    pub(super) fn english(en: &'a str) -> Self {
        Self { en, ar: None }
    }

    pub(super) fn freeze(text: &'a Bilingual) -> Self {
        let Bilingual { en, ar } = text;
        Self { en, ar: ar.as_deref() }
    }

    pub(super) fn thaw(&self) -> Bilingual {
        Bilingual { en: self.en.to_owned(), ar: self.ar.map(str::to_owned) }
    }
}

/// Of the closed list of capabilities.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Schema)]
pub(super) enum CapabilityV1 {
    Coding,
    CodeReview,
    Architecture,
    Legal,
    Compliance,
    Strategy,
    Operations,
    Hr,
    Recruitment,
    Devops,
    Security,
    DataAnalysis,
    Documentation,
    UxUi,
    Research,
    Finance,
    Marketing,
    ProductManagement,
}

macro_rules! capabilities {
    ($($name:ident),+ $(,)?) => {
        impl CapabilityV1 {
            pub(super) fn freeze(capability: Capability) -> Self {
                match capability {
                    $(Capability::$name => Self::$name),+
                }
            }

            pub(super) fn thaw(self) -> Capability {
                match self {
                    $(Self::$name => Capability::$name),+
                }
            }
        }
    };
}

capabilities!(
    Coding,
    CodeReview,
    Architecture,
    Legal,
    Compliance,
    Strategy,
    Operations,
    Hr,
    Recruitment,
    Devops,
    Security,
    DataAnalysis,
    Documentation,
    UxUi,
    Research,
    Finance,
    Marketing,
    ProductManagement,
);

impl CapabilityV1 {
    /// What an old free word means today; the list was not closed at first.
    pub(super) fn of(word: &str) -> Option<Self> {
        word.parse().ok().map(Self::freeze)
    }
}
