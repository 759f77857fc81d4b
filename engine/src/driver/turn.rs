//! One turn of a driver: everything that can be decided now, recorded in one append.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::run::{RunStatus, Start};
use domain::{Category, Purse, Run, RunCommand, Slots, StreamId, Timestamp};
use futures_util::FutureExt;
use journal::{Append, AppendError, Appended, Context, Loaded};
use tokio::sync::mpsc;

use super::early::{Open, last_event};
use super::{Driver, End, Look, Shared, Stop, Thread, late};
use crate::ahead::UnderWay;
use crate::call::Grounds;
use crate::stage::{InTurn, Stage};

/// What an append is made for.
#[derive(Clone, Copy)]
pub(super) enum Turn {
    /// To go on, with what came back from platforms.
    Go,
    /// To stop in order.
    Interrupt,
    /// To tell that the run waits for nothing.
    Stalled,
}

impl Driver {
    /// Decides, records, and calls what is to be called. On conflict everything is read again and decided again.
    pub(super) async fn record(&mut self, turn: Turn) -> Result<(), Stop> {
        loop {
            let mut stage = Stage::new(self.id, &self.run);
            match turn {
                Turn::Go => self.go(&mut stage).await?,
                Turn::Interrupt => {
                    self.interrupt(&mut stage);
                    self.give_back(&mut stage, self.now()).await?;
                }
                Turn::Stalled => {
                    let what = format!("{} with {} open tasks", self.run.state.status().name(), self.tasks.len());
                    late(stage.decide_run(RunCommand::ReportStall { what, now: self.now() }));
                }
            }
            if stage.is_empty() {
                self.look_around = false;
                self.remains.settle(&BTreeMap::new());
                self.pending.clear();
                return self.confirm().await;
            }
            let append = stage.append(self.context(), false);
            if self.may_go_on_early(&stage) {
                return self.go_on_early(append, stage).await;
            }
            match self.append(append, stage).await? {
                Recorded::Yes => {
                    self.pending.clear();
                    return Ok(());
                }
                Recorded::Again => {}
            }
        }
    }

    /// Hands an append in. Whoever waits to look at purses goes on as soon as it has its place.
    pub(super) async fn hand_in(
        &self,
        append: Append,
        stage: &mut Stage,
    ) -> Result<(Appended, Option<UnderWay>), AppendError> {
        let Some(InTurn { turn, purses, based_on }) = stage.turn() else {
            return Ok((self.journal().append(append).await?, None));
        };
        let under_way = self.shared.ahead.set_out(&turn.ticket(), purses, &based_on);
        // When it fails, nothing is under way any more before anything else is done: others wait for that.
        let appended = self.journal().append_in_turn(append, turn).await?;
        Ok((appended, Some(under_way)))
    }

    async fn append(&mut self, append: Append, mut stage: Stage) -> Result<Recorded, Stop> {
        let last = last_event(&append);
        let first = append.streams.first().map(|first| first.stream);
        let answer = if !self.early.is_under_way() {
            self.hand_in(append, &mut stage).await
        } else if stage.has_guard() {
            // Others go by what this one does, so it is not to fail for what comes before it.
            self.confirm().await?;
            self.hand_in(append, &mut stage).await
        } else {
            self.hand_in_behind(append).await?.map(|appended| (appended, None))
        };
        match answer {
            Ok((appended, under_way)) => {
                self.thread.cause = Some(last);
                self.adopt(stage, &appended.heads, Grounds::Recorded);
                under_way.into_iter().for_each(UnderWay::recorded);
                Ok(Recorded::Yes)
            }
            Err(AppendError::Conflict { stream, .. } | AppendError::Unfounded { stream }) => {
                // Of an append that meets it at its first stream nothing was recorded; but an earlier one may have been.
                if first != Some(stream) || stream.category == Category::Task {
                    self.find_remains(&stage).await?;
                }
                // With it goes the right to look at slots, which is needed again below.
                drop(stage);
                self.read_again(stream).await?;
                if self.run.state.status().is_terminal() {
                    self.clear_up().await?;
                    return Err(Stop::Ended(End::Terminal));
                }
                Ok(Recorded::Again)
            }
            Err(AppendError::Invalid(what)) => Err(Stop::Unrecordable(what)),
            Err(AppendError::Closed) => Err(Stop::Ended(End::Stopped)),
            Err(error @ AppendError::Unclear) => {
                // It may have been recorded: what is known may be old.
                self.forget_revisions().await;
                Err(Stop::Unavailable(Box::new(error)))
            }
            Err(error) => Err(Stop::Unavailable(Box::new(error))),
        }
    }

