//! Budgets: what may be spent is never exceeded, whoever spends it, and what is set aside is settled however it ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::budget::{BudgetScope, BudgetSettings, Unit, Window};
use domain::limit::{LimitScope, LimitSettings};
use domain::purse::Payer;
use domain::run::RunStatus;
use domain::slots::{Capacity, Rate};
use domain::task::Why;
use domain::workflow::{ParentClose, SubRun, Work};
use domain::{ErrorKind, Event, PurseEvent, RunId, TaskEvent};
use providers::router::BreakerOptions;
use providers::{Behaviour, Failure, FailureKind, Health, Platform, Reply, ReplyStream, Request, Simulator, Usage};
use serde_json::json;
use tokio::sync::watch;

use crate::world::{Called, World, edit, me, step, workflow, working};

/// What a call may cost at most on [`Dear`], and what it does cost.
pub(crate) const MOST: u64 = 100;
pub(crate) const COST: u64 = 40;

/// The model of which a call may cost so much at most; one of another name may cost [`MOST`].
pub(crate) fn model_for(most: u64) -> String {
    format!("for-{most}")
}

fn most(model: Option<&str>) -> u64 {
    model.and_then(|model| model.strip_prefix("for-")).map_or(MOST, |most| most.parse().unwrap())
}

/// A simulator whose calls cost something, and which answers once it may. They cost as much less than they may as [`COST`] is
/// less than [`MOST`].
struct Dear(Simulator, watch::Receiver<bool>);

#[async_trait]
impl Platform for Dear {
    fn key(&self) -> &str {
        self.0.key()
    }

    fn default_model(&self) -> Option<&str> {
        self.0.default_model()
    }

    fn simulated(&self) -> bool {
        true
    }

    fn unusable(&self) -> Option<String> {
        None
    }

    async fn execute(&self, request: Request) -> Result<Reply, Failure> {
        self.1.clone().wait_for(|open| *open).await.unwrap();
        let cost = most(request.model.as_deref()) * COST / MOST;
        let reply = self.0.execute(request).await?;
        Ok(Reply { cost: Some(i64::try_from(cost).unwrap()), ..reply })
    }

    async fn stream(&self, request: Request) -> Result<ReplyStream, Failure> {
        self.0.stream(request).await
    }

    fn cost(&self, model: &str, _usage: &Usage) -> Option<i64> {
        Some(i64::try_from(most(Some(model))).unwrap())
    }

    async fn health(&self) -> Health {
        self.0.health().await
    }
}

pub(crate) fn budget(key: &str, scope: BudgetScope, limit: u64) -> BudgetSettings {
    BudgetSettings {
        key: key.parse().unwrap(),
        description: String::new(),
        scope,
        unit: Unit::Money,
        limit,
        window: Window::Ever,
        warn_milli: None,
        unpriced: None,
    }
}

pub(crate) fn dear(platform: Simulator) -> Arc<dyn Platform> {
    Arc::new(Dear(platform, open()))
}

/// The same, which answers once the gate is open.
pub(crate) fn gated(platform: Simulator, gate: watch::Receiver<bool>) -> Arc<dyn Platform> {
    Arc::new(Dear(platform, gate))
}

/// A gate that is open from the start.
fn open() -> watch::Receiver<bool> {
    let (sender, gate) = watch::channel(true);
    drop(sender);
    gate
}

/// A world whose budgets the engine knows from the start.
async fn world(platforms: Vec<Arc<dyn Platform>>, budgets: Vec<BudgetSettings>) -> World {
    let mut world = World::without_engine().await;
    for settings in budgets {
        world.commands.set_budget(me(), settings).await.unwrap();
    }
    world.offer(workflow(vec![step("a", &[], "'x'")])).await;
    world.start_engine_on(platforms, BreakerOptions::default());
    world
}

async fn start(world: &World) -> RunId {
    world.start_again(&"flow".parse().unwrap(), json!({})).await
}

/// Of one budget: what was set aside and not settled, and what was spent.
async fn standing(world: &World, key: &str) -> (u64, u64) {
    let purse = world.commands.budget(&key.parse().unwrap(), None).await.unwrap().purse.unwrap();
    (purse.reserved, purse.spent)
}

