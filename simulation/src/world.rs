//! One simulated world, from its seed to the verdict.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Once};
use std::time::Duration;

use commands::{Cause, Commands, Request, SeededSurroundings};
use domain::Actor;
use domain::task::Form;
use futures_util::future::join_all;
use journal::{Filter, Journal, Position};
use tokio::time::Instant;

use crate::budgets;
use crate::catalog::{self, Blueprint};
use crate::check::Checker;
use crate::dice::Dice;
use crate::kind::Kind;
use crate::nodes::{Nodes, Tally};
use crate::people::Person;
use crate::store::{Line, Store};
use crate::trace::{self, Telling, Trace};

/// What became of a world.
#[derive(Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// What was wrong; empty when everything held.
    pub violations: Vec<String>,
    /// What happened, when that was wanted.
    pub trace: Vec<trace::Line>,
    /// BLAKE3 over every event: equal digests mean equal journals, byte for byte.
    pub digest: [u8; 32],
    /// How many events were recorded.
    pub events: u64,
    /// How many of each type.
    pub kinds: BTreeMap<String, u64>,
    /// How many runs there were.
    pub runs: usize,
    /// How much time passed in the world.
    pub lasted: Duration,
    /// How often each kind of thing went wrong with processes.
    pub faults: Tally,
}

/// How long everything may take once nothing goes wrong any more and people do what is to be done.
const PATIENCE: Duration = Duration::from_secs(4 * 3600);
/// A world in which nothing is recorded for so long is quiet.
const QUIET: Duration = Duration::from_secs(4);

thread_local! {
    /// What panicked in this thread, while it lives through a world.
    static PANICS: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Panics of the engine do not end it, so they are remembered to be reported.
fn remember_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let remembered = PANICS.with_borrow_mut(|panics| {
                let panics = panics.as_mut()?;
                panics.push(format!("something panicked: {info}"));
                Some(())
            });
            if remembered.is_none() {
                usual(info);
            }
        }));
    });
}

/// Lives through the world of a seed. The same seed always gives the same world.
///
/// # Errors
/// When no runtime can be made.
pub fn simulate(seed: u64, telling: Telling) -> std::io::Result<Report> {
    remember_panics();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    PANICS.set(Some(Vec::new()));
    let mut report = runtime.block_on(live(seed, telling));
    report.violations.extend(PANICS.take().unwrap_or_default());
    Ok(report)
}

async fn live(seed: u64, telling: Telling) -> Report {
    let origin = Instant::now();
    let dice = Dice::new(seed);
    let blueprints: Arc<[Arc<Blueprint>]> = catalog::workflows(&dice.fork()).into();
    let clock = SeededSurroundings::new(origin, 0);
    let kind = Kind::of(seed);
    let (store, orders) = Store::new(Checker::new(&blueprints), Trace::new(origin, telling), clock, dice.fork(), kind);
    let outside = outside(&store, origin, dice.next());
    let founded = async {
        found(&outside, &blueprints).await?;
        if kind == Kind::Budgeted { endow(&outside, &dice.fork(), &blueprints).await } else { Ok(()) }
    };
    if let Err(error) = founded.await {
        store.checker.lock().blame(format!("the world cannot begin: {error}"));
    }
    let (mut nodes, doors) = Nodes::new(Arc::clone(&store), orders, dice.fork(), origin);
    let people: Vec<Person> = (1..=dice.between(1, 3))
        .map(|number| Person {
            who: format!("person {number}"),
            store: Arc::clone(&store),
            doors: Arc::clone(&doors),
            dice: dice.fork(),
            blueprints: Arc::clone(&blueprints),
        })
        .collect();
    store.weather.storm(&dice.fork());
    store.trace.note("weather", || format!("{:?}", store.weather.now()));
    let storm = origin + dice.millis(10_000, 120_000);
    // Commands may be on their way for a while after the last was given.
    tokio::join!(nodes.live(storm + Duration::from_secs(1)), join_all(people.iter().map(|person| person.act(storm))));
    nodes.calm();
    store.weather.calm();
    store.trace.note("weather", || "nothing goes wrong any more".to_owned());
    finish(&store, &outside, &mut nodes, &people).await;
    judge(seed, &store, nodes).await
}

/// Commands over a line that never fails.
fn outside(store: &Arc<Store>, origin: Instant, seed: u64) -> Commands {
    let surroundings = Arc::new(SeededSurroundings::new(origin, seed));
    Commands::within(Arc::new(Line::outside(store, "outside")) as Arc<dyn Journal>, surroundings).with_form(Form::Text)
}

