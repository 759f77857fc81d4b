//! The way of a call without journal and budgets: the order of platforms, breakers, pace, the adapter, its keys and its price.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use async_trait::async_trait;
use providers::router::{
    Admission, BreakerOptions, Breakers, Needs, Pace, PaceOptions, Route, Step, Target, Turn, Verdict,
};
use providers::{Capabilities, OpenAi, Platform, Request};
use tokio::sync::Notify;

use super::load::Calls;

pub(super) struct Gateway {
    platform: OpenAi,
    state: Mutex<State>,
    ended: Notify,
}

struct State {
    breakers: Breakers<String>,
    pace: Pace,
}

impl Gateway {
    pub(super) fn new(platform: OpenAi) -> Self {
        let state =
            State { breakers: Breakers::new(BreakerOptions::default()), pace: Pace::new(PaceOptions::default()) };
        Self { platform, state: Mutex::new(state), ended: Notify::new() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until one more call may be under way.
    async fn turn(&self, tokens: u64) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            let turn = self.state().pace.admit(tokens, Instant::now());
            match turn {
                Turn::Now => return,
                Turn::WhenOneEnds => ended.await,
                Turn::After(pause) => tokio::time::sleep(pause).await,
            }
        }
    }
}

#[async_trait]
impl Calls for Gateway {
    async fn call(&self, text: &str) -> anyhow::Result<()> {
        let model = self.platform.default_model().map(str::to_owned);
        let request = Request {
            system: Some("You work.".to_owned()),
            model: model.clone(),
            timeout: Duration::from_secs(60),
            ..Request::new(text)
        };
        let needs = Needs::of(&request);
        let tokens = needs.input_tokens.saturating_add(needs.output_tokens);
        let key = self.platform.key().to_owned();
        let target = Target {
            platform: key.clone(),
            model,
            capabilities: Capabilities::default(),
            tags: vec![],
            unusable: None,
        };
        let route = Route::new(vec![target], needs, 3, false);
        let step = route.next(&[], |_| self.state().breakers.resting(&key, Instant::now()));
        let Step::Call { .. } = step else { bail!("the platform rests") };
        if matches!(self.state().breakers.admit(&key, Instant::now()), Admission::Rest(_)) {
            bail!("the platform rests");
        }
        self.turn(tokens).await;
        // As what is recorded of it.
        let _ = std::hint::black_box(request.hash());
        let reply = self.platform.execute(request).await;
        let outcome = reply.as_ref().map(drop);
        let verdict = outcome.map_or_else(Verdict::of, |()| Verdict::Well);
        let limits = reply.as_ref().ok().and_then(|reply| reply.limits);
        {
            let mut state = self.state();
            state.breakers.settle(&key, verdict, Instant::now());
            state.pace.settle(outcome, limits, Instant::now());
        }
        self.ended.notify_waiters();
        let reply = reply.map_err(anyhow::Error::from)?;
        reply.usage.total().context("the platform told no usage")?;
        Ok(())
    }
}
