//! The processes of a simulated world: they start, die, freeze, are cut off, stop in order, and see each other late.
//!
//! A process that dies loses everything that it had in memory, at whatever point each of its tasks stood; one that is
//! started in its place is a new node. What nodes see of each other is made late and wrong here, but never for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use commands::{Commands, SeededSurroundings};
use domain::NodeId;
use domain::task::Form;
use engine::{Cache, Engine, Options, Redaction};
use journal::{Checkpoints, Journal, Members};
use parking_lot::Mutex;
use providers::router::{BreakerOptions, PaceOptions};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::condition::{Condition, Cut};
use crate::dice::Dice;
use crate::platforms;
use crate::store::{Line, Order, Store};

/// What somebody outside knows of a running node.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) commands: Commands,
    /// Cancelled when the process is gone.
    pub(crate) gone: CancellationToken,
}

/// One process.
struct Process {
    id: NodeId,
    who: Arc<str>,
    condition: Arc<Condition>,
    door: Door,
    shutdown: CancellationToken,
    view: watch::Sender<Arc<BTreeSet<NodeId>>>,
    /// Dropping it ends everything that the process does.
    work: JoinSet<()>,
}

/// What happens at some time.
#[derive(Debug)]
enum Action {
    /// Something goes wrong.
    Fault,
    /// A process starts in a place.
    Start(usize),
    /// A frozen process wakes up.
    Thaw(NodeId),
    /// A process that was cut off reaches the journal again.
    Heal(NodeId),
    /// The others may notice that a node does not answer any more.
    Suspect(NodeId),
    /// A node learns who is alive.
    Tell(NodeId),
    /// A node is told something wrong.
    Mislead(NodeId),
}

/// How often each kind of thing went wrong.
pub type Tally = BTreeMap<&'static str, u64>;

/// All processes.
pub(crate) struct Nodes {
    store: Arc<Store>,
    dice: Dice,
    origin: Instant,
    orders: mpsc::UnboundedReceiver<Order>,
    /// The places at which a process runs, or will again.
    places: Vec<Option<Process>>,
    /// Who is alive, as far as can be told from outside.
    alive: BTreeSet<NodeId>,
    plan: BTreeMap<(Instant, u64), Action>,
    planned: u64,
    started: u64,
    doors: Arc<Mutex<Vec<Door>>>,
    /// How often something goes wrong; `None` once nothing does any more.
    pace: Option<Duration>,
    /// Which kinds of faults there are in this world, by their number.
    kinds: Vec<u64>,
    pub(crate) tally: Tally,
}

impl Nodes {
    pub(crate) fn new(
        store: Arc<Store>,
        orders: mpsc::UnboundedReceiver<Order>,
        dice: Dice,
        origin: Instant,
    ) -> (Self, Arc<Mutex<Vec<Door>>>) {
        let doors = Arc::new(Mutex::new(Vec::new()));
        let mut nodes = Self {
            store,
            origin,
            orders,
            places: Vec::new(),
            alive: BTreeSet::new(),
            plan: BTreeMap::new(),
            planned: 0,
            started: 0,
            doors: Arc::clone(&doors),
            pace: Some(dice.millis(1_000, 20_000)),
            kinds: (0..6).filter(|_| dice.permille(650)).collect(),
            tally: Tally::new(),
            dice,
        };
        for place in 0..nodes.dice.between(1, 4) {
            nodes.places.push(None);
            let soon = nodes.dice.millis(0, 500);
            nodes.plan(soon, Action::Start(usize::try_from(place).unwrap_or(0)));
        }
        let first = nodes.dice.millis(500, 5_000);
        nodes.plan(first, Action::Fault);
        (nodes, doors)
    }

    fn plan(&mut self, after: Duration, action: Action) {
        self.planned += 1;
        self.plan.insert((Instant::now() + after, self.planned), action);
    }

    /// From now on nothing new goes wrong.
    pub(crate) fn calm(&mut self) {
        self.pace = None;
    }

    /// Does what is planned and what the processes ask for, until then.
    pub(crate) async fn live(&mut self, until: Instant) {
        loop {
            let next = self.plan.first_key_value().map(|((at, _), _)| *at).filter(|at| *at < until);
            tokio::select! {
                biased;
                Some(order) = self.orders.recv() => match order {
                    Order::Crash(node) => self.crash(node, "dies").await,
                    Order::Ended(node) => self.crash(node, "has ended").await,
                },
                () = tokio::time::sleep_until(next.unwrap_or(until)) => match next {
                    None => return,
                    Some(_) => if let Some((_, action)) = self.plan.pop_first() {
                        self.act(action).await;
                    },
                },
            }
        }
    }

