//! Who does a task for which nobody is named.
//!
//! Follows what happens to agents and tasks from the moment that somebody is to be chosen for the first time; where every
//! step names its agent, nothing is followed. Invariants: what the choice is made from follows from events and from how
//! the platforms are doing, and is recorded with it, in the append that assigns the task; who was chosen counts as busy at
//! once, so that many choices at the same time spread.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::agent::Profile;
use domain::task::AgentChoice;
use domain::template::TemplateBody;
use domain::{Category, Key, PlatformTag, TaskId, Timestamp};
use journal::{AppendError, Checkpoint, Checkpoints, Filter, Journal, Page, Position, ReadError, RecordedEvent};
use parking_lot::Mutex;
use providers::{Registry, Request};
use selection::{Candidate, Choice, Policy, Roster, State, Task};
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::residency::Residency;
use crate::traffic::Traffic;
use crate::way::Way;

/// Under which name its checkpoint is kept.
const CHECKPOINT: &str = "engine.agents";
/// The first byte of a saved copy; one with another is not read.
const FORMAT: u8 = 3;
/// After how many events it is saved.
const SAVE_EVERY: usize = 20_000;
/// How many events are read at a time.
const PAGE: usize = 2000;

/// Cheap to clone; all clones share what they know.
#[derive(Clone)]
pub(crate) struct Dispatch(Arc<Shared>);

struct Shared {
    policy: Policy,
    platforms: Registry,
    residency: Arc<Residency>,
    traffic: Traffic,
    checkpoints: Arc<dyn Checkpoints>,
    roster: Mutex<Roster>,
    wanted: watch::Sender<bool>,
    known: Mutex<Known>,
    /// Tells that `known` has changed; in the order in which they wait, so that the same world goes the same way twice.
    told: Notify,
}

/// How much of what has happened to agents is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Not all of it yet.
    Some,
    /// Everything, but for what happens right now.
    All,
    /// Not all of it, and it will not be: the engine has stopped.
    Never,
}

/// What a task asks of its agent.
pub(crate) fn asks(body: &TemplateBody, department: &str, parameters: &Value) -> Task {
    let department = if department.is_empty() { &body.department } else { department };
    Task {
        needs: body.capability.map(|capability| (capability, 1.0)).into_iter().collect(),
        language: parameters.get("answer_language").and_then(Value::as_str).and_then(language),
        department: Some(department.to_owned()).filter(|department| !department.is_empty()),
    }
}

/// The tag of a language that agents are chosen by; nothing when the text is neither a tag nor one of the two names.
fn language(text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    match text.as_str() {
        "english" | "الإنجليزية" | "إنجليزي" => return Some("en".to_owned()),
        "arabic" | "العربية" | "عربي" => return Some("ar".to_owned()),
        _ => {}
    }
    let main = text.split('-').next().unwrap_or_default();
    let is_tag = (2..=3).contains(&main.len()) && main.bytes().all(|byte| byte.is_ascii_lowercase());
    is_tag.then_some(text)
}

impl fmt::Debug for Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatch").field("policy", &self.0.policy).finish_non_exhaustive()
    }
}

impl Dispatch {
    pub(crate) fn new(
        policy: Policy,
        platforms: Registry,
        residency: Arc<Residency>,
        traffic: Traffic,
        checkpoints: Arc<dyn Checkpoints>,
    ) -> Self {
        let (roster, known) = (Mutex::default(), Mutex::new(Known::Some));
        let (wanted, told) = (watch::Sender::new(false), Notify::new());
        Self(Arc::new(Shared { policy, platforms, residency, traffic, checkpoints, roster, wanted, known, told }))
    }

    /// By what it chooses.
    pub(crate) fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// Waits until everything is known that was recorded when somebody was first to be chosen.
    ///
    /// # Errors
    /// When the engine stops.
    pub(crate) async fn ready(&self) -> Result<(), ReadError> {
        self.0.wanted.send_if_modified(|wanted| !std::mem::replace(wanted, true));
        loop {
            // Made before the look, so that no news is missed in between.
            let told = self.0.told.notified();
            let known = *self.0.known.lock();
            match known {
                Known::All => return Ok(()),
                Known::Never => return Err(ReadError::Closed),
                Known::Some => told.await,
            }
        }
    }

    /// Says how much is known, when that was not yet decided.
    fn tell(&self, known: Known) {
        let mut before = self.0.known.lock();
        if *before == Known::Some {
            *before = known;
            self.0.told.notify_waiters();
        }
    }

