//! The people of a simulated world: they start runs, steer them, decide, and at last do everything that is left to do.

use std::sync::Arc;
use std::time::Duration;

use commands::{Branch, Cause, Changes, Commands, DecideApproval, Error, Request, StartRun};
use domain::hold::HoldScope;
use domain::limit::{LimitScope, LimitSettings};
use domain::run::PauseClock;
use domain::slots::{Capacity, Rate};
use domain::task::Form;
use domain::{Actor, CommandId, Key, RunId, StepName};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::budgets;
use crate::catalog::{self, AGENTS, Blueprint, PEOPLE, ROLE, SIGNALS, name};
use crate::dice::Dice;
use crate::nodes::Door;
use crate::platforms::PLATFORMS;
use crate::source::expression_of_who;
use crate::store::Store;

/// Somebody who acts on the world through whatever nodes there are.
pub(crate) struct Person {
    pub(crate) who: String,
    pub(crate) store: Arc<Store>,
    pub(crate) doors: Arc<Mutex<Vec<Door>>>,
    pub(crate) dice: Dice,
    pub(crate) blueprints: Arc<[Arc<Blueprint>]>,
}

/// How often a command is repeated, with the same id, when the journal failed.
const TRIES: usize = 12;

impl Person {
    /// Acts by chance until then.
    pub(crate) async fn act(&self, until: Instant) {
        loop {
            let pause = self.dice.millis(10, 6_000);
            if Instant::now() + pause >= until {
                return;
            }
            tokio::time::sleep(pause).await;
            if self.store.budgeted && self.dice.permille(80) {
                self.budget().await;
                continue;
            }
            match self.dice.below(40) {
                0..=9 => self.start().await,
                10..=14 => self.signal().await,
                15..=21 => self.decide_something().await,
                22..=23 => self.pause().await,
                24..=26 => self.resume_something().await,
                27..=28 => self.cancel().await,
                29..=31 => self.branch().await,
                32 => self.hold().await,
                33..=34 => self.lift_all().await,
                35..=36 => self.limit().await,
                37 => self.unlimit().await,
                _ => self.ask_why().await,
            }
        }
    }

    fn run(&self) -> Option<RunId> {
        let checker = self.store.checker.lock();
        let runs = if self.dice.permille(850) { checker.live_runs() } else { checker.all_runs() };
        self.dice.pick(&runs).copied()
    }

    fn workflow(&self) -> Option<Key> {
        self.dice.pick(&self.blueprints).map(|blueprint| blueprint.definition.key.clone())
    }

    /// Asks until there is an answer: always with the same command id, each time through any node.
    async fn ask<T>(
        &self,
        by: &str,
        what: &str,
        ask: impl AsyncFn(Commands, Request) -> Result<T, Error>,
    ) -> Option<T> {
        let command = CommandId::from_uuid(self.dice.uuid());
        for _ in 0..TRIES {
            let door = self.dice.pick(&self.doors.lock()).cloned();
            let Some(door) = door else {
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            };
            let request = Request { command: Some(command), ..Request::by(Actor::person(by)) };
            let answer = tokio::select! {
                biased;
                () = door.gone.cancelled() => None,
                answer = ask(door.commands.clone(), request) => Some(answer),
                () = tokio::time::sleep(Duration::from_secs(20)) => None,
            };
            match answer {
                Some(Ok(answer)) => {
                    self.store.trace.note(&self.who, || format!("{by} {what}: done"));
                    return Some(answer);
                }
                Some(Err(error)) if error.is_refusal() => {
                    self.store.trace.note(&self.who, || format!("{by} {what}: {error}"));
                    let mut checker = self.store.checker.lock();
                    if checker.has(command) {
                        let code = error.code();
                        checker.blame(format!("{by} {what}: it was recorded, and its repetition got {code}: {error}"));
                    }
                    return None;
                }
                Some(Err(error)) => self.store.trace.note(&self.who, || format!("{by} {what}: {error:?}")),
                None => self.store.trace.note(&self.who, || format!("{by} {what}: no answer")),
            }
            tokio::time::sleep(self.dice.millis(50, 2_000)).await;
        }
        None
    }

