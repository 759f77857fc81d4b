use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::api::{Api, Refusal};
use super::read::{self, Run, Status};
use super::{Options, Repository};
use crate::wire::error::excerpt;
use crate::{Consumed, CostSource, Failure, FailureKind, Finish, Reply, Request, Usage};

/// How long Cursor may take to be told that nobody waits any more.
const FAREWELL: Duration = Duration::from_secs(10);
/// So many agents of one token may have failed before a call gives up; more were never seen.
const SUCCESSORS: u8 = 16;
/// How often is looked again for the last words of a run that has finished.
const LAST_WORDS: u32 = 3;
/// What Cursor says when an agent of that name is there already.
const CONFLICT: &str = "agent_id_conflict";
/// What the answering model is called where nobody named one: Cursor does not tell which it took.
const UNNAMED: &str = "default";

/// What the agents of one asking are called: the first, or the one that succeeds so many that failed.
pub(super) type Names = Box<dyn Fn(u8) -> String + Send + Sync>;

/// One call.
pub(super) struct Session {
    pub(super) api: Arc<Api>,
    pub(super) options: Arc<Options>,
    pub(super) model: Option<String>,
    pub(super) prompt: Value,
    pub(super) names: Names,
    /// Whether the answer must be JSON and nothing else.
    pub(super) wants_json: bool,
    pub(super) timeout: Duration,
    pub(super) given_up: CancellationToken,
    pub(super) known: Mutex<Known>,
}

/// What is known of the agent.
#[derive(Debug, Clone, Default)]
pub(super) enum Known {
    /// There is none of ours.
    #[default]
    Nothing,
    /// It was asked for, and nobody knows yet whether it is there.
    Perhaps(String),
    /// It works.
    Works(Place),
}

/// Where an agent's work is found.
#[derive(Debug, Clone)]
pub(super) struct Place {
    agent: String,
    run: String,
    url: Option<String>,
}

/// The names of the agents of a request: the same whenever the same is asked with the same token, and never the same otherwise.
pub(super) fn agent_name(request: &Request) -> Names {
    let token = request.token.unwrap_or_else(|| {
        // Nobody will ask with the same token.
        let random = || RandomState::new().hash_one(0_u8).to_le_bytes();
        let mut token = [0; 16];
        token.iter_mut().zip(random().into_iter().chain(random())).for_each(|(to, from)| *to = from);
        token
    });
    let hash = request.hash();
    Box::new(move |successor| {
        let mut hasher = blake3::Hasher::new_derive_key("hishamos 2026 name of an agent at cursor");
        hasher.update(&token).update(&hash).update(&[successor]);
        let digest = hasher.finalize().to_hex();
        let part = |from: usize, to: usize| digest.get(from..to).unwrap_or_default();
        // In the form of a random UUID (version 4), which is what Cursor makes itself.
        format!("bc-{}-{}-4{}-8{}-{}", part(0, 8), part(8, 12), part(12, 15), part(15, 18), part(18, 30))
    })
}

impl Session {
    /// Works until the end, the time limit, or that nobody waits any more.
    pub(super) async fn run(self) -> Result<Reply, Failure> {
        let outcome = tokio::select! {
            biased;
            () = self.given_up.cancelled() => None,
            outcome = tokio::time::timeout(self.timeout, self.work()) => Some(outcome),
        };
        match outcome {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => {
                let consumed = self.end().await;
                Err(Failure::timed_out(&self.options.http.key, self.timeout).with_consumed(consumed))
            }
            None => {
                self.end().await;
                Err(self.failure(FailureKind::Timeout, "nobody waits for it any more"))
            }
        }
    }

    async fn work(&self) -> Result<Reply, Failure> {
        let started = Instant::now();
        let place = self.launch().await?;
        let run = match self.follow(&place).await {
            Ok(run) => run,
            Err(failure) => {
                // It may still work, and nobody would see what comes of it.
                let consumed = self.end().await;
                return Err(failure.with_consumed(consumed));
            }
        };
        *self.known.lock() = Known::Nothing;
        let used = self.used(&place).await;
        let (usage, account) = used.clone().unzip();
        let text = match (run.status, &run.result) {
            (Status::Finished, Some(result)) => self.told(result, &run),
            (status, result) => {
                let failure = self.not_done(status, result.as_deref(), &place);
                return Err(failure.with_consumed(self.consumed(used, result.as_deref())));
            }
        };
        Ok(Reply {
            text,
            finish: Finish::Stop,
            model: self.model.clone().unwrap_or_else(|| UNNAMED.to_owned()),
            usage: usage.unwrap_or_default(),
            cost: None,
            cost_source: CostSource::Unpriced,
            duration: started.elapsed(),
            first_piece: None,
            simulated: false,
            raw_usage: Some(json!({ "usage": account, "git": run.git, "agent": place.url })),
            tool_calls: Vec::new(),
            opaque: None,
            limits: None,
        })
    }

