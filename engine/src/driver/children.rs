//! Runs that steps of this run start, and what this run's end means for them and for its slots.

use std::time::Duration;

use commands::{Commands, Origin, StartRun};
use domain::run::{Activity, Parent, RunStatus, StepStatus};
use domain::slots::Holder;
use domain::workflow::{ParentClose, Work};
use domain::{Actor, AttemptError, Decide, ErrorKind, Event, Run, RunCommand, RunId, StepName, Timestamp};
use journal::{Expected, StreamAppend};

use super::{Driver, Stop, late};
use crate::stage::Stage;

/// How many runs may stand above a run. A workflow that starts itself ends here.
const MAX_DEPTH: u32 = 20;

impl Driver {
    /// Starts the run of a step in the same append; answers with the step's end: its failure when the run cannot be
    /// started, its completion when it does not wait for the run.
    pub(super) async fn start_child(
        &mut self,
        stage: &mut Stage,
        step: StepName,
        child: RunId,
        now: Timestamp,
    ) -> Result<Option<RunCommand>, Stop> {
        let failed = |error| Some(RunCommand::FailStep { step: step.clone(), error, now });
        let Some(definition) = stage.run().definition().cloned() else { return Ok(None) };
        let Some(Work::Run(work)) = definition.step(&step).map(|step| &step.work) else { return Ok(None) };
        let nothing = || Ok((serde_json::Value::Null, false));
        let begun = || (!work.wait).then(|| RunCommand::SettleChild { step: step.clone(), end: nothing(), now });
        // What an earlier append that was recorded in part has started is there already.
        if self.executor().load_cached::<Run>(child.into()).await?.revision.is_some() {
            return Ok(begun());
        }
        let depth = stage.run().parent().map_or(0, |parent| parent.depth) + 1;
        if depth > MAX_DEPTH {
            return Ok(failed(wrong(format!("{MAX_DEPTH} runs already stand above this one; more are not started"))));
        }
        let input = match stage.run().child_input(&work.input) {
            Ok(input) => input,
            Err(error) => return Ok(failed(wrong(error.to_string()))),
        };
        let start = StartRun {
            version: work.version,
            priority: stage.run().priority(),
            form: Some(stage.run().form()),
            ..StartRun::new(work.workflow.clone(), input)
        };
        let by = stage.run().by().cloned().unwrap_or_else(|| Actor::system("engine"));
        let parent = Some(Parent { run: self.id, step: step.clone(), depth });
        let origin = Origin { id: child, by, at: now, parent, trigger: None, subject: stage.run().subject() };
        match self.shared.commands.prepare_run(start, origin).await {
            Ok(start) => {
                let events = late(Run::default().decide(RunCommand::Start(start))).unwrap_or_default();
                let events = events.into_iter().map(Event::from).collect();
                stage.other(StreamAppend { stream: child.into(), expected: Expected::NoStream, events });
                Ok(begun())
            }
            Err(commands::Error::Unavailable(error)) => Err(Stop::Unavailable(error)),
            Err(error) => Ok(failed(wrong(error.to_string()))),
        }
    }

    /// Takes in the ends of runs that steps wait for.
    pub(super) async fn settle_children(&mut self, stage: &mut Stage, now: Timestamp) -> Result<(), Stop> {
        let waiting: Vec<(StepName, RunId)> = stage.run().children().map(|(step, run)| (step.clone(), run)).collect();
        for (step, child) in waiting {
            let state = self.executor().load::<Run>(child.into()).await?.state;
            let end = match state.status() {
                RunStatus::Completed => {
                    let output = state.output().map(|output| (**output).clone()).unwrap_or_default();
                    Ok((output, state.simulated()))
                }
                RunStatus::Failed => {
                    let why = state.error().map(|error| error.message.clone()).unwrap_or_default();
                    Err(run_failed(format!("run {child} failed: {why}")))
                }
                RunStatus::Cancelled => {
                    let why = state.cancel().map(|cancel| cancel.reason.clone()).unwrap_or_default();
                    Err(run_failed(format!("run {child} was cancelled: {why}")))
                }
                _ => continue,
            };
            let begun = late(stage.decide_run(RunCommand::SettleChild { step, end, now })).unwrap_or_default();
            self.begin(stage, begun, now).await?;
        }
        Ok(())
    }

    /// The run ends with this append: its slots are given back, and runs that shall not outlive it are asked to stop.
    pub(super) async fn close(&mut self, stage: &mut Stage, now: Timestamp) -> Result<(), Stop> {
        // Slots that it asked for in an append that was recorded in part, it does not know of.
        let needs = match stage.run().queue() {
            Some(queue) => queue.slots.clone(),
            None => self.shared.standing.of_run(stage.run()),
        };
        self.release(stage, Holder { run: self.id, task: None }, &needs, now).await?;
        self.stop_children(stage, true, now).await
    }

    /// Asks the runs of steps that were cut to stop; at the end of the run also those that nobody waited for.
    pub(super) async fn stop_children(&mut self, stage: &mut Stage, all: bool, now: Timestamp) -> Result<(), Stop> {
        let Some(definition) = stage.run().definition().cloned() else { return Ok(()) };
        let reason = format!("run {}, which started it, has ended", self.id);
        for step in &definition.steps {
            let Work::Run(work) = &step.work else { continue };
            let Some(state) = stage.run().steps().get(&step.name) else { continue };
            let Activity::Child { run } = state.activity else { continue };
            let over = all || state.status == StepStatus::Cancelled;
            if over && work.on_parent_close == ParentClose::Cancel {
                self.cancel_child(stage, run, &reason, Commands::GRACE, now).await?;
            }
        }
        Ok(())
    }

    async fn cancel_child(
        &self,
        stage: &mut Stage,
        child: RunId,
        reason: &str,
        grace: Duration,
        now: Timestamp,
    ) -> Result<(), Stop> {
        let cancel = RunCommand::RequestCancel { reason: reason.to_owned(), now, grace };
        if let Some(decided) = stage.decide_started(child, cancel.clone()) {
            late(decided);
            return Ok(());
        }
        let loaded = self.executor().load::<Run>(child.into()).await?;
        if loaded.revision.is_none() || loaded.state.status().is_terminal() {
            return Ok(());
        }
        let events = late(loaded.state.decide(cancel)).unwrap_or_default();
        if !events.is_empty() {
            let events = events.into_iter().map(Event::from).collect();
            stage.other(StreamAppend { stream: child.into(), expected: loaded.expected(), events });
        }
        Ok(())
    }
}

fn wrong(message: String) -> AttemptError {
    AttemptError { kind: ErrorKind::InvalidInput, message, retry_after: None }
}

fn run_failed(message: String) -> AttemptError {
    AttemptError { kind: ErrorKind::RunFailed, message, retry_after: None }
}
