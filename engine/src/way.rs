//! Where the attempts of a task can go: the platforms that its agent may use, and which of them is next.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::agent::Profile;
use domain::task::{AttemptStatus, Choice, PassedOver, Why};
use domain::{AttemptError, ErrorKind, Key, PlatformTag, Task};
use providers::redaction::Denied;
use providers::router::{self, Lack, Needs, Route, SkipReason, Skipped, Step, Target, Tried};
use providers::{Capabilities, Platform, Registry, Request, Usage};

use crate::call::{error_kind, failure_kind};
use crate::traffic::{Permit, Traffic};

/// Everything about the next attempt but the request.
pub(crate) struct Chosen {
    pub(crate) key: Key,
    pub(crate) platform: Arc<dyn Platform>,
    pub(crate) model: Model,
    pub(crate) choice: Choice,
    pub(crate) permit: Permit,
    pub(crate) most: Most,
}

/// What a call may use at most, as far as that can be told before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Most {
    pub(crate) tokens: u64,
    /// In billionths of a US dollar; `None` when the price is not known, which is not free.
    pub(crate) money: Option<u64>,
}

/// So long is an answer at most when neither the agent nor the list of models says.
const LONGEST_ANSWER: u64 = 4096;

/// A model as it is asked for, and as it is recorded.
#[derive(Clone)]
pub(crate) struct Model {
    /// `None` leaves it to the platform.
    pub(crate) asked: Option<String>,
    /// `None` when nobody knows which one that will be.
    pub(crate) recorded: Option<String>,
}

/// What is next.
pub(crate) enum Next {
    /// This call.
    Call(Box<Chosen>),
    /// To wait: whoever could be called rests.
    Rest { pause: std::time::Duration, passed_over: Vec<PassedOver> },
    /// Nothing: nobody can do it.
    Nowhere(AttemptError),
}

/// A platform of the list; `None` for one that is not configured.
struct Stop {
    key: Key,
    platform: Option<Arc<dyn Platform>>,
    model: Model,
}

/// The platforms for one task, with what it asks of them.
pub(crate) struct Way {
    stops: Vec<Stop>,
    route: Route,
    request: Request,
    tokens: u64,
    /// Tokens that surely are not more, in and, when the agent says, out.
    bounds: (u64, Option<u64>),
    /// Whether budgets keep it from some of them.
    is_short: bool,
    /// Whether it holds what may not go to some of them.
    is_forbidden: bool,
}

impl Way {
    /// The way of an agent's request, with so many attempts at each platform, and only to those with the tags that are demanded.
    ///
    /// An agent that names a platform is asked there, then at its fallbacks, and nowhere else: whoever names one may have
    /// reasons to which other platforms are no answer. One that names none goes by the installation's order; if it names
    /// fallbacks, these come after the first of that order instead of the rest of it.
    pub(crate) fn new(
        platforms: &Registry,
        profile: &Profile,
        request: Request,
        attempts: u32,
        demanded: BTreeSet<PlatformTag>,
    ) -> Result<Self, AttemptError> {
        let mut keys: Vec<Key> = Vec::new();
        let first = match &profile.platform {
            Some(preferred) => preferred.clone(),
            None => key_of(platforms.default().ok_or_else(|| no_default(platforms))?)?,
        };
        keys.push(first);
        keys.extend(profile.fallback_platforms.iter().cloned());
        if profile.platform.is_none() && profile.fallback_platforms.is_empty() {
            for platform in platforms.defaults().filter(|platform| platform.unusable().is_none()) {
                keys.push(key_of(platform)?);
            }
        }
        let mut stops: Vec<Stop> = Vec::new();
        for key in keys {
            if stops.iter().any(|stop| stop.key == key) {
                continue;
            }
            let platform = platforms.get(key.as_str()).cloned();
            let named = request.model.as_deref();
            let model = match &platform {
                Some(platform) if stops.is_empty() => preferred(&**platform, named),
                Some(platform) => substitute(&**platform, named),
                None => Model { asked: None, recorded: None },
            };
            stops.push(Stop { key, platform, model });
        }
        let tags = demanded.into_iter().map(String::from).collect();
        let needs = Needs { tags, ..Needs::of(&request) };
        let tokens = needs.input_tokens.saturating_add(needs.output_tokens);
        // Two bytes a token are less than any language has on average.
        let bounds = (needs.input_tokens.saturating_mul(2).saturating_add(16), request.max_tokens.map(u64::from));
        let targets = stops.iter().map(|stop| target(stop, platforms)).collect();
        let route = Route::new(targets, needs, attempts, !profile.fallback_platforms.is_empty());
        Ok(Self { stops, route, request, tokens, bounds, is_short: false, is_forbidden: false })
    }

