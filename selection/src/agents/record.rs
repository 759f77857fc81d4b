//! A choice in the words in which it is recorded.

use domain::Capability;
use domain::task::{AgentChoice, AgentExclusion, AgentFactors, AgentReason, ConsideredAgent, Share};

use super::choose::{Choice, Considered, Exclusion, Factors, Policy, Reason, Task};

impl Choice {
    /// The choice as an event keeps it; nothing when nobody was chosen.
    #[must_use]
    pub fn recorded(&self, task: &Task, policy: &Policy) -> Option<AgentChoice> {
        self.agent.as_ref()?;
        let count = |equals: usize| u32::try_from(equals).unwrap_or(u32::MAX);
        Some(AgentChoice {
            reason: match self.reason {
                Reason::Best => AgentReason::Best,
                Reason::AmongEquals { equals } => AgentReason::AmongEquals { equals: count(equals) },
                Reason::BelowMinimum { best, .. } => AgentReason::BelowMinimum { best: Share::nearest(best) },
                Reason::NoSpecialist => AgentReason::NoSpecialist,
                Reason::AnybodyWill => AgentReason::AnybodyWill,
                Reason::Nobody => return None,
            },
            capability: main(task),
            language: task.language.clone(),
            minimum: Share::nearest(policy.minimum),
            considered: self.considered(),
        })
    }

    /// Everybody who was looked at, as an event keeps it.
    #[must_use]
    pub fn considered(&self) -> Vec<ConsideredAgent> {
        self.candidates.iter().map(recorded).collect()
    }

    /// Why it was this one, in a sentence for a person.
    #[must_use]
    pub fn told(&self, task: &Task) -> String {
        let score = self.candidates.iter().find(|considered| Some(&considered.key) == self.agent.as_ref());
        let score = score.map_or(0.0, |considered| considered.score);
        let needed = main(task).map_or("it", Capability::name);
        match self.reason {
            Reason::Best => {
                let able = self.candidates.iter().filter(|considered| considered.excluded.is_none()).count();
                format!("chosen: the best score, {score:.2}, of {able} agents that can do {needed}")
            }
            Reason::AmongEquals { equals } => {
                format!("chosen: the one with the least to do among {equals} agents with the same score, {score:.2}")
            }
            Reason::BelowMinimum { best, minimum } => format!(
                "chosen: the best specialist in {needed} scores {best:.2}, which is below {minimum:.2}, so a \
                 general-purpose agent does it"
            ),
            Reason::NoSpecialist => {
                format!("chosen: there is no specialist in {needed}, so a general-purpose agent does it")
            }
            Reason::AnybodyWill => "chosen: the task needs no specialist".to_owned(),
            Reason::Nobody => {
                let mut why = self
                    .candidates
                    .iter()
                    .filter_map(|considered| Some(format!("`{}` {}", considered.key, considered.excluded.map(word)?)));
                let listed: Vec<String> = why.by_ref().take(8).collect();
                let more = why.count();
                let listed = listed.join(", ");
                match (listed.is_empty(), more) {
                    (true, _) => "no agent can do it: there is none".to_owned(),
                    (false, 0) => format!("no agent can do it: {listed}"),
                    (false, more) => format!("no agent can do it: {listed} and {more} more"),
                }
            }
        }
    }
}

/// What is needed most.
fn main(task: &Task) -> Option<Capability> {
    let most = task.needs.iter().max_by(|(_, one), (_, other)| one.total_cmp(other));
    most.map(|(capability, _)| *capability)
}

fn word(exclusion: Exclusion) -> &'static str {
    match exclusion {
        Exclusion::Inactive => "is switched off",
        Exclusion::Incapable => "lacks the capability",
        Exclusion::Language => "does not answer in the language",
        Exclusion::LeftOut => "is left out",
    }
}

fn recorded(considered: &Considered) -> ConsideredAgent {
    let Factors { capability, quality, availability, cost, speed } = considered.factors;
    ConsideredAgent {
        agent: considered.key.clone(),
        score: Share::nearest(considered.score),
        factors: AgentFactors {
            capability: Share::nearest(capability),
            quality: Share::nearest(quality),
            availability: Share::nearest(availability),
            cost: Share::nearest(cost),
            speed: Share::nearest(speed),
        },
        running: considered.running,
        experience_milli: thousandths(considered.experience),
        excluded: considered.excluded.map(|excluded| match excluded {
            Exclusion::Inactive => AgentExclusion::Inactive,
            Exclusion::Incapable => AgentExclusion::Incapable,
            Exclusion::Language => AgentExclusion::Language,
            Exclusion::LeftOut => AgentExclusion::LeftOut,
        }),
    }
}

/// A weight in thousandths, 1000 at most: by then experience outweighs everything that is expected.
fn thousandths(weight: f64) -> u32 {
    Share::nearest(weight / 1000.0).millionths()
}