    /// Takes over what was recorded, begins the calls, and cuts those whose tasks are over.
    pub(super) fn adopt(&mut self, stage: Stage, heads: &[(StreamId, u64)], grounds: Grounds) {
        let adopted = stage.adopt(heads);
        self.run = adopted.run;
        self.owned = true;
        self.takes_from = None;
        self.look_around = false;
        self.remains.settle(&adopted.tasks);
        self.tasks.extend(adopted.tasks);
        self.tasks.retain(|_, slot| !slot.task.state.status().is_terminal());
        for (id, slots) in adopted.slots {
            self.executor().remember(id.into(), &slots);
        }
        for (id, purse) in adopted.purses {
            self.executor().remember(id.into(), &purse);
        }
        for (task, attempt, call) in adopted.calls {
            // A platform that answers at once spares its caller a change of threads.
            let live = self.shared.commands.live().clone();
            let mut call = Box::pin(async move { call.make(task, attempt, grounds, &live).await });
            match call.as_mut().now_or_never() {
                Some(settled) => self.done.push(settled),
                None => {
                    let abort = self.calls.spawn(call);
                    self.aborts.insert(task, Open { attempt, grounds, abort });
                }
            }
        }
        let over: Vec<_> = self.aborts.keys().filter(|task| !self.tasks.contains_key(task)).copied().collect();
        for task in over {
            if let Some(open) = self.aborts.remove(&task) {
                open.abort.abort();
            }
        }
    }

    /// Somebody else was faster, on the run's own streams or on one that it shares with others.
    async fn read_again(&mut self, stream: StreamId) -> Result<(), Stop> {
        match stream.category {
            Category::Slots | Category::Purse => self.read_shared(stream).await,
            Category::Run if stream.id != self.id.as_uuid() => {
                self.executor().load::<Run>(stream).await?;
                self.look_around = true;
                Ok(())
            }
            _ => self.reload_owned().await,
        }
    }

    /// Reads a stream that runs share.
    pub(super) async fn read_shared(&self, stream: StreamId) -> Result<(), Stop> {
        match stream.category {
            Category::Slots => drop(self.executor().load::<Slots>(stream).await?),
            Category::Purse => drop(self.executor().load::<Purse>(stream).await?),
            _ => {}
        }
        Ok(())
    }

    /// After an unclear outcome the next turn begins with what the journal says.
    async fn forget_revisions(&mut self) {
        if self.reload_owned().await.is_err() {
            self.run = Loaded::default();
            self.tasks.clear();
            self.owned = false;
        }
        self.look_around = true;
    }

    /// Everything that can be decided now.
    async fn go(&mut self, stage: &mut Stage) -> Result<(), Stop> {
        let now = self.now();
        // Slots may have become free by time, and others may have taken them.
        self.look_around |= self.poll_at.take().is_some_and(|at| at <= now);
        if !self.owned {
            late(stage.decide_run(RunCommand::Claim { node: self.shared.node }));
            self.take_tasks(stage, now);
        }
        if !self.owned || self.remains.suspected() {
            for (id, slot) in &self.tasks {
                stage.give_back_again(*id, &slot.task.state);
            }
            // Before anything is asked for anew.
            self.give_back(stage, now).await?;
        }
        self.heed_holds(stage, now);
        self.take_results(stage, now).await?;
        self.give_up_uncalled(stage, now);
        self.follow_up_all(stage, now).await?;
        if self.look_around {
            self.settle_children(stage, now).await?;
        }
        match stage.run().status() {
            RunStatus::Running | RunStatus::Compensating => self.go_on(stage, now).await?,
            RunStatus::Cancelling => {
                let cut_at = stage.run().cancel().map(|cancel| cancel.cut_at);
                if self.aborts.is_empty() || cut_at.is_none_or(|at| at <= now) {
                    self.cut_off(stage, now).await?;
                }
            }
            _ => {}
        }
        if stage.run().status() == RunStatus::Failing {
            self.cut_off(stage, now).await?;
        }
        self.retire(stage);
        if stage.run().status().is_terminal() {
            self.close(stage, now).await?;
            self.cancel_strays(stage);
        }
        self.give_back(stage, now).await
    }

