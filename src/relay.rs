//! What tasks say on one node, told to those who listen on another.
//!
//! Nodes that share a database say by `NOTIFY` which tasks somebody listens to, once a second as long as it is so; the
//! node on which such a task speaks tells what is new every tenth of a second. Each piece says where it stands, and each
//! question how much is known, so whatever is lost on the way is asked for again. Nothing of it is kept: what counts is
//! the answer in the journal. PostgreSQL keeps notifications until everybody has taken them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use commands::live::{LiveOutputs, Piece};
use domain::{NodeId, TaskId};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The name of the channel.
const CHANNEL: &str = "hishamos_live";
/// How often it is said what is listened to.
const ASK: Duration = Duration::from_secs(1);
/// How often what is new is told.
const TELL: Duration = Duration::from_millis(100);
/// How long a question is answered; longer than [`ASK`], so that one may be lost.
const ANSWER: Duration = Duration::from_secs(4);
/// How many bytes of text a notification carries at most. One may have 8000 bytes, of which a quarter are lost to its
/// encoding.
const PIECE: usize = 5000;
/// About how many tasks a notification can ask.
const TASKS: usize = 150;

/// What nodes say to each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Word {
    /// Somebody listens to these tasks: attempt and bytes that are known of each.
    Listening { node: Uuid, tasks: Vec<(Uuid, u32, u64)> },
    /// A task has said this.
    Said { node: Uuid, task: Uuid, attempt: u32, offset: u64, text: String },
}

impl Word {
    /// # Errors
    /// When it cannot be written, which none of its parts allows.
    fn encode(&self) -> anyhow::Result<String> {
        Ok(STANDARD_NO_PAD.encode(postcard::to_stdvec(self)?))
    }

    /// What another node said; nothing when it is of a version that says other things.
    fn decode(text: &str) -> Option<Self> {
        let bytes = STANDARD_NO_PAD.decode(text).ok()?;
        let (word, rest) = postcard::take_from_bytes(&bytes).ok()?;
        rest.is_empty().then_some(word)
    }
}

/// How much of a task has been told, and until when it is wanted.
struct Telling {
    attempt: u32,
    offset: usize,
    until: Instant,
}

/// Tells other nodes what is said here, and this one what is said there.
pub(crate) struct Relay {
    pool: PgPool,
    live: LiveOutputs,
    node: Uuid,
}

impl Relay {
    pub(crate) fn new(pool: PgPool, live: LiveOutputs, node: NodeId) -> Self {
        Self { pool, live, node: node.as_uuid() }
    }