    /// Leaves platforms out, for reasons.
    pub(crate) fn leave_out(&mut self, unaffordable: &[(Key, String)]) {
        for (key, reason) in unaffordable {
            self.route.leave_out(key.as_str(), reason);
            self.is_short = true;
        }
    }

    /// Leaves a platform out to which this may not go.
    pub(crate) fn forbid(&mut self, key: &Key, denied: &Denied) {
        self.route.leave_out(key.as_str(), &denied.to_string());
        self.is_forbidden = true;
    }

    /// What is asked.
    pub(crate) fn request(&mut self) -> &mut Request {
        &mut self.request
    }

    /// What is asked.
    pub(crate) fn into_request(self) -> Request {
        self.request
    }

    /// What comes after the attempts of a task.
    pub(crate) fn next(&self, traffic: &Traffic, task: &Task) -> Next {
        let tried = tried(task, None);
        // Somebody else may have been faster at a target that rested until now.
        loop {
            let step = self.route.next(&tried, |target| traffic.resting(target, self.tokens));
            let (target, why, skipped) = match step {
                Step::Call { target, why, skipped } => (target, why, skipped),
                Step::Rest { pause, skipped } => return Next::Rest { pause, passed_over: self.named(&skipped) },
                Step::Nowhere { skipped } => return Next::Nowhere(self.nowhere(&skipped)),
            };
            let stop = self.stops.iter().find(|stop| stop.key.as_str() == target.platform);
            let Some((stop, platform)) = stop.and_then(|stop| Some((stop, stop.platform.clone()?))) else {
                return Next::Nowhere(self.nowhere(&skipped));
            };
            let Some(permit) = traffic.permit(target, self.tokens) else { continue };
            let why = match why {
                router::Why::First => Why::First,
                router::Why::Again => Why::Again,
                router::Why::Fallback { from, kind } => match from.parse() {
                    Ok(from) => Why::Fallback { from, after: error_kind(kind) },
                    Err(_) => Why::First,
                },
            };
            let choice = Choice { why, passed_over: self.named(&skipped) };
            let (key, model) = (stop.key.clone(), stop.model.clone());
            let most = self.most(&*platform, model.recorded.as_deref());
            return Next::Call(Box::new(Chosen { key, platform, model, choice, permit, most }));
        }
    }

    /// Whether somebody could be called now for a first attempt.
    pub(crate) fn is_open(&self, traffic: &Traffic) -> bool {
        matches!(self.route.next(&[], |target| traffic.resting(target, self.tokens)), Step::Call { .. })
    }

    /// Whether somebody can take over at once when the running attempt fails so.
    pub(crate) fn has_fallback(&self, traffic: &Traffic, task: &Task, error: &AttemptError) -> bool {
        let tried = tried(task, Some(error));
        self.route.fallback(&tried, |target| traffic.resting(target, self.tokens)).is_some()
    }

    fn most(&self, platform: &dyn Platform, model: Option<&str>) -> Most {
        let (input, output) = self.bounds;
        let known = model.and_then(|model| platform.capabilities(model).max_output).map(u64::from);
        let output = output.or(known).unwrap_or(LONGEST_ANSWER);
        let usage = Usage { input: Some(input), output: Some(output), ..Usage::default() };
        let cost = |usage: &Usage| platform.cost(model.unwrap_or_default(), usage);
        let written = Usage { cache_write_5m: usage.input, ..usage };
        let written = platform.writes_cache().then(|| cost(&written)).flatten();
        let money = cost(&usage).map(|plain| u64::try_from(plain.max(written.unwrap_or(0))).unwrap_or(0));
        Most { tokens: input.saturating_add(output), money }
    }

    fn named(&self, skipped: &[Skipped]) -> Vec<PassedOver> {
        let key = |name: &str| self.stops.iter().find(|stop| stop.key.as_str() == name).map(|stop| stop.key.clone());
        let name = |skipped: &Skipped| {
            let platform = key(&skipped.platform)?;
            Some(PassedOver { platform, model: skipped.model.clone(), reason: skipped.why.to_string() })
        };
        skipped.iter().filter_map(name).collect()
    }

