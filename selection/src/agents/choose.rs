use std::cmp::Ordering;

use domain::{Capability, Key, Timestamp};
use serde::Serialize;

use super::history::{Average, History};

/// What has to be done.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Task {
    /// What it needs: each capability with a weight between 0 and 1, which add up to 1 at most. A template that names its
    /// capability needs that one with weight 1; what was classified may need several, each a little. Nothing: anybody
    /// can do it.
    pub needs: Vec<(Capability, f64)>,
    /// The language of the answer, as a BCP 47 tag.
    pub language: Option<String>,
    /// The department that it is for; among equals its own agents come first.
    pub department: Option<String>,
}

/// Whether an agent can take work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Yes.
    #[default]
    Active,
    /// Its platform does not answer.
    Down,
    /// It is switched off.
    Inactive,
    /// Whoever asks leaves it out.
    LeftOut,
}

/// An agent, and what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its key.
    pub key: Key,
    /// What it is a specialist in; none of a general-purpose agent.
    pub capabilities: Vec<Capability>,
    /// Languages that it answers in, as BCP 47 tags; empty when it does not say.
    pub languages: Vec<String>,
    /// Whose it is.
    pub department: String,
    /// Whether it can take work.
    pub state: State,
    /// Tasks that it is doing.
    pub running: u32,
    /// How it has done.
    pub history: History,
}

impl Candidate {
    /// An agent of which nothing is known but what it can do.
    #[must_use]
    pub fn new(key: Key, capabilities: Vec<Capability>) -> Self {
        Self {
            key,
            capabilities,
            languages: Vec::new(),
            department: String::new(),
            state: State::Active,
            running: 0,
            history: History::default(),
        }
    }
}

/// By what an agent is chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Below this score nobody is good enough, and a general-purpose agent does the work.
    pub minimum: f64,
    /// What a task may cost at most to be acceptable, in US dollars.
    pub acceptable_cost_usd: f64,
    /// How long a task may take at most to be acceptable, in seconds.
    pub acceptable_seconds: f64,
    /// With so many tasks at a time an agent is busy.
    pub busy_from: u32,
    /// With so great a share of failures an agent is failing, once three tasks count.
    pub failing_from: f64,
    /// Scores that differ by less are equal.
    pub margin: f64,
    /// For how many tasks what is expected of a new agent counts.
    pub prior_strength: f64,
    /// The general-purpose agent to take; any agent without capabilities when not given or not at hand.
    pub general_purpose: Option<Key>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            minimum: 0.6,
            acceptable_cost_usd: 1.0,
            acceptable_seconds: 300.0,
            busy_from: 8,
            failing_from: 0.5,
            margin: 0.01,
            prior_strength: 3.0,
            general_purpose: None,
        }
    }
}

/// Why an agent was not considered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exclusion {
    /// It is switched off.
    Inactive,
    /// It has none of the capabilities that are needed.
    Incapable,
    /// It does not answer in the language that is wanted.
    Language,
    /// Whoever asks leaves it out.
    LeftOut,
}

/// What a score is made of, each between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Factors {
    /// How much of what is needed it is a specialist in.
    pub capability: f64,
    /// The average quality of its results / 10.
    pub quality: f64,
    /// 1, or 0.3 when it is busy, failing, or its platform is down.
    pub availability: f64,
    /// 1 − average cost / the acceptable maximum.
    pub cost: f64,
    /// 1 − average time / the acceptable maximum.
    pub speed: f64,
}

impl Factors {
    /// The score, 0 to 1: 40 % capability, 25 % quality, 15 % availability, 10 % cost, 10 % speed.
    #[must_use]
    pub fn score(&self) -> f64 {
        let factor = |value: f64| if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) };
        0.40 * factor(self.capability)
            + 0.25 * factor(self.quality)
            + 0.15 * factor(self.availability)
            + 0.10 * factor(self.cost)
            + 0.10 * factor(self.speed)
    }
}

/// An agent that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Considered {
    /// Its key.
    pub key: Key,
    /// Its factors.
    pub factors: Factors,
    /// Its score, made of them.
    pub score: f64,
    /// Tasks that it was doing.
    pub running: u32,
    /// For how many tasks its own history counts; 0 when all but the capability is what is expected of a new agent.
    pub experience: f64,
    /// Why it could not be chosen for its capabilities.
    pub excluded: Option<Exclusion>,
}

