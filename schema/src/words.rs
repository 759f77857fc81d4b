//! What people read, in their language, and the closed list of capabilities.

use async_graphql::{Enum, InputObject};
use domain::Bilingual;

/// The language of texts that people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Enum)]
pub(crate) enum Language {
    /// English, in which everything is written.
    #[default]
    En,
    /// Arabic; English where a text is not written in it.
    Ar,
}

impl Language {
    /// The text in this language.
    pub(crate) fn of(self, text: &Bilingual) -> String {
        text.in_language(self.into()).to_owned()
    }
}

impl From<Language> for domain::Language {
    fn from(language: Language) -> Self {
        match language {
            Language::En => Self::English,
            Language::Ar => Self::Arabic,
        }
    }
}

/// A text in English and, perhaps, in Arabic.
#[derive(Debug, InputObject)]
pub(crate) struct TextInput {
    /// In English.
    en: String,
    /// In Arabic.
    ar: Option<String>,
}

impl From<TextInput> for Bilingual {
    fn from(TextInput { en, ar }: TextInput) -> Self {
        Self { en, ar }
    }
}

/// What an agent can be a specialist in, and what a template can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::Capability")]
pub(crate) enum Capability {
    /// Writing and changing programs.
    Coding,
    /// Judging changes to programs.
    CodeReview,
    /// Shaping systems.
    Architecture,
    /// Law and contracts.
    Legal,
    /// Keeping to rules and standards.
    Compliance,
    /// Where the company goes, and why.
    Strategy,
    /// How the company's work is done from day to day.
    Operations,
    /// People who work for the company.
    Hr,
    /// People who are to work for the company.
    Recruitment,
    /// Building, delivering and running software.
    Devops,
    /// Protecting systems and information.
    Security,
    /// What figures say.
    DataAnalysis,
    /// Writing things down so that others can use them.
    Documentation,
    /// How products are used and look.
    UxUi,
    /// Finding out and weighing sources.
    Research,
    /// Money.
    Finance,
    /// Markets, messages and customers.
    Marketing,
    /// What a product does next.
    ProductManagement,
}
