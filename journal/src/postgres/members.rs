//! How the nodes on one database know of each other.
//!
//! Each node has one session of its own on which it holds an advisory lock, listens to the others and speaks to them;
//! its row in `journal.nodes` says which lock is whose. The database gives the lock back the moment the session ends,
//! so a killed process is known by its missing lock. A frozen one keeps its session: it is known by its silence.
//!
//! While another node is known, each says once a beat that it is there, and looks at the locks with the same
//! statement. A coming node sees the others by their locks and announces itself; a leaving one says so. A node that
//! is alone sends nothing at all. What follows, with B for a beat, S for the silence, R for a round trip:
//!
//! - who comes or leaves in order is noticed within R;
//! - who is killed is noticed within B + 2R and a twentieth of a second (its machine cut off or without power: as if
//!   frozen);
//! - who is frozen is noticed within S + B + R, and when it goes on, within B + R.
//!
//! A node that is alone learns of a connection that vanished without a word only when the operating system does; until
//! then it hears of nobody who comes. Those who come do not hear it either, and take it for dead after S.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::NodeId;
use sqlx::postgres::{PgConnectOptions, PgListener, PgNotification, PgPoolOptions};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::failure;
use super::options::Options;
use super::presence::Presence;
use crate::ReadError;
use crate::members::{Contact, Members};

/// The channel on which nodes tell each other that they are there.
const CHANNEL: &str = "hishamos_nodes";
/// The class of the advisory locks that say who lives: "node" in ASCII.
const CLASS: i32 = 0x6e6f_6465;
/// The longest time between two beats.
const BEAT: Duration = Duration::from_secs(1);
/// How long any answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long a database that shuts down may take from the end of one session to the end of the next.
const ENDING: Duration = Duration::from_millis(50);
/// The pauses between attempts to connect again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// This process' place among the nodes; the program runs it from start to end.
pub struct Membership {
    node: Node,
    session: PgListener,
}

impl Membership {
    /// Makes `node` known in a migrated database. When this returns, the others count it as alive, and [`Members`]
    /// says who they are.
    ///
    /// # Errors
    /// When the database cannot be reached or has no table of nodes.
    pub async fn join(options: &Options, node: NodeId) -> Result<(Self, Members), ReadError> {
        let beat = BEAT.min(options.silence / 3).max(Duration::from_millis(1));
        let contact = Arc::new(Contact::new(options.silence));
        let alive = watch::Sender::new(Arc::new(BTreeSet::from([node])));
        let mut node = Node {
            id: node,
            name: options.name.clone(),
            connect: settings(options),
            beat,
            presence: Presence::new(beat, options.silence, Instant::now()),
            lock: 0,
            alive,
            contact,
        };
        let session = node.connect().await?;
        let members = Members::watching(node.id, node.alive.subscribe(), Arc::clone(&node.contact));
        Ok((Self { node, session }, members))
    }

    /// Keeps the members up to date until `shutdown`, over as many connections as it takes, and then tells the others
    /// that this node goes.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { mut node, mut session } = self;
        let mut pause = PAUSES.0;
        loop {
            let begun = Instant::now();
            let Err(error) = node.follow(&mut session, &shutdown).await else {
                // Failing to say goodbye only leaves a row that somebody removes.
                let _ = tokio::time::timeout(GOODBYE, node.leave(&mut session)).await;
                return;
            };
            node.contact.stir(Instant::now());
            drop(session);
            tracing::warn!(error = ?error, "lost the connection to the other nodes; connecting again");
            if begun.elapsed() > ANSWER {
                pause = PAUSES.0;
            }
            session = loop {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = shutdown.cancelled() => return,
                }
                pause = (pause * 2).min(PAUSES.1);
                node.presence.reconnected(Instant::now());
                match node.connect().await {
                    Ok(session) => break session,
                    Err(error) => tracing::debug!(error = ?error, "cannot connect to the other nodes yet"),
                }
            };
            tracing::info!("connected to the other nodes again");
        }
    }
}

