//! What is known of all agents, from events alone: who there is, how each has done, and what each is doing.
//!
//! Invariant: the same events in the same order make the same roster. What was simulated, and what failed for a reason
//! that lies in nobody's work, says nothing about an agent and is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use domain::agent::Profile;
use domain::task::Score;
use domain::{AgentEvent, AgentId, ErrorKind, Event, Key, NanoUsd, StreamId, TaskEvent, TaskId, Timestamp};
use serde::{Deserialize, Serialize};

use super::choose::{Candidate, State};
use super::history::History;

/// A choice whose task has not shown for so long was never recorded.
const EXPECTED_WITHIN: Duration = Duration::from_secs(60);

/// All agents. What is serialised of it are the histories and the open tasks; who there is is read from the agents' own
/// events, which are few.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Roster {
    #[serde(skip)]
    listed: BTreeMap<AgentId, Listed>,
    histories: BTreeMap<AgentId, History>,
    open: BTreeMap<TaskId, Open>,
    /// Tasks that were given to somebody and whose events are still on their way.
    #[serde(skip)]
    expected: BTreeMap<TaskId, (AgentId, Timestamp)>,
}

#[derive(Debug, Clone, PartialEq)]
struct Listed {
    profile: Arc<Profile>,
    disabled: bool,
}

/// A task under way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Open {
    agent: AgentId,
    /// What its attempts cost; `None` when that is not known of one.
    spent: Option<NanoUsd>,
    /// How long its answers took together.
    took: Duration,
    /// Whether one of them was simulated.
    simulated: bool,
}

impl Roster {
    /// The types of event that say something about agents.
    pub const TYPES: [&'static str; 12] = [
        "agent.registered",
        "agent.revised",
        "agent.enabled",
        "agent.disabled",
        "task.assigned",
        "task.attempt_succeeded",
        "task.attempt_failed",
        "task.completed",
        "task.rated",
        "task.judged",
        "task.failed",
        "task.cancelled",
    ];

    /// Takes in an event of a stream, recorded at a moment. Those of agents may come again.
    pub fn take_in(&mut self, stream: StreamId, event: &Event, at: Timestamp) {
        match event {
            Event::Agent(event) => self.take_in_agent(AgentId::from_uuid(stream.id), event),
            Event::Task(event) => self.take_in_task(TaskId::from_uuid(stream.id), event, at),
            _ => {}
        }
    }

    fn take_in_agent(&mut self, agent: AgentId, event: &AgentEvent) {
        match event {
            AgentEvent::Registered { profile } | AgentEvent::Revised { profile, .. } => {
                let disabled = self.listed.get(&agent).is_some_and(|listed| listed.disabled);
                let profile = Arc::new((**profile).clone());
                self.listed.insert(agent, Listed { profile, disabled });
            }
            AgentEvent::Enabled | AgentEvent::Disabled { .. } => {
                if let Some(listed) = self.listed.get_mut(&agent) {
                    listed.disabled = matches!(event, AgentEvent::Disabled { .. });
                }
            }
        }
    }