    /// Launches an agent, or finds the one that was launched with the same token and has not failed.
    async fn launch(&self) -> Result<Place, Failure> {
        for successor in 0..SUCCESSORS {
            let name = (self.names)(successor);
            *self.known.lock() = Known::Perhaps(name.clone());
            let created = match self.api.post(&["v1", "agents"], Some(self.wish(&name))).await {
                Ok(created) => created,
                Err(Refusal { code: Some(code), .. }) if code == CONFLICT => {
                    // It is another call's, until it turns out to be worth following.
                    *self.known.lock() = Known::Nothing;
                    match self.found(&name).await? {
                        Some(place) => return Ok(place),
                        None => continue,
                    }
                }
                Err(refusal) => {
                    use FailureKind::{MalformedReply, PlatformFailure, Timeout, Unreachable};
                    // After these it may have been launched all the same.
                    if !matches!(refusal.failure.kind, Unreachable | MalformedReply | PlatformFailure | Timeout) {
                        *self.known.lock() = Known::Nothing;
                    }
                    self.end().await;
                    return Err(refusal.failure);
                }
            };
            let place = Place {
                agent: name,
                run: read::text(&created, "/run/id").map_err(|failure| self.api.named(failure))?.to_owned(),
                url: read::text(&created, "/agent/url").ok().map(str::to_owned),
            };
            *self.known.lock() = Known::Works(place.clone());
            return Ok(place);
        }
        let what = format!("{SUCCESSORS} agents that were launched for this have failed already");
        Err(self.failure(FailureKind::PlatformFailure, &what))
    }

    /// What Cursor is asked to launch.
    fn wish(&self, name: &str) -> Value {
        let mut wish = json!({ "prompt": self.prompt, "agentId": name });
        let mut set = |name: &str, value: Value| wish.as_object_mut().map(|wish| wish.insert(name.to_owned(), value));
        if let Some(model) = &self.model {
            set("model", json!({ "id": model }));
        }
        if let Some(Repository { url, starting_ref, pull_request, same_branch }) = &self.options.repository {
            let repository = match starting_ref {
                Some(starting_ref) => json!({ "url": url, "startingRef": starting_ref }),
                None => json!({ "url": url }),
            };
            set("repos", json!([repository]));
            set("autoCreatePR", json!(pull_request));
            set("workOnCurrentBranch", json!(same_branch));
        }
        wish
    }

    /// The agent of that name; `None` when its last run has failed.
    async fn found(&self, name: &str) -> Result<Option<Place>, Failure> {
        let place = self.place(name).await?;
        let run = self.look(&place).await?;
        if matches!(run.status, Status::Error | Status::Cancelled | Status::Expired) {
            return Ok(None);
        }
        tracing::info!(
            platform = self.options.http.key,
            agent = name,
            "the agent of an attempt that was lost is followed"
        );
        *self.known.lock() = Known::Works(place.clone());
        Ok(Some(place))
    }

    async fn place(&self, name: &str) -> Result<Place, Failure> {
        let agent = self.api.get(&["v1", "agents", name]).await?;
        let run = read::text(&agent, "/latestRunId").map_err(|failure| self.api.named(failure))?.to_owned();
        Ok(Place { agent: name.to_owned(), run, url: read::text(&agent, "/url").ok().map(str::to_owned) })
    }

    async fn look(&self, place: &Place) -> Result<Run, Failure> {
        let run = self.api.get(&["v1", "agents", &place.agent, "runs", &place.run]).await?;
        Run::read(&run).map_err(|failure| self.api.named(failure))
    }

    /// Looks again and again, until the run has ended.
    async fn follow(&self, place: &Place) -> Result<Run, Failure> {
        let Options { first_look, longest_pause, failed_looks, .. } = &*self.options;
        let (mut pause, mut failed, mut wordless) = (*first_look, 0, 0);
        loop {
            tokio::time::sleep(pause).await;
            match self.look(place).await {
                Ok(run) if run.status == Status::Going => {
                    failed = 0;
                    pause = pause.saturating_mul(3).checked_div(2).unwrap_or(pause).min(*longest_pause);
                }
                // What was said last may come a moment after the end.
                Ok(run) if run.status == Status::Finished && run.result.is_none() && wordless < LAST_WORDS => {
                    wordless += 1
                }
                Ok(run) => return Ok(run),
                Err(failure) => {
                    failed += 1;
                    let passes = !matches!(failure.kind, FailureKind::Unauthorized | FailureKind::InvalidRequest);
                    if !passes || failed >= *failed_looks {
                        return Err(failure);
                    }
                    tracing::debug!(platform = self.options.http.key, %failure, "a look at an agent failed");
                    let longer = pause.saturating_mul(2).min(*longest_pause);
                    pause = failure.retry_after.unwrap_or(longer).max(*first_look);
                }
            }
        }
    }