/// How the session is set up. Nothing that it writes is worth waiting for a disk, and a machine that is gone without a
/// word shall not hold its lock for hours.
fn settings(options: &Options) -> PgConnectOptions {
    options.settings("members").options([
        ("synchronous_commit", "off"),
        ("tcp_keepalives_idle", "5"),
        ("tcp_keepalives_interval", "2"),
        ("tcp_keepalives_count", "3"),
    ])
}

struct Node {
    id: NodeId,
    name: String,
    connect: PgConnectOptions,
    beat: Duration,
    presence: Presence,
    /// Which lock it holds on its present session.
    lock: i32,
    alive: watch::Sender<Arc<BTreeSet<NodeId>>>,
    contact: Arc<Contact>,
}

impl Node {
    /// A new session that holds the lock and listens, after which the others are known.
    async fn connect(&mut self) -> Result<PgListener, ReadError> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(ANSWER)
            .connect_lazy_with(self.connect.clone());
        in_time(async {
            let mut session = PgListener::connect_with(&pool).await?;
            session.ignore_pool_close_event(true);
            session.eager_reconnect(false);
            // Whoever locks after this is heard, whoever locked before the look is seen.
            session.listen(CHANNEL).await?;
            // The row is seen by nobody before the lock is held.
            let joined = sqlx::query!(
                r#"WITH joined AS (
                    INSERT INTO journal.nodes AS known (node, name, version) VALUES ($1, $2, $3)
                    ON CONFLICT (node) DO UPDATE SET lock = DEFAULT RETURNING lock
                )
                SELECT lock, pg_advisory_lock($4, lock)::text AS locked, pg_notify($5, $6)::text AS told FROM joined"#,
                self.id.as_uuid(),
                self.name,
                env!("CARGO_PKG_VERSION"),
                CLASS,
                CHANNEL,
                Word::Here.of(self.id)
            )
            .fetch_one(&mut session)
            .await?;
            self.lock = joined.lock;
            let asked = self.look(&mut session, Word::Here).await?;
            self.publish(Some(asked));
            Ok(session)
        })
        .await
    }

    /// Listens and speaks until the shutdown.
    async fn follow(&mut self, session: &mut PgListener, shutdown: &CancellationToken) -> Result<(), ReadError> {
        let mut beats = tokio::time::interval(self.beat);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // What was said is heard before anybody is taken for silent, also after this process was frozen.
                biased;
                () = shutdown.cancelled() => return Ok(()),
                heard = session.try_recv() => {
                    self.hear(&heard?.ok_or_else(broken)?, &mut beats);
                    self.publish(None);
                }
                // Who has become alone makes sure of it once.
                _ = beats.tick(), if !self.presence.is_alone() || !self.contact.rests() => {
                    let asked = in_time(self.look(session, Word::Beat)).await?;
                    while let Some(heard) = session.next_buffered() {
                        self.hear(&heard, &mut beats);
                    }
                    self.presence.tick(Instant::now());
                    self.publish(Some(asked));
                }
            }
        }
    }

    fn hear(&mut self, heard: &PgNotification, beats: &mut Interval) {
        let Some((word, node)) = Word::read(heard.payload()).filter(|(_, node)| *node != self.id) else { return };
        match word {
            Word::Here | Word::Beat => {
                let now = Instant::now();
                self.contact.stir(now);
                if self.presence.heard(node, now) {
                    // It has to hear of this node, too.
                    beats.reset_immediately();
                }
            }
            Word::Gone => self.presence.left(node),
        }
    }

    /// Says `word` and sees who holds a lock; then removes the rows of those who are gone. When it asked.
    async fn look(&mut self, session: &mut PgListener, word: Word) -> Result<Instant, ReadError> {
        let asked = Instant::now();
        let mut seen = self.seen(session, word).await?;
        if self.presence.would_lose(&seen.holders) {
            // A database that shuts down ends one session after the other. If that is why a lock is gone, this session
            // is about to end as well, and will not answer again.
            tokio::time::sleep(ENDING).await;
            seen = self.seen(session, word).await?;
        }
        // Without its row and lock nobody sees this node: the database is another one than before.
        if !seen.holders.remove(&self.id) {
            return Err(broken());
        }
        self.presence.looked(&seen.holders, Instant::now());
        if !seen.stale_nodes.is_empty() {
            // Who connected again meanwhile has another lock.
            sqlx::query!(
                "DELETE FROM journal.nodes WHERE (node, lock) IN (SELECT * FROM unnest($1::uuid[], $2::integer[]))",
                &seen.stale_nodes,
                &seen.stale_locks
            )
            .execute(session)
            .await?;
        }
        Ok(asked)
    }

    async fn seen(&self, session: &mut PgListener, word: Word) -> Result<Seen, ReadError> {
        let rows = sqlx::query!(
            r#"SELECT node, lock, EXISTS (
                SELECT FROM pg_locks
                WHERE locktype = 'advisory' AND classid::bigint = $1 AND objid::bigint = nodes.lock AND objsubid = 2
                AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            ) AS "held!", (SELECT pg_notify($2, $3))::text AS told FROM journal.nodes"#,
            i64::from(CLASS),
            CHANNEL,
            word.of(self.id)
        )
        .fetch_all(session)
        .await?;
        let mut seen = Seen::default();
        for row in rows {
            if row.held {
                seen.holders.insert(NodeId::from_uuid(row.node));
            } else {
                seen.stale_nodes.push(row.node);
                seen.stale_locks.push(row.lock);
            }
        }
        Ok(seen)
    }

    /// Tells this process who is alive. `asked` is when the database was asked, if this follows from an answer.
    fn publish(&mut self, asked: Option<Instant>) {
        let alive: BTreeSet<NodeId> = self.presence.alive().chain([self.id]).collect();
        self.alive.send_if_modified(|known| {
            for node in alive.difference(known) {
                tracing::info!(node.id = %node, "another node is there");
            }
            for node in known.difference(&alive) {
                tracing::info!(node.id = %node, "another node is gone");
            }
            let changed = **known != alive;
            if changed {
                *known = Arc::new(alive);
            }
            changed
        });
        let Some(asked) = asked else { return };
        // After the members: who is no longer isolated knows them.
        let isolated = self.contact.is_lost(Instant::now());
        if self.presence.is_alone() {
            self.contact.rest();
        } else {
            self.contact.renew(asked);
        }
        if isolated {
            // Whoever waited for that looks again, even if everybody is still there.
            self.alive.send_modify(|_| {});
        }
    }

    async fn leave(&self, session: &mut PgListener) -> Result<(), ReadError> {
        sqlx::query!(
            r#"WITH gone AS (DELETE FROM journal.nodes WHERE node = $1 AND lock = $2)
            SELECT pg_advisory_unlock($3, $2) AS unlocked, pg_notify($4, $5)::text AS told"#,
            self.id.as_uuid(),
            self.lock,
            CLASS,
            CHANNEL,
            Word::Gone.of(self.id)
        )
        .fetch_one(session)
        .await?;
        Ok(())
    }
}