    fn take_in_task(&mut self, task: TaskId, event: &TaskEvent, at: Timestamp) {
        match event {
            TaskEvent::Assigned { agent, .. } => {
                self.expected.remove(&task);
                self.open.insert(
                    task,
                    Open { agent: *agent, spent: Some(NanoUsd(0)), took: Duration::ZERO, simulated: false },
                );
            }
            TaskEvent::AttemptFailed { consumed: Some(consumed), .. } => {
                if let Some(open) = self.open.get_mut(&task) {
                    open.spent = added(open.spent, consumed.cost);
                }
            }
            TaskEvent::AttemptSucceeded { reply, .. } => {
                if let Some(open) = self.open.get_mut(&task) {
                    open.spent = added(open.spent, reply.cost);
                    open.took = open.took.saturating_add(reply.duration);
                    open.simulated |= reply.simulated;
                }
            }
            TaskEvent::Completed { quality, .. } => {
                let Some(Open { agent, spent, took, simulated }) = self.open.remove(&task) else { return };
                if simulated {
                    return;
                }
                let history = self.histories.entry(agent).or_default();
                history.failures.add(0.0, at);
                history.seconds.add(took.as_secs_f64(), at);
                if let Some(cost) = spent {
                    history.cost_usd.add(dollars(cost), at);
                }
                if let Some(quality) = quality {
                    history.quality.add(mark(quality.score), at);
                }
            }
            TaskEvent::Rated { shift: Some(shift), .. } | TaskEvent::Judged { shift: Some(shift), .. } => {
                let history = self.histories.entry(shift.agent).or_default();
                history.quality.correct(shift.from.map(mark), mark(shift.to), shift.completed_at);
            }
            TaskEvent::Failed { error } => {
                let Some(Open { agent, .. }) = self.open.remove(&task) else { return };
                if is_its_own(error.kind) {
                    self.histories.entry(agent).or_default().failures.add(1.0, at);
                }
            }
            TaskEvent::Cancelled { .. } => {
                self.open.remove(&task);
            }
            _ => {}
        }
    }

    /// Counts a task as one that an agent is doing, until its events come.
    pub fn expect(&mut self, task: TaskId, agent: &Key, now: Timestamp) {
        self.expected.insert(task, (AgentId::from_key(agent), now));
    }

    /// Every agent as a candidate, with its profile, in the order of the keys. Whoever is switched off is inactive, and
    /// whoever is in `without` is left out.
    #[must_use]
    pub fn candidates(&self, without: &BTreeSet<Key>, now: Timestamp) -> Vec<(Arc<Profile>, Candidate)> {
        let mut running: BTreeMap<AgentId, u32> = BTreeMap::new();
        let expected = self.expected.values().filter(|(_, since)| now.since(*since) < EXPECTED_WITHIN);
        for agent in self.open.values().map(|open| open.agent).chain(expected.map(|(agent, _)| *agent)) {
            let count = running.entry(agent).or_default();
            *count = count.saturating_add(1);
        }
        let candidate = |(id, listed): (&AgentId, &Listed)| {
            let Profile { key, capabilities, languages, department, .. } = &*listed.profile;
            let state = match listed.disabled {
                true => State::Inactive,
                false if without.contains(key) => State::LeftOut,
                false => State::Active,
            };
            let candidate = Candidate {
                key: key.clone(),
                capabilities: capabilities.clone(),
                languages: languages.clone(),
                department: department.clone(),
                state,
                running: running.get(id).copied().unwrap_or_default(),
                history: self.histories.get(id).copied().unwrap_or_default(),
            };
            (Arc::clone(&listed.profile), candidate)
        };
        let mut candidates: Vec<_> = self.listed.iter().map(candidate).collect();
        candidates.sort_by(|(_, one), (_, other)| one.key.cmp(&other.key));
        candidates
    }

    /// Forgets the choices that were never recorded.
    pub fn tidy(&mut self, now: Timestamp) {
        self.expected.retain(|_, (_, since)| now.since(*since) < EXPECTED_WITHIN);
    }
}

/// As a number from 1 to 10.
fn mark(score: Score) -> f64 {
    f64::from(score.hundredths()) / 100.0
}

fn added(one: Option<NanoUsd>, other: Option<NanoUsd>) -> Option<NanoUsd> {
    Some(NanoUsd(one?.0.saturating_add(other?.0)))
}

/// In dollars; what is more than two thousand million of them is no number and is left out.
fn dollars(cost: NanoUsd) -> f64 {
    let (whole, rest) = (cost.0 / 1_000_000_000, cost.0 % 1_000_000_000);
    let part = |value: i64| i32::try_from(value).map_or(f64::INFINITY, f64::from);
    part(whole) + part(rest) / 1e9
}