/// Why it was this agent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum Reason {
    /// Its score is the best.
    Best,
    /// Others have the same score, and it has the least to do, or comes first for another reason that does not count.
    AmongEquals {
        /// How many there are with it.
        equals: usize,
    },
    /// The best score of a specialist was below the minimum, so a general-purpose agent takes it.
    BelowMinimum {
        /// The best score.
        best: f64,
        /// The minimum.
        minimum: f64,
    },
    /// No specialist can do it, so a general-purpose agent takes it.
    NoSpecialist,
    /// The task needs no specialist.
    AnybodyWill,
    /// There is no agent for it at all.
    Nobody,
}

/// A choice, with all that it was made from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Choice {
    /// The agent; nothing when there is none for this task.
    pub agent: Option<Key>,
    /// Why.
    pub reason: Reason,
    /// All agents that were looked at, those that could be chosen first, by falling score.
    pub candidates: Vec<Considered>,
}

/// Chooses the agent for a task.
///
/// Specialists come first: active, with a capability that is needed, in the language that is wanted. When the best of
/// them scores below the policy's minimum, or there is none, a general-purpose agent takes the task: the one that the
/// policy names, or the best of those without capabilities. The order of `candidates` does not matter.
#[must_use]
pub fn choose(task: &Task, candidates: &[Candidate], policy: &Policy, now: Timestamp) -> Choice {
    let prior = Prior::of(task, candidates, policy, now);
    let mut looked: Vec<(&Candidate, Considered)> =
        candidates.iter().map(|candidate| (candidate, consider(task, candidate, policy, &prior, now))).collect();
    looked.sort_by(|(_, one), (_, other)| {
        let first = one.excluded.is_some().cmp(&other.excluded.is_some());
        first.then(other.score.total_cmp(&one.score)).then_with(|| one.key.cmp(&other.key))
    });
    let (agent, reason) = decide(task, &looked, policy);
    Choice { agent, reason, candidates: looked.into_iter().map(|(_, considered)| considered).collect() }
}

fn decide(task: &Task, looked: &[(&Candidate, Considered)], policy: &Policy) -> (Option<Key>, Reason) {
    let specialists: Vec<&(&Candidate, Considered)> = looked
        .iter()
        .filter(|(candidate, considered)| considered.excluded.is_none() && !candidate.capabilities.is_empty())
        .collect();
    let why = match specialists.first() {
        _ if task.needs.is_empty() => Reason::AnybodyWill,
        None => Reason::NoSpecialist,
        Some((_, best)) if best.score < policy.minimum => {
            Reason::BelowMinimum { best: best.score, minimum: policy.minimum }
        }
        Some(_) => {
            let (agent, equals) = least_loaded(task, &specialists, policy.margin);
            return (agent, if equals > 1 { Reason::AmongEquals { equals } } else { Reason::Best });
        }
    };
    let general: Vec<&(&Candidate, Considered)> = looked
        .iter()
        .filter(|(candidate, _)| {
            candidate.capabilities.is_empty() || Some(&candidate.key) == policy.general_purpose.as_ref()
        })
        .filter(|(candidate, _)| exclusion_of_anybody(task, candidate).is_none())
        .collect();
    let named = general.iter().find(|(candidate, _)| Some(&candidate.key) == policy.general_purpose.as_ref());
    match named {
        Some((candidate, _)) => (Some(candidate.key.clone()), why),
        None => match least_loaded(task, &general, policy.margin) {
            (None, _) => (None, Reason::Nobody),
            (agent, _) => (agent, why),
        },
    }
}

/// Of those whose score equals the best one, the one with the least to do; then an agent of the task's department, then
/// the one that is a specialist in the least, then the first by key. Also how many equals there are.
fn least_loaded(task: &Task, among: &[&(&Candidate, Considered)], margin: f64) -> (Option<Key>, usize) {
    let best = among.iter().map(|(_, considered)| considered.score).fold(0.0, f64::max);
    let equals: Vec<&&(&Candidate, Considered)> =
        among.iter().filter(|(_, considered)| considered.score >= best - margin).collect();
    let order = |(one, _): &(&Candidate, Considered), (other, _): &(&Candidate, Considered)| -> Ordering {
        let elsewhere =
            |candidate: &Candidate| task.department.as_ref().is_some_and(|wanted| *wanted != candidate.department);
        one.running
            .cmp(&other.running)
            .then(elsewhere(one).cmp(&elsewhere(other)))
            .then(one.capabilities.len().cmp(&other.capabilities.len()))
            .then_with(|| one.key.cmp(&other.key))
    };
    let first = equals.iter().min_by(|one, other| order(one, other));
    (first.map(|(candidate, _)| candidate.key.clone()), equals.len())
}