    /// Chooses, as of now, for a task of this template; whoever is in `without` is left out.
    pub(crate) fn choose(
        &self,
        task: &Task,
        template: Option<&TemplateBody>,
        without: &BTreeSet<Key>,
        now: Timestamp,
    ) -> Choice {
        let demanded = self.0.residency.demands(None, template, task.department.as_deref());
        let candidates = self.0.roster.lock().candidates(without, now);
        let candidates: Vec<Candidate> = candidates
            .into_iter()
            .map(|(profile, candidate)| match candidate.state {
                State::Active if self.is_down(&profile, &demanded) => Candidate { state: State::Down, ..candidate },
                _ => candidate,
            })
            .collect();
        selection::choose(task, &candidates, &self.0.policy, now)
    }

    /// Whether none of the platforms that an agent may use can be called now.
    fn is_down(&self, profile: &Profile, demanded: &BTreeSet<PlatformTag>) -> bool {
        let request = Request { model: profile.model.clone(), ..Request::new(String::new()) };
        let own = self.0.residency.demands(Some(profile), None, None);
        let demanded = own.union(demanded).cloned().collect();
        Way::new(&self.0.platforms, profile, request, 1, demanded).is_ok_and(|way| !way.is_open(&self.0.traffic))
    }

    /// The choice as it is recorded; from now on its agent counts as doing the task. Nothing when nobody was chosen.
    pub(crate) fn settle(&self, id: TaskId, task: &Task, choice: &Choice, now: Timestamp) -> Option<AgentChoice> {
        let recorded = choice.recorded(task, &self.0.policy)?;
        self.0.roster.lock().expect(id, choice.agent.as_ref()?, now);
        Some(recorded)
    }

    /// Follows the journal, once somebody is to be chosen, until shutdown.
    pub(crate) async fn follow(self, journal: Arc<dyn Journal>, shutdown: CancellationToken) {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            () = self.keep_up(&journal) => {}
        }
        self.tell(Known::Never);
    }

    async fn keep_up(&self, journal: &Arc<dyn Journal>) {
        if self.0.wanted.subscribe().wait_for(|wanted| *wanted).await.is_err() {
            return;
        }
        let mut position = loop {
            match self.catch_up(&**journal).await {
                Ok(position) => break position,
                Err(ReadError::Closed) => return,
                Err(error) => pause(&error).await,
            }
        };
        self.tell(Known::All);
        let mut subscription = journal.subscribe(position, filter()).quiet();
        let mut unsaved = 0;
        loop {
            match subscription.next().await {
                Ok(batch) => {
                    self.take_in(&batch.events);
                    (position, unsaved) = (batch.position, unsaved + batch.events.len());
                    if unsaved >= SAVE_EVERY {
                        self.save_or_warn(position).await;
                        unsaved = 0;
                    }
                }
                Err(ReadError::Closed) => return,
                Err(error) => pause(&error).await,
            }
        }
    }

    /// Reads who there is, then what has happened since the saved copy was made.
    async fn catch_up(&self, journal: &dyn Journal) -> Result<Position, ReadError> {
        let saved = self.0.checkpoints.load(CHECKPOINT).await?.and_then(|saved| thawed(&saved));
        let (mut position, roster) = saved.unwrap_or_default();
        *self.0.roster.lock() = roster;
        self.read(journal, Position::default(), &agents()).await?;
        let from = position;
        position = self.read(journal, from, &filter()).await?;
        if position != from {
            self.save_or_warn(position).await;
        }
        Ok(position)
    }

    /// Who there was, how each had done and what each was doing when the journal ended with the event at `until`, from what was
    /// saved before that, if anything was, and what has happened since. `None` when that is more than `most` events.
    pub(crate) async fn roster_as_of(
        &self,
        journal: &dyn Journal,
        until: Position,
        most: usize,
    ) -> Result<Option<Roster>, ReadError> {
        let saved = self.0.checkpoints.load(CHECKPOINT).await?.and_then(|saved| thawed(&saved));
        let (from, mut roster) = saved.filter(|(position, _)| *position <= until).unwrap_or_default();
        let mut folded = 0;
        // What is saved does not hold who there was.
        let listed = (from > Position::START).then(|| (Position::START, agents()));
        for (mut position, filter) in listed.into_iter().chain([(from, filter())]) {
            while position < until {
                let Page { mut events, position: reached } = journal.read_all(position, &filter, PAGE).await?;
                events.retain(|event| event.position <= until);
                folded += events.len();
                if folded > most {
                    return Ok(None);
                }
                take_in(&mut roster, &events);
                if reached == position {
                    break;
                }
                position = reached;
            }
        }
        Ok(Some(roster))
    }

    fn take_in(&self, events: &[Arc<RecordedEvent>]) {
        let mut roster = self.0.roster.lock();
        take_in(&mut roster, events);
        if let Some(last) = events.last() {
            roster.tidy(last.recorded_at);
        }
    }

    /// Only the next start gets slower when it fails.
    async fn save_or_warn(&self, position: Position) {
        let frozen = postcard::to_extend(&*self.0.roster.lock(), vec![FORMAT]);
        let saved = match frozen {
            Ok(state) => self.0.checkpoints.save(CHECKPOINT, Checkpoint { position, state }).await,
            Err(error) => Err(AppendError::Invalid(error.to_string())),
        };
        if let Err(error) = saved {
            tracing::warn!(error = &error as &dyn std::error::Error, "what is known of agents was not saved");
        }
    }

    async fn read(
        &self,
        journal: &dyn Journal,
        mut position: Position,
        filter: &Filter,
    ) -> Result<Position, ReadError> {
        loop {
            let Page { events, position: reached } = journal.read_all(position, filter, PAGE).await?;
            self.take_in(&events);
            if reached == position {
                return Ok(position);
            }
            position = reached;
        }
    }
}