    pub(crate) async fn start(&self) {
        let Some(workflow) = self.workflow() else { return };
        let input = catalog::input(&self.dice);
        let by = input.get("who").and_then(Value::as_str).unwrap_or("anna").to_owned();
        let number = i32::try_from(self.dice.below(5)).unwrap_or(0);
        let key = self.dice.permille(150).then(|| format!("order-{}", self.dice.below(20)));
        // Answers here have no parts, so such a run asks every model twice.
        let form = self.dice.permille(100).then_some(Form::Every);
        let start =
            StartRun { priority: number - 2, idempotency_key: key, form, ..StartRun::new(workflow.clone(), input) };
        let what = format!("starts {workflow}");
        self.ask(&by, &what, async |commands, request| commands.start_run(request, start.clone()).await).await;
    }

    async fn signal(&self) {
        let (Some(run), Some(signal)) = (self.run(), self.dice.pick(&SIGNALS)) else { return };
        self.send(run, &name(signal)).await;
        if self.dice.permille(200) {
            self.send(run, &name(signal)).await;
        }
    }

    async fn send(&self, run: RunId, signal: &StepName) {
        let payload = match self.dice.below(8) {
            0 => Value::Null,
            1 => json!({"deep": [1, 2]}),
            _ => json!(format!("p{}", self.dice.below(1000))),
        };
        let what = format!("sends {signal} to {run}");
        self.ask("anna", &what, async |commands, request| {
            commands.signal_run(request, run, signal.clone(), payload.clone()).await
        })
        .await;
    }

    async fn pause(&self) {
        let Some(run) = self.run() else { return };
        let clock = self.clock();
        self.ask("anna", &format!("pauses {run} ({})", clock.name()), async |commands, request| {
            commands.pause_run(request, run, "lunch".to_owned(), clock).await
        })
        .await;
    }

    fn clock(&self) -> PauseClock {
        if self.dice.permille(500) { PauseClock::Frozen } else { PauseClock::Running }
    }

    async fn resume_something(&self) {
        let Some(run) = self.run() else { return };
        self.resume(run).await;
    }

    async fn resume(&self, run: RunId) {
        self.ask("anna", &format!("resumes {run}"), async |commands, request| commands.resume_run(request, run).await)
            .await;
    }

    async fn cancel(&self) {
        let Some(run) = self.run() else { return };
        let grace = if self.dice.permille(300) { Duration::ZERO } else { self.dice.millis(1, 15_000) };
        self.ask("anna", &format!("cancels {run} within {grace:?}"), async |commands, request| {
            commands.cancel_run(request, run, "enough".to_owned(), grace).await
        })
        .await;
    }

    async fn branch(&self) {
        let runs = self.store.checker.lock().all_runs();
        let Some(run) = self.dice.pick(&runs).copied() else { return };
        let branch = match self.dice.below(3) {
            0 => Branch::Retry,
            1 => Branch::Rerun { from: vec![name(&format!("s{}", self.dice.below(5)))] },
            _ => Branch::Fork { revision: self.dice.below(20) },
        };
        let input = self.dice.permille(300).then(|| catalog::input(&self.dice));
        self.ask("bert", &format!("branches {branch:?} off {run}"), async |commands, request| {
            let changes = Changes { input: input.clone(), ..Changes::default() };
            commands.branch_run(request, run, branch.clone(), changes).await
        })
        .await;
    }

    async fn hold(&self) {
        let Some(workflow) = self.workflow() else { return };
        let scope = if self.dice.permille(400) { HoldScope::Everything } else { HoldScope::Workflow(workflow) };
        let clock = self.clock();
        self.ask("dora", &format!("holds {scope} ({})", clock.name()), async |commands, request| {
            commands.place_hold(request, scope.clone(), "maintenance".to_owned(), clock).await
        })
        .await;
    }

    /// Lifts every hold that there may be.
    async fn lift_all(&self) {
        let workflows = self.blueprints.iter().map(|blueprint| blueprint.definition.key.clone());
        let scopes: Vec<HoldScope> =
            std::iter::once(HoldScope::Everything).chain(workflows.map(HoldScope::Workflow)).collect();
        for scope in scopes {
            self.ask("dora", &format!("lifts {scope}"), async |commands, request| {
                commands.lift_hold(request, &scope).await
            })
            .await;
        }
    }

