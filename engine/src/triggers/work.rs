//! Deciding what a trigger has to decide.

use commands::{Commands, Decided, Error};
use domain::trigger::SkipReason;
use domain::{Trigger, TriggerEvent, TriggerId};
use journal::Loaded;

use super::known::Entry;

/// How many ticks are decided upon before others get their turn.
const TICKS: usize = 64;

/// What came of it.
pub(super) struct Done {
    pub(super) id: TriggerId,
    /// The trigger after the last decision.
    pub(super) trigger: Loaded<Trigger>,
    /// How many events were recorded.
    pub(super) recorded: usize,
    /// Why it did not get to the end.
    pub(super) failure: Option<Error>,
}

/// Decides upon everything that is known of a trigger, in this order: ends of runs, events, what waits, ticks.
pub(super) async fn decide_all(commands: Commands, id: TriggerId, entry: Entry) -> Done {
    let mut done = Done { id, trigger: entry.loaded(), recorded: 0, failure: None };
    commands.executor().remember(id.into(), &done.trigger);
    done.failure = done.go_through(&commands, entry).await.err();
    done
}

impl Done {
    async fn go_through(&mut self, commands: &Commands, entry: Entry) -> Result<(), Error> {
        for (run, end) in entry.ended {
            let decided = commands.end_trigger_run(self.id, run, end).await?;
            self.take(decided);
        }
        for candidate in entry.events {
            // Those behind it have to wait, because decisions on events are in the order of the journal.
            let Some(verdict) = candidate.verdict else { break };
            let decided = commands.notice_event(self.id, candidate.event, verdict.err()).await?;
            self.take(decided);
        }
        while self.trigger.state.next_waiting().is_some() {
            let decided = commands.start_waiting(self.id).await?;
            if !self.take(decided) {
                break;
            }
        }
        for _ in 0..TICKS {
            let now = commands.surroundings().now();
            if self.trigger.state.wakes_at().is_none_or(|at| at > now) {
                break;
            }
            let decided = commands.tick_trigger(self.id).await?;
            if !self.take(decided) {
                break;
            }
        }
        Ok(())
    }

    /// Whether anything was recorded.
    fn take(&mut self, decided: Decided) -> bool {
        let Decided { events, trigger, .. } = decided;
        self.trigger = trigger;
        self.recorded += events.len();
        for event in &events {
            metrics::counter!("hishamos_trigger_decisions_total", "decision" => event.name()).increment(1);
            self.tell(event);
        }
        !events.is_empty()
    }

    /// What people should see in the log.
    fn tell(&self, event: &TriggerEvent) {
        let trigger = self.trigger.state.settings().map_or("", |settings| settings.key.as_str());
        match event {
            TriggerEvent::Paused { reason, .. } => {
                tracing::warn!(trigger, reason, "a trigger has paused itself");
            }
            TriggerEvent::Skipped { cause, reason: SkipReason::CannotStart { code, message }, .. } => {
                tracing::warn!(trigger, cause = cause.name(), code, message, "a trigger could not start its run");
            }
            TriggerEvent::Skipped { cause, reason: SkipReason::ConditionFailed(message), .. } => {
                tracing::warn!(trigger, cause = cause.name(), message, "a trigger's condition could not be evaluated");
            }
            TriggerEvent::Skipped { cause, reason: SkipReason::ChainTooLong, .. } => {
                tracing::warn!(trigger, cause = cause.name(), "triggers that start one another were stopped");
            }
            TriggerEvent::Missed { first, until, count, .. } => {
                let (first, until) = (first.as_micros(), until.as_micros());
                tracing::warn!(trigger, first, until, count, "a trigger has missed ticks that are too old to catch up");
            }
            _ => {}
        }
    }
}