fn take_in(roster: &mut Roster, events: &[Arc<RecordedEvent>]) {
    for recorded in events {
        match recorded.event() {
            Ok(event) => roster.take_in(recorded.stream, event, recorded.recorded_at),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(position = %recorded.position, error, "an event cannot be read; the choice of agents goes on without it");
            }
        }
    }
}

/// `None` when the copy is not of this format; then everything is read again.
fn thawed(saved: &Checkpoint) -> Option<(Position, Roster)> {
    let (format, state) = saved.state.split_first()?;
    let (roster, rest) = postcard::take_from_bytes::<Roster>(state).ok()?;
    (*format == FORMAT && rest.is_empty()).then_some((saved.position, roster))
}

async fn pause(error: &ReadError) {
    tracing::warn!(error = error as &dyn std::error::Error, "the choice of agents waits for the journal");
    tokio::time::sleep(Duration::from_millis(500)).await;
}

/// What happens to agents themselves.
fn agents() -> Filter {
    Filter { categories: vec![Category::Agent], ..Filter::default() }
}

/// The same, and what their tasks bring.
fn filter() -> Filter {
    Filter {
        categories: vec![Category::Agent, Category::Task],
        types: Roster::TYPES.iter().map(|name| (*name).to_owned()).collect(),
        ..Filter::default()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use journal::{MemoryCheckpoints, MemoryJournal};
    use providers::router::{BreakerOptions, PaceOptions};

    use super::*;
    use crate::limits::Limits;

    #[tokio::test]
    async fn no_more_is_folded_than_may_be() {
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
        let commands = commands::Commands::new(Arc::clone(&journal));
        for key in ["a", "b", "c"] {
            let profile = Profile::new(key.parse().unwrap(), "An agent", "You work.");
            let person = commands::Request::by(domain::Actor::person("ada"));
            commands.register_agent(person, profile).await.unwrap();
        }
        let traffic = Traffic::new(BreakerOptions::default(), PaceOptions::default(), Limits::default());
        let (platforms, checkpoints) = (Registry::new(vec![], &[]).unwrap(), Arc::new(MemoryCheckpoints::default()));
        let dispatch = Dispatch::new(Policy::default(), platforms, Arc::default(), traffic, checkpoints);
        let head = journal.head().await.unwrap();
        let folded = async |until, most| dispatch.roster_as_of(&*journal, until, most).await.unwrap();
        let all = folded(head, 3).await.unwrap();
        assert_eq!(all.candidates(&BTreeSet::new(), Timestamp::from_micros(0)).len(), 3);
        assert!(folded(head, 2).await.is_none());
        // What came later is not folded, and costs nothing.
        let two = folded(Position::from_u64(head.as_u64() - 1), 2).await.unwrap();
        assert_eq!(two.candidates(&BTreeSet::new(), Timestamp::from_micros(0)).len(), 2);
    }

    #[test]
    fn a_language_is_a_tag_or_one_of_two_names() {
        for (text, tag) in
            [("ar-SA", Some("ar-sa")), (" EN ", Some("en")), ("Arabic", Some("ar")), ("العربية", Some("ar"))]
        {
            assert_eq!(language(text).as_deref(), tag, "{text}");
        }
        for text in ["", "the language of the letter", "1", "Klingon"] {
            assert_eq!(language(text), None, "{text}");
        }
    }
}
