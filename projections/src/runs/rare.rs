//! What one batch does to the rows that few runs have.

use std::borrow::Cow;
use std::collections::BTreeMap;

use uuid::Uuid;

use super::change::Failure;

/// A step of a run.
pub(super) type StepKey<'a> = (Uuid, &'a str);

/// Everything that an ordinary run does not have.
#[derive(Debug, Default)]
pub(super) struct Rare<'a> {
    pub(super) parents: Vec<Parent<'a>>,
    pub(super) lineages: Vec<Lineage<'a>>,
    pub(super) firings: Vec<Firing<'a>>,
    /// Runs that do a task again, and which.
    pub(super) repeats: Vec<(Uuid, Uuid)>,
    pub(super) queued: BTreeMap<Uuid, i64>,
    pub(super) admitted: BTreeMap<Uuid, i64>,
    /// By run and revision.
    pub(super) pauses: BTreeMap<(Uuid, i64), Pause<'a>>,
    /// Runs that are no longer paused because they were cancelled, and since when.
    pub(super) unpaused: BTreeMap<Uuid, i64>,
    /// Runs that go on: when, and who resumed them.
    pub(super) resumed: BTreeMap<Uuid, (i64, String)>,
    pub(super) stalls: Vec<Stall<'a>>,
    pub(super) signals: Vec<Signal<'a>>,
    pub(super) activities: BTreeMap<StepKey<'a>, Activity<'a>>,
    /// Runs of steps that were left alone.
    pub(super) abandoned: Vec<StepKey<'a>>,
    pub(super) approvals: BTreeMap<StepKey<'a>, Approval<'a>>,
    pub(super) expired: Vec<StepKey<'a>>,
    pub(super) decisions: Vec<Decision<'a>>,
    pub(super) lists: BTreeMap<StepKey<'a>, List>,
    pub(super) items: BTreeMap<(Uuid, &'a str, i32), Part<'a>>,
    pub(super) undos: BTreeMap<StepKey<'a>, Part<'a>>,
}

/// The run and step that started a run.
#[derive(Debug)]
pub(super) struct Parent<'a> {
    pub(super) run: Uuid,
    pub(super) parent: Uuid,
    pub(super) step: &'a str,
    pub(super) depth: i32,
}

/// Where a run's history comes from.
#[derive(Debug)]
pub(super) struct Lineage<'a> {
    pub(super) run: Uuid,
    pub(super) source: Uuid,
    pub(super) revision: i64,
    pub(super) kind: &'static str,
    pub(super) kept: Vec<&'a str>,
    pub(super) overrides: String,
    pub(super) position: i64,
}

/// What made a trigger start a run.
#[derive(Debug)]
pub(super) struct Firing<'a> {
    pub(super) run: Uuid,
    pub(super) trigger: Uuid,
    pub(super) cause: Cow<'a, str>,
}

/// A pause.
#[derive(Debug)]
pub(super) struct Pause<'a> {
    pub(super) by: String,
    pub(super) reason: Cow<'a, str>,
    pub(super) since: i64,
    pub(super) clock: &'static str,
    pub(super) hold: Option<Uuid>,
}

/// A run with nothing to wait for.
#[derive(Debug)]
pub(super) struct Stall<'a> {
    pub(super) run: Uuid,
    pub(super) number: i64,
    pub(super) what: Cow<'a, str>,
    pub(super) at: i64,
}

/// A signal that came.
#[derive(Debug)]
pub(super) struct Signal<'a> {
    pub(super) run: Uuid,
    pub(super) number: i64,
    pub(super) signal: &'a str,
    pub(super) payload: String,
    pub(super) at: i64,
}

/// What a step waits for.
#[derive(Debug, Default)]
pub(super) struct Activity<'a> {
    pub(super) fires_at: Option<i64>,
    pub(super) signal: Option<&'a str>,
    pub(super) child: Option<Uuid>,
}

/// What people are asked.
#[derive(Debug)]
pub(super) struct Approval<'a> {
    pub(super) content: String,
    pub(super) content_hash: &'a [u8],
    pub(super) expires_at: Option<i64>,
}

/// What one of them said.
#[derive(Debug)]
pub(super) struct Decision<'a> {
    pub(super) run: Uuid,
    pub(super) step: &'a str,
    pub(super) number: i64,
    pub(super) by: String,
    pub(super) approved: bool,
    pub(super) comment: Cow<'a, str>,
    pub(super) content_hash: &'a [u8],
    pub(super) at: i64,
}

/// What a step works through.
#[derive(Debug)]
pub(super) struct List {
    pub(super) elements: String,
    pub(super) length: i32,
}

/// A task that is part of a step: for an element of its list, or to undo it.
#[derive(Debug, Default)]
pub(super) struct Part<'a> {
    pub(super) status: &'static str,
    pub(super) task: Option<Uuid>,
    pub(super) result: Option<String>,
    pub(super) simulated: bool,
    pub(super) error: Failure<'a>,
    pub(super) started_at: Option<i64>,
    pub(super) ended_at: Option<i64>,
}

impl<'a> Part<'a> {
    pub(super) fn begin(&mut self, task: Uuid, at: i64) {
        self.status = "running";
        self.task = Some(task);
        self.started_at = Some(at);
    }

    pub(super) fn end(&mut self, status: &'static str, at: i64) -> &mut Self {
        self.status = status;
        self.ended_at = Some(at);
        self
    }

    /// Fails.
    pub(super) fn fail(&mut self, error: Failure<'a>, at: i64) {
        self.end("failed", at).error = error;
    }
}