/// What is expected of an agent of which nothing is known.
struct Prior {
    quality: f64,
    cost_usd: f64,
    seconds: f64,
}

impl Prior {
    /// The average of those who can do the work and have done some; the middle when nobody has.
    fn of(task: &Task, candidates: &[Candidate], policy: &Policy, now: Timestamp) -> Self {
        let of = |average: fn(&History) -> &Average, otherwise: f64| {
            let known = candidates.iter().filter(|candidate| exclusion(task, candidate).is_none());
            let known = known.map(|candidate| average(&candidate.history)).filter(|average| average.weight(now) > 0.0);
            let (mut sum, mut count) = (0.0, 0.0);
            for mean in known.filter_map(Average::mean) {
                sum += mean;
                count += 1.0;
            }
            if count > 0.0 { sum / count } else { otherwise }
        };
        Self {
            quality: of(|history| &history.quality, 6.0),
            cost_usd: of(|history| &history.cost_usd, policy.acceptable_cost_usd / 2.0),
            seconds: of(|history| &history.seconds, policy.acceptable_seconds / 2.0),
        }
    }
}

fn consider(task: &Task, candidate: &Candidate, policy: &Policy, prior: &Prior, now: Timestamp) -> Considered {
    let History { quality, cost_usd, seconds, failures } = &candidate.history;
    // Three that have just faded a little still count as three.
    let failing = failures.weight(now) > 2.5 && failures.mean().is_some_and(|share| share >= policy.failing_from);
    let hindered = candidate.state != State::Active || candidate.running >= policy.busy_from || failing;
    let saved = |average: &Average, prior: f64, most: f64| {
        let value = average.with_prior(prior, policy.prior_strength, now);
        if most > 0.0 { (1.0 - value / most).clamp(0.0, 1.0) } else { 0.0 }
    };
    let factors = Factors {
        capability: capability(task, candidate),
        quality: (quality.with_prior(prior.quality, policy.prior_strength, now) / 10.0).clamp(0.0, 1.0),
        availability: if hindered { 0.3 } else { 1.0 },
        cost: saved(cost_usd, prior.cost_usd, policy.acceptable_cost_usd),
        speed: saved(seconds, prior.seconds, policy.acceptable_seconds),
    };
    let experience = [quality, cost_usd, seconds, failures].map(|average| average.weight(now));
    Considered {
        key: candidate.key.clone(),
        factors,
        score: factors.score(),
        running: candidate.running,
        experience: experience.into_iter().fold(0.0, f64::max),
        excluded: exclusion(task, candidate),
    }
}

/// How much of what is needed an agent is a specialist in.
fn capability(task: &Task, candidate: &Candidate) -> f64 {
    let met = task.needs.iter().filter(|(need, _)| candidate.capabilities.contains(need));
    met.map(|(_, weight)| if weight.is_nan() { 0.0 } else { weight.max(0.0) }).sum::<f64>().clamp(0.0, 1.0)
}

fn exclusion(task: &Task, candidate: &Candidate) -> Option<Exclusion> {
    let incapable = !task.needs.is_empty() && capability(task, candidate) <= 0.0;
    exclusion_of_anybody(task, candidate).or(incapable.then_some(Exclusion::Incapable))
}

/// Why not even work that needs no specialist can be given to an agent.
fn exclusion_of_anybody(task: &Task, candidate: &Candidate) -> Option<Exclusion> {
    let main = |tag: &str| tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
    let speaks = |wanted: &String| {
        candidate.languages.is_empty() || candidate.languages.iter().any(|language| main(language) == main(wanted))
    };
    match candidate.state {
        State::Inactive => return Some(Exclusion::Inactive),
        State::LeftOut => return Some(Exclusion::LeftOut),
        State::Active | State::Down => {}
    }
    task.language.as_ref().is_some_and(|wanted| !speaks(wanted)).then_some(Exclusion::Language)
}