    /// Works until `stop`; begins anew when the database goes away.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut pause = Duration::from_millis(100);
        loop {
            let begun = Instant::now();
            tokio::select! {
                () = stop.cancelled() => return,
                ended = self.follow() => if let Err(error) = ended {
                    tracing::warn!(error = %format!("{error:#}"), "what tasks say on other nodes is not heard for now");
                },
            }
            if begun.elapsed() > Duration::from_secs(10) {
                pause = Duration::from_millis(100);
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(5)),
            }
        }
    }

    async fn follow(&self) -> anyhow::Result<()> {
        // A connection of its own, so that it takes none from those who ask for something.
        let options = self.pool.connect_options().as_ref().clone();
        let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        let pool = pool.acquire_timeout(Duration::from_secs(10)).connect_lazy_with(options);
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.ignore_pool_close_event(true);
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        let mut wanted = self.live.watch_wanted();
        let mut telling: HashMap<TaskId, Telling> = HashMap::new();
        let mut ask = tokio::time::interval(ASK);
        let mut tell = tokio::time::interval(TELL);
        ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tell.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                heard = listener.try_recv() => {
                    let heard = heard?.context("the connection was closed")?;
                    if let Some(word) = Word::decode(heard.payload()) {
                        self.hear(word, &mut telling);
                    }
                }
                // The sender is part of `self`, so this fails never.
                _ = wanted.changed() => self.ask().await?,
                _ = ask.tick() => self.ask().await?,
                _ = tell.tick(), if !telling.is_empty() => self.tell(&mut telling).await?,
            }
        }
    }

    fn hear(&self, word: Word, telling: &mut HashMap<TaskId, Telling>) {
        match word {
            Word::Listening { node, tasks } if node != self.node => {
                for (task, attempt, known) in tasks {
                    let task = TaskId::from_uuid(task);
                    if self.live.spoken(task, attempt, 0, 0).is_none() {
                        continue;
                    }
                    let known = usize::try_from(known).unwrap_or(usize::MAX);
                    let until = Instant::now() + ANSWER;
                    let told = telling.entry(task).or_insert(Telling { attempt, offset: known, until });
                    told.until = until;
                    // Somebody knows less than what was told: it was lost, or they came later.
                    if (attempt, known) < (told.attempt, told.offset) {
                        (told.attempt, told.offset) = (attempt, known);
                    }
                }
            }
            Word::Said { node, task, attempt, offset, text } if node != self.node => {
                let offset = usize::try_from(offset).unwrap_or(usize::MAX);
                self.live.hear(TaskId::from_uuid(task), &Piece { attempt, offset, text });
            }
            Word::Listening { .. } | Word::Said { .. } => {}
        }
    }

    async fn ask(&self) -> anyhow::Result<()> {
        let tasks = self.live.wanted().into_iter();
        let tasks: Vec<_> = tasks.map(|(task, attempt, known)| (task.as_uuid(), attempt, known as u64)).collect();
        let words = tasks.chunks(TASKS).map(|tasks| Word::Listening { node: self.node, tasks: tasks.to_vec() });
        self.say(words.collect()).await
    }

    async fn tell(&self, telling: &mut HashMap<TaskId, Telling>) -> anyhow::Result<()> {
        let (now, mut words) = (Instant::now(), Vec::new());
        telling.retain(|task, told| {
            while let Some(piece) = self.live.spoken(*task, told.attempt, told.offset, PIECE) {
                let begins = piece.attempt != told.attempt;
                let whole = piece.text.len() < PIECE / 2;
                (told.attempt, told.offset) = (piece.attempt, piece.offset + piece.text.len());
                if begins || !piece.text.is_empty() {
                    words.push(Word::Said {
                        node: self.node,
                        task: task.as_uuid(),
                        attempt: piece.attempt,
                        offset: piece.offset as u64,
                        text: piece.text,
                    });
                }
                if whole {
                    return now < told.until;
                }
            }
            // It speaks here no more; the journal has the rest.
            false
        });
        self.say(words).await
    }

    async fn say(&self, words: Vec<Word>) -> anyhow::Result<()> {
        if words.is_empty() {
            return Ok(());
        }
        let words = words.iter().map(Word::encode).collect::<anyhow::Result<Vec<_>>>()?;
        let say = sqlx::query("SELECT pg_notify($1, word) FROM unnest($2::text[]) AS word");
        say.bind(CHANNEL).bind(words).execute(&self.pool).await?;
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_largest_words_fit_into_a_notification() {
        let (node, id) = (Uuid::max(), Uuid::max());
        let largest = [
            Word::Listening { node, tasks: vec![(id, u32::MAX, 1 << 24); TASKS] },
            Word::Said { node, task: id, attempt: u32::MAX, offset: u64::MAX, text: "\u{1}".repeat(PIECE) },
        ];
        for word in largest {
            let said = word.encode().unwrap();
            assert!(said.len() < 8000, "{}", said.len());
            assert_eq!(Word::decode(&said), Some(word));
        }
        for foreign in ["", "AA", "no base64!", "/////w"] {
            assert_eq!(Word::decode(foreign), None, "{foreign}");
        }
    }

    #[tokio::test]
    async fn what_is_said_on_one_node_is_heard_whole_on_another() {
        let database = testkit::Database::create().await;
        let stop = CancellationToken::new();
        let (here, there) = (LiveOutputs::default(), LiveOutputs::default());
        let mut relays = tokio::task::JoinSet::new();
        for live in [&here, &there] {
            let relay = Relay::new(database.pool().clone(), live.clone(), NodeId::from_uuid(Uuid::now_v7()));
            relays.spawn(relay.run(stop.clone()));
        }
        let task = TaskId::from_uuid(Uuid::now_v7());
        let speech = there.speak(task, 1);
        speech.say("At first ");
        let mut listening = here.listen(task);
        let said: String = (0..20_000).map(|number| format!("{number} überall ")).collect();
        let (mut heard, mut rest) = (String::new(), said.as_str());
        while heard.len() < "At first ".len() + said.len() {
            let (next, later) = rest.split_at(rest.floor_char_boundary(30_000));
            speech.say(next);
            rest = later;
            let piece = tokio::time::timeout(Duration::from_secs(30), listening.next()).await.unwrap();
            assert_eq!((piece.attempt, piece.offset), (1, heard.len()));
            heard.push_str(&piece.text);
        }
        assert_eq!(heard, format!("At first {said}"));
        let again = there.speak(task, 2);
        again.say("anew");
        let piece = loop {
            let piece = tokio::time::timeout(Duration::from_secs(30), listening.next()).await.unwrap();
            if !piece.text.is_empty() {
                break piece;
            }
        };
        assert_eq!((piece.attempt, piece.offset, piece.text.as_str()), (2, 0, "anew"));
        stop.cancel();
        relays.join_all().await;
    }
}