    fn nowhere(&self, skipped: &[Skipped]) -> AttemptError {
        let all = |is: fn(&SkipReason) -> bool| skipped.iter().all(|skipped| is(&skipped.why));
        let lacks_tag = |skipped: &Skipped| matches!(skipped.why, SkipReason::Lacking(Lack::Tag(_)));
        let kind = if self.is_short {
            ErrorKind::BudgetExhausted
        } else if self.is_forbidden {
            ErrorKind::InvalidInput
        } else if skipped.iter().any(lacks_tag) {
            ErrorKind::TagMissing
        } else if all(|why| matches!(why, SkipReason::Unusable(_))) {
            ErrorKind::UnknownPlatform
        } else if all(|why| matches!(why, SkipReason::Lacking(Lack::Context { .. }) | SkipReason::Unusable(_))) {
            ErrorKind::ContextTooLong
        } else {
            ErrorKind::InvalidRequest
        };
        let message = format!("no platform of the agent can be asked: {}", listed(&self.named(skipped)));
        AttemptError { kind, message, retry_after: None }
    }
}

/// Who was passed over and why, in one line.
pub(crate) fn listed(passed_over: &[PassedOver]) -> String {
    let one = |PassedOver { platform, model, reason }: &PassedOver| match model {
        Some(model) => format!("{}/{model}: {reason}", platform.as_str()),
        None => format!("{}: {reason}", platform.as_str()),
    };
    passed_over.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// What the record of a task says about whom to ask next; `error` is what its running attempt fails with.
fn tried(task: &Task, error: Option<&AttemptError>) -> Vec<Tried> {
    let of = |platform: &Key, kind: ErrorKind| Tried {
        platform: platform.as_str().to_owned(),
        failure: failure_kind(kind),
        counts: kind != ErrorKind::Interrupted,
    };
    let one = |attempt: &domain::task::Attempt| match (&attempt.status, error) {
        (AttemptStatus::Failed(error), _) | (AttemptStatus::Running, Some(error)) => {
            Some(of(&attempt.platform, error.kind))
        }
        (AttemptStatus::Lost, _) => Some(of(&attempt.platform, ErrorKind::Lost)),
        _ => None,
    };
    task.attempts().iter().filter_map(one).collect()
}

fn target(stop: &Stop, platforms: &Registry) -> Target {
    let unusable = match &stop.platform {
        Some(platform) => platform.unusable(),
        None => Some("it is not configured".to_owned()),
    };
    let known = stop.platform.as_ref().zip(stop.model.recorded.as_deref());
    Target {
        platform: stop.key.as_str().to_owned(),
        model: stop.model.recorded.clone(),
        capabilities: known.map(|(platform, model)| platform.capabilities(model)).unwrap_or_default(),
        tags: platforms.tags_of(stop.key.as_str(), stop.model.recorded.as_deref()),
        unusable,
    }
}

/// The model where the agent is at home.
fn preferred(platform: &dyn Platform, named: Option<&str>) -> Model {
    let asked = named.map(str::to_owned);
    let recorded = asked.clone().or_else(|| platform.default_model().map(str::to_owned));
    Model { asked, recorded }
}

/// The model where another platform stands in: the same where it is known to be there, else that platform's own.
fn substitute(platform: &dyn Platform, named: Option<&str>) -> Model {
    let own = platform.default_model();
    let same = named.filter(|model| own.is_none() || platform.capabilities(model) != Capabilities::default());
    preferred(platform, same)
}

fn key_of(platform: &Arc<dyn Platform>) -> Result<Key, AttemptError> {
    platform.key().parse().map_err(|_| AttemptError {
        kind: ErrorKind::UnknownPlatform,
        message: format!("platform `{}` has no valid key", platform.key()),
        retry_after: None,
    })
}

fn no_default(platforms: &Registry) -> AttemptError {
    let why = |platform: &Arc<dyn Platform>| Some(format!("`{}`: {}", platform.key(), platform.unusable()?));
    let reasons: Vec<String> = platforms.defaults().filter_map(why).collect();
    let message = if reasons.is_empty() {
        "no AI platform is configured for work that names none; configure one, or ask for simulated answers with --simulate"
            .to_owned()
    } else {
        format!("no configured AI platform can be used: {}", reasons.join("; "))
    };
    AttemptError { kind: ErrorKind::UnknownPlatform, message, retry_after: None }
}
