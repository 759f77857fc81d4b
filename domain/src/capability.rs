use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What an agent can be a specialist in, and what a template can ask for. The list is closed: work is given to agents
/// by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
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

impl Capability {
    /// Every capability.
    pub const ALL: [Self; 18] = [
        Self::Coding,
        Self::CodeReview,
        Self::Architecture,
        Self::Legal,
        Self::Compliance,
        Self::Strategy,
        Self::Operations,
        Self::Hr,
        Self::Recruitment,
        Self::Devops,
        Self::Security,
        Self::DataAnalysis,
        Self::Documentation,
        Self::UxUi,
        Self::Research,
        Self::Finance,
        Self::Marketing,
        Self::ProductManagement,
    ];

    /// The stable snake_case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Coding => "coding",
            Self::CodeReview => "code_review",
            Self::Architecture => "architecture",
            Self::Legal => "legal",
            Self::Compliance => "compliance",
            Self::Strategy => "strategy",
            Self::Operations => "operations",
            Self::Hr => "hr",
            Self::Recruitment => "recruitment",
            Self::Devops => "devops",
            Self::Security => "security",
            Self::DataAnalysis => "data_analysis",
            Self::Documentation => "documentation",
            Self::UxUi => "ux_ui",
            Self::Research => "research",
            Self::Finance => "finance",
            Self::Marketing => "marketing",
            Self::ProductManagement => "product_management",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name of a capability that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no capability; there are {all}", all = Capability::ALL.map(Capability::name).join(", "))]
pub struct UnknownCapability(pub String);

impl FromStr for Capability {
    type Err = UnknownCapability;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|capability| capability.name() == text)
            .ok_or_else(|| UnknownCapability(text.chars().take(80).collect()))
    }
}