/// Whether a failure says something about who did the work. What could not be asked at all, was not paid for, or was cut
/// on this side does not.
fn is_its_own(kind: ErrorKind) -> bool {
    !matches!(
        kind,
        ErrorKind::InvalidInput
            | ErrorKind::BudgetExhausted
            | ErrorKind::UnknownPlatform
            | ErrorKind::Interrupted
            | ErrorKind::Lost
            | ErrorKind::Rejected
            | ErrorKind::RunFailed
    )
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use domain::task::{Consumed, Quality, Shift};
    use domain::{Actor, AttemptError, Category, FinishReason, Reply, Usage};
    use uuid::Uuid;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn registered(key: &str) -> (StreamId, Event) {
        let key: Key = key.parse().unwrap();
        let profile = Box::new(Profile::new(key.clone(), "An agent", "You work."));
        (AgentId::from_key(&key).into(), AgentEvent::Registered { profile }.into())
    }

    fn task(number: u128) -> StreamId {
        StreamId { category: Category::Task, id: Uuid::from_u128(number) }
    }

    fn assigned(number: u128, agent: &str) -> (StreamId, Event) {
        let agent = AgentId::from_key(&agent.parse().unwrap());
        (task(number), TaskEvent::Assigned { agent, agent_version: 1, reason: String::new(), choice: None }.into())
    }

    fn succeeded(number: u128, nano: Option<i64>, seconds: u64, simulated: bool) -> (StreamId, Event) {
        let reply = Box::new(Reply {
            text: String::new(),
            finish: FinishReason::Stop,
            model: String::new(),
            usage: Usage::default(),
            cost: nano.map(NanoUsd),
            duration: Duration::from_secs(seconds),
            first_piece: None,
            simulated,
            account: None,
        });
        (task(number), TaskEvent::AttemptSucceeded { attempt: 1, reply }.into())
    }

    fn completed(number: u128, marked: Option<u16>) -> (StreamId, Event) {
        let quality = marked.map(|hundredths| {
            Box::new(Quality { score: Score::of_hundredths(hundredths).unwrap(), checks: Vec::new() })
        });
        (task(number), TaskEvent::Completed { attempt: 1, output: None, quality, review: None }.into())
    }

    fn error(kind: ErrorKind) -> AttemptError {
        AttemptError { kind, message: String::new(), retry_after: None }
    }

    fn failed(number: u128, kind: ErrorKind) -> (StreamId, Event) {
        (task(number), TaskEvent::Failed { error: error(kind) }.into())
    }

    fn roster(events: impl IntoIterator<Item = (StreamId, Event)>) -> Roster {
        let mut roster = Roster::default();
        for (second, (stream, event)) in (0..).zip(events) {
            roster.take_in(stream, &event, at(second));
        }
        roster
    }

    fn only(roster: &Roster, now: Timestamp) -> Candidate {
        roster.candidates(&BTreeSet::new(), now)[0].1.clone()
    }

    #[test]
    fn what_an_agent_has_done_is_its_history_and_what_it_does_is_counted() {
        let events = [
            registered("a"),
            assigned(1, "a"),
            assigned(2, "a"),
            succeeded(1, Some(500_000_000), 7, false),
            completed(1, None),
        ];
        let agent = only(&roster(events), at(10));
        assert_eq!(agent.running, 1);
        assert!((agent.history.cost_usd.mean().unwrap() - 0.5).abs() < 1e-9);
        assert!((agent.history.seconds.mean().unwrap() - 7.0).abs() < 1e-9);
        assert_eq!(agent.history.failures.mean(), Some(0.0));
        assert_eq!(agent.history.quality.mean(), None);
    }

    #[test]
    fn what_is_said_of_an_answer_later_counts_as_of_its_completion() {
        let score = |hundredths| Score::of_hundredths(hundredths).unwrap();
        let agent = AgentId::from_key(&"a".parse().unwrap());
        let shift =
            |from: Option<u16>, to| Some(Shift { agent, completed_at: at(3), from: from.map(score), to: score(to) });
        let rated = |mark, shift| {
            let (by, comment) = (Actor::person("ada"), String::new());
            (task(1), Event::from(TaskEvent::Rated { by, mark: score(mark), comment, at: at(9), shift }))
        };
        let mut roster =
            roster([registered("a"), assigned(1, "a"), succeeded(1, None, 1, false), completed(1, Some(400))]);
        let quality = |roster: &Roster| only(roster, at(10)).history.quality;
        assert!((quality(&roster).mean().unwrap() - 4.0).abs() < 1e-9);
        for (event, mean) in [(rated(900, shift(Some(400), 900)), 9.0), (rated(200, shift(Some(900), 550)), 5.5)] {
            roster.take_in(event.0, &event.1, at(1_000_000));
            assert!((quality(&roster).mean().unwrap() - mean).abs() < 1e-9);
            assert!((quality(&roster).weight(at(3)) - 1.0).abs() < 1e-9, "it is still one task");
        }
    }

    #[test]
    fn failed_attempts_are_part_of_the_cost_and_unknown_cost_is_left_out() {
        let attempt = |nano: Option<i64>| {
            let consumed = Some(Consumed { cost: nano.map(NanoUsd), ..Consumed::default() });
            let error = error(ErrorKind::Timeout);
            (task(1), TaskEvent::AttemptFailed { attempt: 1, error, retry_at: None, consumed }.into())
        };
        let with = |nano| {
            let answer = succeeded(1, Some(1_000_000_000), 1, false);
            let events = [registered("a"), assigned(1, "a"), attempt(nano), answer, completed(1, None)];
            only(&roster(events), at(5)).history.cost_usd.mean()
        };
        assert!((with(Some(250_000_000)).unwrap() - 1.25).abs() < 1e-9);
        assert_eq!(with(None), None);
    }

    #[test]
    fn what_says_nothing_about_an_agent_is_left_out() {
        let events = [
            registered("a"),
            assigned(1, "a"),
            succeeded(1, Some(0), 0, true),
            completed(1, Some(900)),
            assigned(2, "a"),
            failed(2, ErrorKind::BudgetExhausted),
            assigned(3, "a"),
            (task(3), TaskEvent::Cancelled { reason: String::new() }.into()),
        ];
        let agent = only(&roster(events), at(10));
        assert_eq!((agent.running, agent.history), (0, History::default()));
        let events = [registered("a"), assigned(1, "a"), failed(1, ErrorKind::ContentRefused)];
        assert_eq!(only(&roster(events), at(10)).history.failures.mean(), Some(1.0));
    }

    #[test]
    fn whoever_was_chosen_is_busy_before_the_events_come_and_not_for_ever() {
        let mut roster = roster([registered("a")]);
        let (one, two) = (TaskId::from_uuid(Uuid::from_u128(1)), TaskId::from_uuid(Uuid::from_u128(2)));
        let key: Key = "a".parse().unwrap();
        roster.expect(one, &key, at(0));
        roster.expect(one, &key, at(0));
        roster.expect(two, &key, at(30));
        assert_eq!(only(&roster, at(31)).running, 2);
        let (stream, event) = assigned(1, "a");
        roster.take_in(stream, &event, at(31));
        assert_eq!(only(&roster, at(32)).running, 2);
        roster.tidy(at(91));
        assert_eq!(only(&roster, at(91)).running, 1);
    }

    #[test]
    fn switched_off_and_left_out_agents_say_so() {
        let id = StreamId::from(AgentId::from_key(&"a".parse().unwrap()));
        let mut roster = roster([registered("a"), (id, AgentEvent::Disabled { reason: String::new() }.into())]);
        let without = BTreeSet::from(["a".parse().unwrap()]);
        assert_eq!(roster.candidates(&without, at(5))[0].1.state, State::Inactive);
        let (stream, revised) = registered("a");
        roster.take_in(stream, &revised, at(3));
        assert_eq!(only(&roster, at(5)).state, State::Inactive, "a new profile does not switch it on");
        roster.take_in(id, &AgentEvent::Enabled.into(), at(4));
        assert_eq!(only(&roster, at(5)).state, State::Active);
        assert_eq!(roster.candidates(&without, at(5))[0].1.state, State::LeftOut);
    }
}