    /// Stops all processes in order; answers with those that do not stop.
    pub(crate) async fn stop(&mut self) -> Vec<String> {
        let mut left = Vec::new();
        for place in &mut self.places {
            let Some(mut process) = place.take() else { continue };
            process.shutdown.cancel();
            let ended = async { while process.work.join_next().await.is_some() {} };
            if tokio::time::timeout(Duration::from_secs(120), ended).await.is_err() {
                left.push(format!("{} does not stop", process.who));
            }
        }
        left
    }

    async fn act(&mut self, action: Action) {
        match action {
            Action::Fault => {
                if let Some(pace) = self.pace {
                    self.go_wrong().await;
                    let next = self.dice.millis(100, 100 + 2 * u64::try_from(pace.as_millis()).unwrap_or(1000));
                    self.plan(next, Action::Fault);
                }
            }
            Action::Start(place) => self.start(place),
            Action::Thaw(node) => {
                if let Some(process) = self.find(node) {
                    process.condition.freeze(false);
                    self.note(node, "wakes up");
                    self.returns(node);
                }
            }
            Action::Heal(node) => {
                if let Some(process) = self.find(node) {
                    process.condition.cut(Cut::No);
                    self.note(node, "reaches the journal again");
                    self.returns(node);
                }
            }
            Action::Suspect(node) => {
                let silent = self.find(node).is_none_or(|process| process.condition.is_impaired());
                if silent && self.alive.remove(&node) {
                    self.tell_all();
                }
            }
            Action::Tell(node) => {
                if let Some(process) = self.find(node) {
                    process.view.send_replace(Arc::new(self.alive.clone()));
                }
            }
            Action::Mislead(node) => {
                let mut view = self.alive.clone();
                let others: Vec<NodeId> = view.iter().copied().filter(|other| *other != node).collect();
                if let (Some(process), Some(other)) = (self.find(node), self.dice.pick(&others)) {
                    view.remove(other);
                    process.view.send_replace(Arc::new(view));
                    self.note(node, "takes another node for dead");
                    let corrected = self.dice.millis(100, 10_000);
                    self.plan(corrected, Action::Tell(node));
                }
            }
        }
    }

    async fn go_wrong(&mut self) {
        let running: Vec<NodeId> = self.places.iter().flatten().map(|process| process.id).collect();
        let (Some(node), Some(kind)) = (self.dice.pick(&running).copied(), self.dice.pick(&self.kinds).copied()) else {
            return;
        };
        match kind {
            0 => self.crash(node, "is killed").await,
            1 => self.stop_one(node).await,
            2 => {
                if let Some(process) = self.find(node) {
                    process.condition.freeze(true);
                    self.count(node, "freezes");
                    self.silent_for(node, Action::Thaw(node));
                }
            }
            3 | 4 => {
                let cut = if kind == 3 { Cut::Silent } else { Cut::Refused };
                if let Some(process) = self.find(node) {
                    process.condition.cut(cut);
                    self.count(node, if kind == 3 { "is cut off" } else { "is refused" });
                    self.silent_for(node, Action::Heal(node));
                }
            }
            _ => {
                self.count(node, "is misled");
                self.plan(Duration::ZERO, Action::Mislead(node));
            }
        }
    }

    /// A node is silent for a while; the others notice when it lasts.
    fn silent_for(&mut self, node: NodeId, end: Action) {
        let (lasts, noticed) = (self.dice.millis(100, 40_000), self.dice.millis(2_000, 6_000));
        self.plan(noticed, Action::Suspect(node));
        self.plan(lasts, end);
    }

    fn returns(&mut self, node: NodeId) {
        if self.alive.insert(node) {
            self.tell_all();
        }
    }

    /// Everybody learns who is alive, each at its own time.
    fn tell_all(&mut self) {
        let running: Vec<NodeId> = self.places.iter().flatten().map(|process| process.id).collect();
        for node in running {
            let late = self.dice.millis(0, 3_000);
            self.plan(late, Action::Tell(node));
        }
    }