    async fn go_on(&mut self, stage: &mut Stage, now: Timestamp) -> Result<(), Stop> {
        // Also a run that waits for slots may be out of time.
        if stage.run().status() == RunStatus::Running {
            self.admit(stage, now).await?;
        }
        let begun = late(stage.decide_run(RunCommand::Advance { now })).unwrap_or_default();
        self.begin(stage, begun, now).await?;
        self.attempt_due(stage, now).await
    }

    /// What ran is cut: the run's tasks are retired with it.
    async fn cut_off(&mut self, stage: &mut Stage, now: Timestamp) -> Result<(), Stop> {
        let begun = late(stage.decide_run(RunCommand::CutOff { now })).unwrap_or_default();
        self.stop_children(stage, false, now).await?;
        self.begin(stage, begun, now).await
    }

    /// A hold pauses the runs that it covers; when it is lifted, those that it paused go on.
    fn heed_holds(&mut self, stage: &mut Stage, now: Timestamp) {
        let run = stage.run();
        let held = run.pause().and_then(|pause| pause.hold);
        if let Some(by) = held.and_then(|hold| self.shared.standing.lifted(hold)) {
            let frozen = run.frozen_for(now);
            for (id, slot) in &self.tasks {
                let defer = domain::TaskCommand::Defer { by: frozen };
                late(stage.decide_task(*id, || slot.clone(), defer).map(drop));
            }
            late(stage.decide_run(RunCommand::Resume { by, now }));
        }
        let run = stage.run();
        if run.status() == RunStatus::Running
            && let Some(definition) = run.definition()
            && let Some(placed) = self.shared.standing.hold_on(&definition.key)
        {
            late(stage.decide_run(RunCommand::Pause(placed.pause(now))));
        }
    }
}

enum Recorded {
    Yes,
    Again,
}

/// Why a run could not be started.
fn unstarted(stop: Stop) -> AppendError {
    match stop {
        Stop::Unavailable(error) => AppendError::Unavailable(error),
        Stop::Unrecordable(what) => AppendError::Invalid(what),
        Stop::Ended(_) | Stop::BeginAgain => AppendError::Closed,
    }
}

/// A driver whose first turn is recorded, and the way to wake it.
pub(crate) type Ready = (Driver, mpsc::UnboundedSender<Look>);

impl Driver {
    /// Starts a run and takes its first turn in one append; no driver when it had been started before.
    pub(crate) async fn launch(
        shared: &Arc<Shared>,
        start: Box<Start>,
        context: Context,
        remember: bool,
    ) -> Result<(Appended, Option<Ready>), AppendError> {
        let (looks, receiver) = mpsc::unbounded_channel();
        let thread = Thread { correlation: context.correlation, cause: context.causation };
        let mut driver = Self::new(Arc::clone(shared), start.id, Loaded::default(), receiver, thread);
        let run = StreamId::from(start.id);
        let (stage, last, (appended, under_way)) = loop {
            let mut stage = Stage::new(start.id, &driver.run);
            // A run of no state can always start.
            late(stage.decide_run(RunCommand::Start(start.clone())));
            driver.go(&mut stage).await.map_err(unstarted)?;
            let append = stage.append(context.clone(), remember);
            let last = last_event(&append);
            match driver.hand_in(append, &mut stage).await {
                // Others were faster at slots that the run needs.
                Err(AppendError::Conflict { stream, .. } | AppendError::Unfounded { stream })
                    if stream != run && driver.read_again(stream).await.is_ok() =>
                {
                    driver.find_remains(&stage).await.map_err(unstarted)?;
                }
                done => break (stage, last, done?),
            }
        };
        if appended.repeated {
            return Ok((appended, None));
        }
        driver.thread.cause = Some(last);
        driver.adopt(stage, &appended.heads, Grounds::Recorded);
        under_way.into_iter().for_each(UnderWay::recorded);
        Ok((appended, Some((driver, looks))))
    }
}
