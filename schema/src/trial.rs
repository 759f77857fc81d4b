//! Tests of AI platforms: one short call each, which the platform charges for.
//!
//! Invariants: a test is no event, so it is in no journal and no budget counts it. Its id is therefore remembered here, by the
//! node that made the call, and the platform is not called again for a repetition, also while the first call is under way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::SimpleObject;
use domain::{Actor, CommandId, CostSource as Source};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;

use crate::failure::{self, Caller};
use crate::platform::{FailureState, Platforms};
use crate::scalar::{Count, NanoUsd};
use crate::status::CostSource;

/// How many tests are remembered; the oldest are forgotten first.
const REMEMBERED: usize = 256;
/// How much of an answer is told, in characters. It is asked for one word, but nobody makes a platform keep to that.
const LONGEST: usize = 1000;

/// What a platform has answered to a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialState {
    /// The model, as the platform names it.
    pub model: String,
    /// The answer.
    pub text: String,
    /// Why it ended: `stop`, `length`, `content_filter` or the platform's own word.
    pub finish: String,
    /// Whether no model was asked at all.
    pub simulated: bool,
    /// From asking to the last byte.
    pub duration: Duration,
    /// From asking to the first piece of text, when it came in pieces.
    pub first_piece: Option<Duration>,
    /// Tokens in, when they were reported.
    pub input_tokens: Option<u64>,
    /// Tokens out, when they were reported.
    pub output_tokens: Option<u64>,
    /// What it cost, in billionths of a US dollar; `None` when nobody knows, which is not free.
    pub cost: Option<i64>,
    /// Where the cost comes from.
    pub cost_source: Source,
}

/// What a platform has answered to a test.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct PlatformAnswer {
    /// The model, as the platform names it.
    model: String,
    /// The answer; at most its first 1,000 characters.
    text: String,
    /// Why it ended: `stop`, `length`, `content_filter` or the platform's own word.
    finish_reason: String,
    /// Whether no model was asked at all.
    simulated: bool,
    /// From asking to the last byte, in milliseconds.
    duration_ms: Count,
    /// From asking to the first piece of text, in milliseconds; null when the answer did not come in pieces.
    first_piece_ms: Option<Count>,
    /// Tokens in; null when the platform does not report them, which is not zero.
    input_tokens: Option<Count>,
    /// Tokens out; null when the platform does not report them, which is not zero.
    output_tokens: Option<Count>,
    /// What it cost; null means unknown, which is not free.
    cost: Option<NanoUsd>,
    /// Where the cost comes from.
    cost_source: CostSource,
    /// The list of prices that the cost was computed from.
    price_list: Option<String>,
}

impl From<TrialState> for PlatformAnswer {
    fn from(state: TrialState) -> Self {
        let milliseconds = |time: Duration| Count(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let (cost_source, price_list) = match state.cost_source {
            Source::Reported => (CostSource::Reported, None),
            Source::Listed(list) => (CostSource::Listed, Some(list)),
            Source::Unpriced => (CostSource::Unpriced, None),
            Source::Free => (CostSource::Free, None),
        };
        Self {
            model: state.model,
            text: state.text,
            finish_reason: state.finish,
            simulated: state.simulated,
            duration_ms: milliseconds(state.duration),
            first_piece_ms: state.first_piece.map(milliseconds),
            input_tokens: state.input_tokens.map(Count),
            output_tokens: state.output_tokens.map(Count),
            cost: state.cost.map(NanoUsd),
            cost_source,
            price_list,
        }
    }
}

/// Who is to be tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    /// The platform's key.
    pub(crate) key: String,
    /// The model; `None` takes the platform's own.
    pub(crate) model: Option<String>,
}

/// What came of a test; `None` when there is no such platform.
type Outcome = Option<Result<TrialState, FailureState>>;

/// A test that was asked for by an id of its own.
struct Asked {
    command: CommandId,
    by: Actor,
    wish: Wish,
    /// Goes on as long as anybody waits for it, and stands still otherwise, until it is asked for again or forgotten.
    call: Shared<BoxFuture<'static, Outcome>>,
}

/// The last tests that this node was asked for by ids of their own.
#[derive(Default)]
pub(crate) struct Trials(Mutex<VecDeque<Asked>>);

impl Trials {
    /// What comes of a test, and whether its id had been given before, so that this is that first call's outcome.
    ///
    /// # Errors
    /// When the id belongs to something else.
    pub(crate) async fn make(
        &self,
        platforms: Arc<dyn Platforms>,
        caller: &Caller,
        command: Option<CommandId>,
        wish: Wish,
    ) -> Result<(Outcome, bool), commands::Error> {
        let (by, asked) = (caller.actor.clone(), wish.clone());
        let caller = caller.clone();
        let call = async move {
            let outcome = platforms.tried(&wish.key, wish.model).await;
            let told = match &outcome {
                Some(Ok(_)) => "answered",
                Some(Err(failure)) => failure.kind.as_str(),
                None => "unknown",
            };
            let Caller { actor, correlation } = caller;
            tracing::info!(%actor, %correlation, platform = wish.key, outcome = told, "a platform was tested");
            outcome.map(|outcome| outcome.map(short))
        };
        let Some(command) = command else { return Ok((call.await, false)) };
        let (call, repeated) = self.remember(Asked { command, by, wish: asked, call: call.boxed().shared() })?;
        Ok((call.await, repeated))
    }

    /// The call of this id: an earlier one, or else this.
    fn remember(&self, asked: Asked) -> Result<(Shared<BoxFuture<'static, Outcome>>, bool), commands::Refused> {
        let mut all = self.0.lock();
        if let Some(known) = all.iter().find(|known| known.command == asked.command) {
            // Nobody is told what came of somebody else's.
            return if (&known.by, &known.wish) == (&asked.by, &asked.wish) {
                Ok((known.call.clone(), true))
            } else {
                Err(commands::Refused::CommandReused(asked.command))
            };
        }
        let call = asked.call.clone();
        all.truncate(REMEMBERED - 1);
        all.push_front(asked);
        Ok((call, false))
    }
}

fn short(state: TrialState) -> TrialState {
    TrialState { text: state.text.chars().take(LONGEST).collect(), ..state }
}

/// What is said where there is no such platform.
pub(crate) fn unknown(key: &str, platforms: &dyn Platforms) -> async_graphql::Error {
    let known: Vec<String> = platforms.all().into_iter().map(|platform| platform.key).collect();
    let there =
        if known.is_empty() { "none is configured".to_owned() } else { format!("there are: {}", known.join(", ")) };
    failure::refused("PLATFORM_NOT_FOUND", format!("there is no platform `{key}`; {there}"))
}
