use std::time::Duration;

use super::command::Pacing;
use super::state::{Attempt, AttemptStatus};
use crate::{AttemptError, ErrorKind, Key, Task, Timestamp};

/// So many attempts are listed when a task fails, the first ones.
const LISTED: usize = 12;
/// So much of what went wrong with each.
const LISTED_CHARS: usize = 200;

/// Every failed attempt of a task, the one that has just failed included: what follows from them together.
pub(super) struct Failures<'a> {
    all: Vec<(&'a Attempt, AttemptError)>,
}

impl<'a> Failures<'a> {
    /// Those of a task whose last attempt fails with `last`.
    pub(super) fn of(state: &'a Task, last: AttemptError) -> Self {
        let earlier = state.attempts().len().saturating_sub(1);
        let failed = |attempt: &'a Attempt| match &attempt.status {
            AttemptStatus::Failed(error) => Some((attempt, error.clone())),
            AttemptStatus::Lost => Some((attempt, Task::lost())),
            _ => None,
        };
        let mut all: Vec<_> = state.attempts().iter().take(earlier).filter_map(failed).collect();
        all.extend(state.attempts().last().map(|attempt| (attempt, last)));
        Self { all }
    }

    /// When the next attempt starts; `None` when there is none.
    ///
    /// A fallback starts at once and does not use up the policy, which counts the attempts at one platform. When nobody
    /// can take over, the next round waits for the policy's pause, and as long as the first of the
    /// platforms that may still answer asks for.
    pub(super) fn next_at(&self, state: &Task, fallback: bool, pacing: Pacing) -> Option<Timestamp> {
        let order = state.order()?;
        let retry = &order.retry;
        let (attempt, last) = self.all.last()?;
        if last.kind == ErrorKind::Interrupted {
            return Some(pacing.now);
        }
        // Whoever asks a platform more often than that does not go by the policy, and must not go on for ever.
        if retry.never.contains(&last.kind) || self.counted_at(&attempt.platform) > retry.max_attempts {
            return None;
        }
        let at = if fallback && last.kind.may_pass_elsewhere() {
            pacing.now
        } else {
            let platforms = self.platforms();
            let counted = platforms.iter().map(|platform| self.counted_at(platform)).max()?;
            let may_pass = |error: &&AttemptError| error.kind.retryable() && !retry.never.contains(&error.kind);
            let left = platforms.iter().filter(|platform| self.counted_at(platform) < retry.max_attempts);
            let open = left.filter_map(|platform| self.last_at(platform).filter(may_pass));
            let asked = open.map(|error| error.retry_after.unwrap_or(Duration::ZERO)).min()?;
            pacing.now.plus(retry.backoff(counted, pacing.jitter_milli).max(asked))
        };
        let in_budget = retry.budget.is_none_or(|budget| at <= order.at.plus(budget));
        in_budget.then_some(at)
    }

    /// What the task fails with: the last error; when several platforms were asked, the last of the one that was asked
    /// first, because the others only stood in for it, and every attempt in its message.
    pub(super) fn verdict(&self) -> AttemptError {
        let Some((_, last)) = self.all.last() else { return Task::lost() };
        let platforms = self.platforms();
        let (Some(first), true) = (platforms.first(), platforms.len() > 1) else { return last.clone() };
        let mut error = self.last_at(first).unwrap_or(last).clone();
        for (attempt, failure) in self.all.iter().take(LISTED) {
            let what: String = failure.message.chars().take(LISTED_CHARS).collect();
            let (number, platform, kind) = (attempt.number, &attempt.platform, failure.kind.name());
            error.message.push_str(&format!("; attempt {number} at {}: {kind} ({what})", platform.as_str()));
        }
        if let Some(more) = self.all.len().checked_sub(LISTED).filter(|more| *more > 0) {
            error.message.push_str(&format!("; and {more} more attempts"));
        }
        error
    }

    /// In the order in which they were asked first.
    fn platforms(&self) -> Vec<&'a Key> {
        let mut platforms: Vec<&Key> = Vec::new();
        for (attempt, _) in &self.all {
            if !platforms.contains(&&attempt.platform) {
                platforms.push(&attempt.platform);
            }
        }
        platforms
    }

    fn last_at(&self, platform: &Key) -> Option<&AttemptError> {
        self.all.iter().rev().find(|(attempt, _)| attempt.platform == *platform).map(|(_, error)| error)
    }

    /// Attempts that HishamOS itself cut short do not use up the policy.
    fn counted_at(&self, platform: &Key) -> u32 {
        let counts = |(attempt, error): &&(&Attempt, AttemptError)| {
            attempt.platform == *platform && error.kind != ErrorKind::Interrupted
        };
        u32::try_from(self.all.iter().filter(counts).count()).unwrap_or(u32::MAX)
    }
}