/// Goes through everything that happened and asserts that no purse ever held more than the limit, and that what is set
/// aside belongs to an attempt under way. Answers with what is spent.
pub(crate) async fn adds_up(world: &World, limit: u64) -> u64 {
    let (mut open, mut spent): (BTreeMap<Payer, u64>, u64) = (BTreeMap::new(), 0);
    for event in world.events().await {
        match event {
            Event::Purse(PurseEvent::Reserved { payer, amount, .. }) => {
                assert!(open.insert(payer, amount).is_none(), "{payer} is set aside for once");
            }
            Event::Purse(PurseEvent::Settled { payer, amount, known }) => {
                let held = open.remove(&payer).expect("only what was set aside is settled");
                assert!(amount <= held && (known || amount == held));
                spent += amount;
            }
            _ => {}
        }
        assert!(spent + open.values().sum::<u64>() <= limit);
    }
    assert!(open.is_empty(), "everything is settled at the end: {open:?}");
    spent
}

#[tokio::test]
async fn an_attempt_is_paid_from_what_is_there_and_refused_when_nothing_is() {
    let slow = Simulator::builder().latency(Duration::from_millis(50)).build();
    let all = BudgetSettings { warn_milli: Some(500), ..budget("all", BudgetScope::Organisation, 180) };
    let world = world(vec![dear(slow)], vec![all]).await;
    for spent in [40, 80] {
        let run = start(&world).await;
        world.until(|event| matches!(event, Event::Task(TaskEvent::AttemptStarted { reserved, .. }) if reserved[0].amount == MOST)).await;
        assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
        assert_eq!(standing(&world, "all").await, (0, spent));
    }
    let run = start(&world).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed, "180 are just enough for 80 and 100");
    let run = start(&world).await;
    let run = world.finished(run).await;
    let error = run.error().unwrap();
    assert_eq!((run.status(), error.kind), (RunStatus::Failed, ErrorKind::BudgetExhausted));
    for part in ["budget `all` is used up", "$0.00000018", "$0.00000012 are spent", "does not begin anew"] {
        assert!(error.message.contains(part), "{}", error.message);
    }
    assert_eq!(adds_up(&world, 180).await, 120);
    assert_eq!(world.count("purse.warned").await, 1);
    // What is raised counts at once.
    world.commands.set_budget(me(), budget("all", BudgetScope::Organisation, 1000)).await.unwrap();
    world.settle().await;
    let run = start(&world).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
}

#[tokio::test]
async fn many_calls_of_two_processes_get_exactly_what_is_there() {
    let (open, gate) = watch::channel(false);
    let slow = || Arc::new(Dear(Simulator::default(), gate.clone())) as Arc<dyn Platform>;
    let world = world(vec![slow()], vec![budget("all", BudgetScope::Organisation, 5 * MOST)]).await;
    let second = world.second_engine(vec![slow()]);
    let mut runs = Vec::new();
    for _ in 0..24 {
        runs.push(start(&world).await);
    }
    // Nobody answers before everybody has asked.
    while world.count("run.failed").await < 19 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.count("purse.reserved").await, 5);
    open.send_replace(true);
    let mut completed = 0;
    for run in runs {
        let run = world.finished(run).await;
        match run.status() {
            RunStatus::Completed => completed += 1,
            status => {
                assert_eq!(status, RunStatus::Failed);
                assert_eq!(run.error().unwrap().kind, ErrorKind::BudgetExhausted);
            }
        }
    }
    second.stop().await;
    assert_eq!(completed, 5);
    let mut drivers = std::collections::BTreeSet::new();
    for event in world.events().await {
        if let Event::Run(domain::RunEvent::Claimed { node, .. }) = event {
            drivers.insert(node);
        }
    }
    assert_eq!(drivers.len(), 2, "both had a part in it");
    assert_eq!(adds_up(&world, 5 * MOST).await, 5 * COST);
}

#[tokio::test]
async fn a_killed_process_leaves_nothing_open() {
    let hangs =
        Simulator::builder().script(|_, call| if call == 1 { Behaviour::Hang } else { Behaviour::Answer }).build();
    let mut world = world(vec![dear(hangs.clone())], vec![budget("all", BudgetScope::Organisation, 3 * MOST)]).await;
    let run = start(&world).await;
    world.until(|event| matches!(event, Event::Task(TaskEvent::AttemptStarted { .. }))).await;
    assert_eq!(standing(&world, "all").await, (MOST, 0));
    world.kill_engine().await;
    world.start_engine_on(vec![dear(hangs)], BreakerOptions::default());
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    // What became of the lost call nobody knows, so it counts as all that was set aside.
    assert_eq!(adds_up(&world, 3 * MOST).await, MOST + COST);
}