    async fn crash(&mut self, node: NodeId, how: &'static str) {
        let place = self.places.iter().position(|place| place.as_ref().is_some_and(|process| process.id == node));
        let Some(mut process) = place.and_then(|place| self.places.get_mut(place)).and_then(Option::take) else {
            return;
        };
        self.count(node, how);
        // Whatever is still polled before it is dropped gets nowhere.
        process.condition.freeze(true);
        self.close(&process);
        self.replace(node, place.unwrap_or(0));
        process.work.shutdown().await;
    }

    async fn stop_one(&mut self, node: NodeId) {
        let place = self.places.iter().position(|place| place.as_ref().is_some_and(|process| process.id == node));
        let Some(process) = place.and_then(|place| self.places.get_mut(place)).and_then(Option::as_mut) else {
            return;
        };
        process.shutdown.cancel();
        // It ends by itself, and says so.
        self.count(node, "is stopped");
    }

    fn close(&self, process: &Process) {
        process.door.gone.cancel();
        let gone: Vec<Door> = std::mem::take(&mut *self.doors.lock());
        self.doors.lock().extend(gone.into_iter().filter(|door| !door.gone.is_cancelled()));
    }

    fn replace(&mut self, node: NodeId, place: usize) {
        let (noticed, back) = (self.dice.millis(500, 5_000), self.dice.millis(50, 15_000));
        self.plan(noticed, Action::Suspect(node));
        self.plan(back, Action::Start(place));
    }

    fn start(&mut self, place: usize) {
        self.started += 1;
        let who: Arc<str> = format!("node {}", self.started).into();
        let id = NodeId::from_uuid(self.dice.uuid());
        let forgetful = self.pace.is_some() && self.dice.permille(200);
        let line = Line::of_node(&self.store, &who, id, forgetful);
        let condition = Arc::clone(&line.condition);
        let surroundings = Arc::new(SeededSurroundings::new(self.origin, self.dice.next()));
        let commands = Commands::within(Arc::new(line.clone()) as Arc<dyn Journal>, surroundings).with_form(Form::Text);
        let pick = |options: &[u64]| self.dice.pick(options).copied().unwrap_or(1);
        let options = Options {
            drain: Duration::from_millis(pick(&[0, 0, 500, 2_000])),
            checkpoint_every: usize::try_from(pick(&[1, 10, 100, 5_000])).unwrap_or(1),
            park_after: Duration::from_millis(pick(&[1, 100, 1_000, 10_000])),
            adopt_after: Duration::from_millis(pick(&[500, 3_000])),
            breakers: BreakerOptions::default(),
            pace: PaceOptions::default(),
            redaction: Redaction::default(),
            cache: Cache::default(),
            ..Options::default()
        };
        self.alive.insert(id);
        let (view, views) = watch::channel(Arc::new(self.alive.clone()));
        let registry = platforms::registry(&self.store, &who, &condition);
        let members = Members::simulated(id, views);
        let checkpoints: Arc<dyn Checkpoints> = Arc::new(line);
        let (engine, _) = Engine::new(options, commands.clone(), registry, checkpoints, members);
        let shutdown = CancellationToken::new();
        let mut work = JoinSet::new();
        let (store, name, stopped) = (Arc::clone(&self.store), Arc::clone(&who), shutdown.clone());
        work.spawn(async move {
            let ended = engine.run(stopped).await;
            store.trace.note(&name, || format!("ends: {ended:?}"));
            // Whoever runs the processes is there as long as they are.
            let _ = store.orders.send(Order::Ended(id));
        });
        let door = Door { commands, gone: CancellationToken::new() };
        self.doors.lock().push(door.clone());
        self.store.trace.note(&who, || format!("starts as {id}"));
        let process = Process { id, who, condition, door, shutdown, view, work };
        if let Some(place) = self.places.get_mut(place) {
            *place = Some(process);
        }
        self.tell_all();
    }

    fn find(&self, node: NodeId) -> Option<&Process> {
        self.places.iter().flatten().find(|process| process.id == node)
    }

    fn note(&self, node: NodeId, what: &str) {
        if let Some(process) = self.find(node) {
            self.store.trace.note(&process.who, || what.to_owned());
        }
    }

    fn count(&mut self, node: NodeId, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
        match self.find(node) {
            Some(process) => self.store.trace.note(&process.who, || what.to_owned()),
            None => self.store.trace.note("nodes", || format!("{node} {what}")),
        }
    }
}