    /// Tells Cursor that nobody waits any more, as far as there is something to be ended; says what was used by then.
    async fn end(&self) -> Consumed {
        let known = std::mem::take(&mut *self.known.lock());
        let farewell = async {
            let place = match known {
                Known::Nothing => return None,
                Known::Perhaps(name) => self.place(&name).await,
                Known::Works(place) => Ok(place),
            };
            let place = match place {
                Ok(place) => place,
                Err(failure) => {
                    tracing::debug!(platform = self.options.http.key, %failure, "there was no agent to be cancelled");
                    return None;
                }
            };
            let Place { agent, run, .. } = &place;
            if let Err(refusal) = self.api.post(&["v1", "agents", agent, "runs", run, "cancel"], None).await {
                // It may have ended meanwhile.
                let (key, failure) = (&self.options.http.key, refusal.failure);
                tracing::warn!(platform = key, agent, %failure, "an agent that nobody waits for could not be cancelled");
            }
            Some(place)
        };
        let used = async {
            let place = farewell.await?;
            self.used(&place).await
        };
        let used = tokio::time::timeout(FAREWELL, used).await.ok().flatten();
        self.consumed(used, None)
    }

    /// What a run has used, as far as Cursor says.
    async fn used(&self, place: &Place) -> Option<(Usage, Value)> {
        match self.api.usage(&place.agent, &place.run).await {
            Ok(account) => read::usage(&account, &place.run),
            Err(refusal) => {
                let (key, failure) = (&self.options.http.key, refusal.failure);
                tracing::debug!(platform = key, %failure, "what an agent has used is not known");
                None
            }
        }
    }

    fn consumed(&self, used: Option<(Usage, Value)>, said: Option<&str>) -> Consumed {
        let (usage, raw_usage) = used.unzip();
        let text_bytes = said.map_or(0, str::len);
        let (usage, model) = (usage.unwrap_or_default(), self.model.clone());
        Consumed { usage, raw_usage, text_bytes, model, cost: None, cost_source: CostSource::Unpriced }
    }

    /// What the agent said last, and where it has pushed. What must be JSON, or is, stays as it is.
    fn told(&self, result: &str, run: &Run) -> String {
        let links = run.links();
        if links.is_empty() || self.wants_json || serde_json::from_str::<Value>(result).is_ok() {
            return result.to_owned();
        }
        [result.trim_end(), &links.join("\n")].join("\n\n")
    }

    fn not_done(&self, status: Status, said: Option<&str>, place: &Place) -> Failure {
        let (kind, what) = match status {
            Status::Error => (FailureKind::PlatformFailure, "the agent ended in an error"),
            Status::Expired => (FailureKind::PlatformFailure, "the agent has expired"),
            // Whoever did that would not want another one to be launched.
            Status::Cancelled => (FailureKind::InvalidRequest, "somebody has cancelled the agent at Cursor"),
            Status::Finished | Status::Going => (FailureKind::MalformedReply, "the agent has finished without a word"),
        };
        let said = said.map(excerpt).filter(|said| !said.is_empty()).map(|said| format!(": {said}"));
        let at = place.url.as_deref().map(|url| format!(" (see {})", excerpt(url)));
        self.failure(kind, &[what, said.as_deref().unwrap_or_default(), at.as_deref().unwrap_or_default()].concat())
    }

    fn failure(&self, kind: FailureKind, what: &str) -> Failure {
        self.api.named(Failure::new(kind, what))
    }
}

#[cfg(test)]
mod tests {
    use super::agent_name;
    use crate::Request;

    #[test]
    fn names_follow_from_what_is_asked_and_its_token() {
        let asked = |user: &str, token: u8| Request { token: Some([token; 16]), ..Request::new(user) };
        let name = |request: &Request, successor| agent_name(request)(successor);
        let first = name(&asked("a", 1), 0);
        assert_eq!(first, name(&asked("a", 1), 0));
        assert!(first.starts_with("bc-") && first.len() == 39, "{first}");
        let others = [name(&asked("a", 1), 1), name(&asked("a", 2), 0), name(&asked("b", 1), 0)];
        assert!(others.iter().all(|other| *other != first));
        assert_ne!(name(&Request::new("a"), 0), name(&Request::new("a"), 0), "without a token each asking is another");
    }
}
