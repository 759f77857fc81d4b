use serde::{Deserialize, Serialize};

use crate::{Capability, Key};

/// A share of one, kept in millionths so that it is the same number wherever it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Share(u32);

impl Share {
    /// The whole, in millionths.
    pub const WHOLE: u32 = 1_000_000;

    /// So many millionths, one at most.
    #[must_use]
    pub fn of_millionths(millionths: u32) -> Self {
        Self(millionths.min(Self::WHOLE))
    }

    /// The nearest share; what is less than 0 or no number is 0, and what is more than 1 is 1.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::as_conversions,
        reason = "a float cannot be converted in another way, and it lies between 0 and a million"
    )]
    pub fn nearest(value: f64) -> Self {
        let value = if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) };
        Self((value * f64::from(Self::WHOLE)).round() as u32)
    }

    /// In millionths.
    #[must_use]
    pub const fn millionths(self) -> u32 {
        self.0
    }

    /// Between 0 and 1.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / f64::from(Self::WHOLE)
    }
}

/// How an agent was chosen for a task for which none was named: everything that it was decided from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentChoice {
    /// Why it was this one.
    pub reason: AgentReason,
    /// What the task needs; `None` when anybody can do it.
    pub capability: Option<Capability>,
    /// The language of the answer, as a BCP 47 tag, where the task says.
    pub language: Option<String>,
    /// Below this score no specialist was good enough.
    pub minimum: Share,
    /// All agents that were looked at: those that could be chosen first, by falling score.
    pub considered: Vec<ConsideredAgent>,
}

/// Why it was this agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum AgentReason {
    /// Its score was the best.
    Best,
    /// Others had the same score, and it had the least to do.
    AmongEquals {
        /// How many there were with it.
        equals: u32,
    },
    /// No specialist's score reached the minimum, so a general-purpose agent took it.
    BelowMinimum {
        /// The best score.
        best: Share,
    },
    /// No specialist could do it, so a general-purpose agent took it.
    NoSpecialist,
    /// The task needs no specialist.
    AnybodyWill,
}

impl AgentReason {
    /// The stable snake_case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::AmongEquals { .. } => "among_equals",
            Self::BelowMinimum { .. } => "below_minimum",
            Self::NoSpecialist => "no_specialist",
            Self::AnybodyWill => "anybody_will",
        }
    }
}

/// An agent that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsideredAgent {
    /// Its key.
    pub agent: Key,
    /// Its score, made of the factors.
    pub score: Share,
    /// What the score was made of.
    pub factors: AgentFactors,
    /// Tasks that it was doing.
    pub running: u32,
    /// For how many tasks its own history counted, in thousandths; 0 of one of which nothing was known.
    pub experience_milli: u32,
    /// Why it could not be chosen for its capabilities.
    pub excluded: Option<AgentExclusion>,
}

/// What a score is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentFactors {
    /// How much of what is needed it is a specialist in; counts 40 %.
    pub capability: Share,
    /// The average quality of its results / 10; counts 25 %.
    pub quality: Share,
    /// 1, or 0.3 when it was busy or failing or its platform was down; counts 15 %.
    pub availability: Share,
    /// 1 − average cost / the acceptable maximum; counts 10 %.
    pub cost: Share,
    /// 1 − average time / the acceptable maximum; counts 10 %.
    pub speed: Share,
}

/// Why an agent could not be chosen for its capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentExclusion {
    /// It was switched off.
    Inactive,
    /// It has none of the capabilities that are needed.
    Incapable,
    /// It does not answer in the language that is wanted.
    Language,
    /// Whoever asked left it out.
    LeftOut,
}

impl AgentExclusion {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Inactive, Self::Incapable, Self::Language, Self::LeftOut];

    /// The stable snake_case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Incapable => "incapable",
            Self::Language => "language",
            Self::LeftOut => "left_out",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_lies_between_nothing_and_the_whole() {
        assert_eq!(Share::nearest(-1.0), Share::of_millionths(0));
        assert_eq!(Share::nearest(f64::NAN), Share::of_millionths(0));
        assert_eq!(Share::nearest(f64::INFINITY), Share::of_millionths(2_000_000));
        assert_eq!(Share::nearest(0.123_456_7).millionths(), 123_457);
        assert!((Share::of_millionths(250_000).as_f64() - 0.25).abs() < 1e-12);
    }
}