/// Fills the catalogue.
async fn found(commands: &Commands, blueprints: &[Arc<Blueprint>]) -> Result<(), commands::Error> {
    let founder = || Request::by(Actor::person("founder"));
    commands.register_template(founder(), catalog::template()).await?;
    for agent in catalog::agents() {
        commands.register_agent(founder(), agent).await?;
    }
    for blueprint in blueprints {
        commands.draft_workflow(founder(), blueprint.definition.clone()).await?;
        commands.activate_workflow(founder(), &blueprint.definition.key, None).await?;
    }
    Ok(())
}

/// Gives a world what it has to spend.
async fn endow(commands: &Commands, dice: &Dice, blueprints: &[Arc<Blueprint>]) -> Result<(), commands::Error> {
    for _ in 0..dice.between(1, 4) {
        let budget = budgets::any(dice, blueprints);
        commands.set_budget(Request::by(Actor::person("founder")), budget).await?;
    }
    Ok(())
}

/// Lets everything come to its end: people do what is asked of them, and whenever it is quiet, every live run must say
/// what it waits for.
async fn finish(store: &Arc<Store>, outside: &Commands, nodes: &mut Nodes, people: &[Person]) {
    let began = Instant::now();
    // Frozen processes wake up, dead ones are replaced, and everybody hears of it.
    nodes.live(began + Duration::from_secs(60)).await;
    while began.elapsed() < PATIENCE {
        let live = {
            let checker = store.checker.lock();
            if !checker.violations().is_empty() {
                return;
            }
            checker.live_runs()
        };
        if live.is_empty() {
            nodes.live(Instant::now() + Duration::from_secs(10)).await;
            break;
        }
        let last = store.checker.lock().last();
        let quiet = last.is_none_or(|last| outside.surroundings().now().since(last) >= QUIET);
        if quiet {
            for run in &live {
                explained(store, outside, *run).await;
            }
        }
        let act = async {
            for (run, person) in live.iter().zip(people.iter().cycle()) {
                person.finish(outside, *run).await;
            }
        };
        // People act while the processes work.
        tokio::pin!(act);
        loop {
            tokio::select! {
                biased;
                () = &mut act => break,
                () = nodes.live(Instant::now() + Duration::from_secs(1)) => {}
            }
        }
        nodes.live(Instant::now() + Duration::from_secs(6)).await;
    }
}

/// A live run says what it waits for, and it is not the engine.
async fn explained(store: &Arc<Store>, outside: &Commands, run: domain::RunId) {
    let explained = outside.explain(run).await;
    let wrong = match &explained {
        Ok(explanation) if explanation.status.is_terminal() => false,
        Ok(explanation) => explanation.next.is_empty() || explanation.next.iter().any(waits_for_engine),
        Err(_) => true,
    };
    if wrong {
        store.checker.lock().blame(format!("it is quiet, and run {run} waits for nothing: {explained:?}"));
    }
}

fn waits_for_engine(cause: &Cause) -> bool {
    match cause {
        Cause::Engine | Cause::Unclaimed => true,
        Cause::Items { one: Some(one), .. } => waits_for_engine(one),
        Cause::Undo { task, .. } => waits_for_engine(task),
        _ => false,
    }
}

async fn judge(seed: u64, store: &Arc<Store>, mut nodes: Nodes) -> Report {
    let lasting = store.checker.lock().live_runs();
    let quiet = store.checker.lock().violations().is_empty();
    if quiet {
        let outside = outside(store, Instant::now(), 0);
        for run in lasting {
            let why = outside.explain(run).await.map(|explanation| explanation.next);
            store.checker.lock().blame(format!("run {run} does not come to an end; it waits for {why:?}"));
        }
        for left in nodes.stop().await {
            store.checker.lock().blame(left);
        }
        store.checker.lock().finish();
        match journal::chain::verify(&store.journal).await {
            Ok(report) if report.is_sound() => {}
            Ok(report) => store.checker.lock().blame(format!("the chains do not hold: {report:?}")),
            Err(error) => store.checker.lock().blame(format!("the chains cannot be verified: {error}")),
        }
    }
    let mut hasher = blake3::Hasher::new();
    if let Ok(page) = store.journal.read_all(Position::START, &Filter::default(), usize::MAX).await {
        for event in page.events {
            hasher.update(&event.position.as_u64().to_le_bytes());
            hasher.update(&event.hash.0);
        }
    }
    let checker = store.checker.lock();
    Report {
        seed,
        violations: checker.violations().to_vec(),
        trace: store.trace.take(),
        digest: *hasher.finalize().as_bytes(),
        events: checker.kinds().values().sum(),
        kinds: checker.kinds().clone(),
        runs: checker.all_runs().len(),
        lasted: store.trace.elapsed(),
        faults: nodes.tally,
    }
}