/// What a look at the rows and locks shows.
#[derive(Default)]
struct Seen {
    /// Who holds a lock.
    holders: BTreeSet<NodeId>,
    /// The rows whose locks nobody holds, column by column.
    stale_nodes: Vec<Uuid>,
    stale_locks: Vec<i32>,
}

/// What nodes say to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// Has just connected.
    Here,
    /// Is still there.
    Beat,
    /// Leaves in order.
    Gone,
}

impl Word {
    fn of(self, node: NodeId) -> String {
        let word = match self {
            Self::Here => "here",
            Self::Beat => "beat",
            Self::Gone => "gone",
        };
        format!("{word} {node}")
    }

    /// Who says what; `None` when it is nothing that this version knows.
    fn read(text: &str) -> Option<(Self, NodeId)> {
        let (word, node) = text.split_once(' ')?;
        let word = match word {
            "here" => Self::Here,
            "beat" => Self::Beat,
            "gone" => Self::Gone,
            _ => return None,
        };
        Some((word, node.parse().ok()?))
    }
}

fn broken() -> ReadError {
    sqlx::Error::Io(std::io::ErrorKind::ConnectionAborted.into()).into()
}

async fn in_time<T>(work: impl Future<Output = Result<T, ReadError>>) -> Result<T, ReadError> {
    tokio::time::timeout(ANSWER, work).await.unwrap_or_else(|_| Err(failure::timed_out().into()))
}