#[tokio::test]
async fn what_a_platform_refused_costs_nothing_and_what_was_cut_costs_all() {
    let cases = [(FailureKind::PlatformFailure, 0), (FailureKind::Unauthorized, 0), (FailureKind::Timeout, MOST)];
    for (kind, cost) in cases {
        let fails = Simulator::builder().script(move |_, _| Behaviour::Fail(Failure::new(kind, "no"))).build();
        let world = world(vec![dear(fails)], vec![budget("all", BudgetScope::Organisation, 1000)]).await;
        let mut once = step("a", &[], "'x'");
        edit(&mut once, |task| task.retry.max_attempts = 1);
        let run = world.start(workflow(vec![once]).called("once"), json!({})).await;
        assert_eq!(world.finished(run).await.status(), RunStatus::Failed);
        assert_eq!(adds_up(&world, 1000).await, cost, "{kind:?}");
    }
    let hangs = Simulator::builder().script(|_, _| Behaviour::Hang).build();
    let world = world(vec![dear(hangs)], vec![budget("all", BudgetScope::Organisation, 1000)]).await;
    let run = start(&world).await;
    world.until(|event| matches!(event, Event::Task(TaskEvent::AttemptStarted { .. }))).await;
    world.commands.cancel_run(me(), run, "enough".into(), Duration::ZERO).await.unwrap();
    assert_eq!(world.finished(run).await.status(), RunStatus::Cancelled);
    assert_eq!(adds_up(&world, 1000).await, MOST);
}

#[tokio::test]
async fn a_platform_that_costs_nothing_stands_in() {
    let free = Simulator::builder().key("free").build();
    let platforms = vec![dear(Simulator::builder().key("dear").build()), Arc::new(free) as Arc<dyn Platform>];
    let world = world(platforms, vec![budget("all", BudgetScope::Organisation, 99)]).await;
    let run = start(&world).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    let started = world.events().await.into_iter().find_map(|event| match event {
        Event::Task(TaskEvent::AttemptStarted { platform, choice, .. }) => Some((platform, choice.unwrap())),
        _ => None,
    });
    let (platform, choice) = started.unwrap();
    assert_eq!((platform.as_str(), choice.why), ("free", Why::First));
    assert!(choice.passed_over[0].reason.starts_with("budget `all` is used up"), "{:?}", choice.passed_over);
}

/// It was taken for one that could be paid, got a slot, gave it back for the next platform's, and so on for ever: a rate lets
/// the same start happen once.
#[tokio::test]
async fn who_cannot_be_paid_gives_no_slot_back_that_the_next_platform_needs() {
    let platforms = ["first", "second"].map(|key| Arc::new(Simulator::builder().key(key).build()) as Arc<dyn Platform>);
    let rate = |millis| {
        let rate = Some(Rate { starts: 1, per: Duration::from_millis(millis) });
        Capacity { max_running: None, rate }
    };
    let mut world = World::without_engine().await;
    let limits = [
        ("agents", LimitScope::Agent("worker".parse().unwrap()), 60),
        ("platforms", LimitScope::Platform("second".parse().unwrap()), 20),
    ];
    for (key, scope, millis) in limits {
        let settings = LimitSettings {
            key: key.parse().unwrap(),
            description: String::new(),
            scope,
            by: None,
            capacity: rate(millis),
            fairness: None,
        };
        world.commands.set_limit(me(), settings).await.unwrap();
    }
    let spent =
        BudgetSettings { unit: Unit::Tokens, ..budget("spent", BudgetScope::Platform("first".parse().unwrap()), 1) };
    world.commands.set_budget(me(), spent).await.unwrap();
    world.offer(workflow(vec![step("a", &[], "'x'")])).await;
    world.start_engine_on(platforms.into(), BreakerOptions::default());
    let runs = [start(&world).await, start(&world).await, start(&world).await];
    for run in runs {
        let ended = tokio::time::timeout(Duration::from_secs(20), world.finished(run)).await;
        assert_eq!(ended.expect("it comes to an end").status(), RunStatus::Completed);
    }
}