    pub(crate) async fn limit(&self) {
        let dice = &self.dice;
        let scope = match (dice.below(4), self.workflow()) {
            (0 | 1, Some(workflow)) => LimitScope::Workflow(workflow),
            (2, _) => LimitScope::Agent(catalog::key(dice.pick(&AGENTS).copied().unwrap_or("ada"))),
            _ => LimitScope::Platform(catalog::key(dice.pick(&PLATFORMS).copied().unwrap_or("north"))),
        };
        let of_runs = matches!(scope, LimitScope::Workflow(_));
        let max_running = dice.permille(800).then(|| u32::try_from(dice.between(1, 4)).unwrap_or(1));
        let rate = (max_running.is_none() || dice.permille(200))
            .then(|| Rate { starts: u32::try_from(dice.between(1, 4)).unwrap_or(1), per: dice.millis(500, 10_000) });
        let settings = LimitSettings {
            key: catalog::key(&format!("limit-{}", dice.below(4))),
            description: String::new(),
            scope,
            by: (of_runs && dice.permille(300)).then(expression_of_who),
            capacity: Capacity { max_running, rate },
            fairness: dice.permille(400).then(expression_of_who),
        };
        let what = format!("limits {} to {:?}", settings.scope, settings.capacity);
        self.ask("dora", &what, async |commands, request| commands.set_limit(request, settings.clone()).await).await;
    }

    async fn unlimit(&self) {
        let key = catalog::key(&format!("limit-{}", self.dice.below(4)));
        self.ask("dora", &format!("removes {key}"), async |commands, request| {
            commands.remove_limit(request, &key, "not needed".to_owned()).await
        })
        .await;
    }

    /// Sets a budget, changes one, or takes one away.
    async fn budget(&self) {
        if self.dice.permille(250) {
            let key = budgets::any_key(&self.dice);
            self.ask("dora", &format!("takes {key} away"), async |commands, request| {
                commands.remove_budget(request, key.clone(), "not needed".to_owned()).await
            })
            .await;
            return;
        }
        let settings = budgets::any(&self.dice, &self.blueprints);
        let what =
            format!("gives {} {} for {}", settings.scope, settings.unit.show(settings.limit), settings.window.name());
        self.ask("dora", &what, async |commands, request| commands.set_budget(request, settings.clone()).await).await;
    }

    async fn decide_something(&self) {
        let Some(run) = self.run() else { return };
        let Some(explanation) = self.explain(run).await else { return };
        let asked = explanation.next.iter().find_map(|cause| match cause {
            Cause::Approval { step, .. } => Some(step.clone()),
            _ => None,
        });
        let by = self.dice.pick(&PEOPLE).copied().unwrap_or("anna");
        let approved = self.dice.permille(750);
        match asked {
            Some(step) => self.decide(run, &step, by, approved).await,
            // Too early, too late, or about nothing.
            None => self.decide(run, &name(&format!("s{}", self.dice.below(6))), by, approved).await,
        }
    }

    async fn decide(&self, run: RunId, step: &StepName, by: &str, approved: bool) {
        let roles = if self.dice.permille(700) { vec![ROLE.to_owned()] } else { vec![] };
        let what = format!("decides {approved} on {step} of {run}");
        self.ask(by, &what, async |commands, request| {
            let comment = "seen".to_owned();
            let (step, roles) = (step.clone(), roles.clone());
            let decision = DecideApproval { run, step, approved, comment, content_hash: None, roles };
            commands.decide_approval(request, decision).await
        })
        .await;
    }

    async fn explain(&self, run: RunId) -> Option<commands::Explanation> {
        let commands = self.doors.lock().first().map(|door| door.commands.clone())?;
        let asked = tokio::time::timeout(Duration::from_secs(20), commands.explain(run)).await;
        asked.ok()?.ok()
    }

    async fn ask_why(&self) {
        if let Some(run) = self.run() {
            self.explain(run).await;
        }
    }

    /// Does what a live run waits for, if people can do it. `commands` never fails.
    pub(crate) async fn finish(&self, commands: &Commands, run: RunId) {
        let Ok(explanation) = commands.explain(run).await else { return };
        for cause in &explanation.next {
            match cause {
                Cause::Paused { held: true, .. } => self.lift_all().await,
                Cause::Paused { .. } => self.resume(run).await,
                Cause::Signal { signal, .. } => self.send(run, signal).await,
                Cause::Approval { step, .. } => {
                    let by = self.dice.pick(&PEOPLE).copied().unwrap_or("anna");
                    self.decide(run, step, by, self.dice.permille(800)).await;
                }
                _ => {}
            }
        }
    }
}