#[tokio::test]
async fn every_budget_that_counts_an_attempt_has_to_hold_it() {
    let key = |key: &str| key.parse().unwrap();
    let scopes = [
        BudgetScope::Organisation,
        BudgetScope::Department("engineering".into()),
        BudgetScope::Person("tester".into()),
        BudgetScope::Workflow(key("flow")),
        BudgetScope::Agent(key("worker")),
        BudgetScope::Platform(key("simulator")),
        BudgetScope::ApiKey("tester".into()),
        BudgetScope::Department("legal".into()),
        BudgetScope::Workflow(key("other")),
    ];
    let budgets = |limit| -> Vec<BudgetSettings> {
        let scopes = scopes.iter().cloned().zip('a'..);
        scopes.map(|(scope, name)| budget(&format!("b{name}"), scope, limit)).collect()
    };
    let all = world(vec![dear(Simulator::default())], budgets(MOST)).await;
    let run = start(&all).await;
    assert_eq!(all.finished(run).await.status(), RunStatus::Completed);
    let mut spent = Vec::new();
    for settings in budgets(MOST) {
        spent.push(standing(&all, settings.key.as_str()).await.1);
    }
    assert_eq!(spent, [40, 40, 40, 40, 40, 40, 0, 0, 0]);
    // The one that is short refuses, and then nothing is set aside in the others.
    let mut short = budgets(MOST);
    short[4].limit = MOST - 1;
    let world = world(vec![dear(Simulator::default())], short).await;
    let run = start(&world).await;
    let run = world.finished(run).await;
    assert!(run.error().unwrap().message.contains("budget `be` is used up"), "{:?}", run.error());
    assert_eq!(world.count("purse.reserved").await, 0);
}

#[tokio::test]
async fn the_runs_that_a_run_starts_get_what_remains() {
    let each = budget("each", BudgetScope::EachRun("parent".parse().unwrap()), MOST + COST);
    let world = world(vec![dear(Simulator::default())], vec![each]).await;
    let child = Work::Run(SubRun {
        workflow: "flow".parse().unwrap(),
        version: None,
        input: BTreeMap::new(),
        wait: true,
        on_parent_close: ParentClose::Cancel,
    });
    let steps =
        vec![step("own", &[], "'x'"), working("first", &["own"], child.clone()), working("second", &["first"], child)];
    world.offer(workflow(steps).called("parent")).await;
    for _ in 0..2 {
        let run = world.start_again(&"parent".parse().unwrap(), json!({})).await;
        let ended = world.finished(run).await;
        // 40 for its own step, 40 for the first child; the second would need 100 of the 60 that remain.
        assert_eq!(ended.error().unwrap().kind, ErrorKind::RunFailed);
        assert!(ended.error().unwrap().message.contains("budget `each` is used up"), "{:?}", ended.error());
        let standing = world.commands.budget(&"each".parse().unwrap(), Some(run)).await.unwrap();
        assert_eq!(standing.purse.unwrap().spent, 2 * COST, "each run has a purse of its own");
    }
    // A run of the other workflow that nobody started is not counted.
    let run = start(&world).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
}

#[tokio::test]
async fn tokens_are_counted_too_and_what_has_no_price_needs_one() {
    let tokens = BudgetSettings { unit: Unit::Tokens, ..budget("tokens", BudgetScope::Organisation, 10_000) };
    let of_tokens = world(vec![Arc::new(Simulator::default())], vec![tokens]).await;
    let run = start(&of_tokens).await;
    assert_eq!(of_tokens.finished(run).await.status(), RunStatus::Completed);
    let (reserved, spent) = standing(&of_tokens, "tokens").await;
    assert!(reserved == 0 && spent > 0 && spent < 200, "{spent}");

    struct Unpriced(Dear);
    #[async_trait]
    impl Platform for Unpriced {
        fn key(&self) -> &str {
            self.0.key()
        }
        fn default_model(&self) -> Option<&str> {
            None
        }
        fn simulated(&self) -> bool {
            true
        }
        fn unusable(&self) -> Option<String> {
            None
        }
        async fn execute(&self, request: Request) -> Result<Reply, Failure> {
            Ok(Reply { cost: None, ..self.0.execute(request).await? })
        }
        async fn stream(&self, request: Request) -> Result<ReplyStream, Failure> {
            self.0.stream(request).await
        }
        fn cost(&self, _model: &str, _usage: &Usage) -> Option<i64> {
            None
        }
        async fn health(&self) -> Health {
            self.0.health().await
        }
    }
    let unpriced = || Arc::new(Unpriced(Dear(Simulator::default(), open()))) as Arc<dyn Platform>;
    let strict = world(vec![unpriced()], vec![budget("money", BudgetScope::Organisation, 1000)]).await;
    let run = start(&strict).await;
    let run = strict.finished(run).await;
    assert_eq!(run.error().unwrap().kind, ErrorKind::BudgetExhausted);
    assert!(run.error().unwrap().message.contains("whose price is not known"), "{:?}", run.error());
    let lenient = BudgetSettings { unpriced: Some(7), ..budget("money", BudgetScope::Organisation, 1000) };
    let world = world(vec![unpriced()], vec![lenient]).await;
    let run = start(&world).await;
    assert_eq!(world.finished(run).await.status(), RunStatus::Completed);
    assert_eq!(standing(&world, "money").await, (0, 7), "never as nothing");
}
