//! How far a projector is, shared between the one who runs it and those who wait for it.
//!
//! Invariant: the position only grows, and is published after the rows that it stands for were committed. It may be
//! ahead of the checkpoint's row by events that the projector does not care about; that stays true when the projector
//! starts over from that row.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use journal::Position;
use sqlx::PgPool;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::Error;
use crate::projector::Projector;

/// Where a projector stands, as far as this process knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Another process runs it, or nobody does: the checkpoint row knows.
    Elsewhere,
    /// This process runs it, and its rows reflect this position.
    At(Position),
    /// It stands before an event that it cannot digest.
    Poisoned { position: Position, what: String },
}

/// One projector's progress.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) name: &'static str,
    /// Whether it answers for itself alone.
    pub(crate) apart: bool,
    standing: watch::Sender<Standing>,
    /// The furthest position ever published here.
    furthest: AtomicU64,
    /// How many wait for more than has been reached.
    waiting: watch::Sender<usize>,
    /// Lets a poisoned projector try again.
    pub(crate) resume: Notify,
}

impl Progress {
    /// How often a waiter looks at the checkpoint row when another process runs the projector.
    const LOOK: Duration = Duration::from_millis(20);

    pub(crate) fn new(projector: &dyn Projector) -> Self {
        Self {
            name: projector.name(),
            apart: projector.apart(),
            standing: watch::Sender::new(Standing::Elsewhere),
            furthest: AtomicU64::new(0),
            waiting: watch::Sender::new(0),
            resume: Notify::new(),
        }
    }

    /// Publishes that the rows reflect `position`.
    pub(crate) fn reach(&self, position: Position) {
        let position = self.at_least(position);
        self.furthest.fetch_max(position.as_u64(), Ordering::AcqRel);
        self.standing.send_if_modified(|standing| match standing {
            Standing::At(at) if *at >= position => false,
            _ => {
                *standing = Standing::At(position);
                true
            }
        });
    }

    pub(crate) fn set(&self, standing: Standing) {
        self.standing.send_replace(standing);
    }

    pub(crate) fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    fn at_least(&self, position: Position) -> Position {
        position.max(Position::from_u64(self.furthest.load(Ordering::Acquire)))
    }

    /// How many wait; wakes whenever somebody begins to.
    pub(crate) fn waiting(&self) -> watch::Receiver<usize> {
        self.waiting.subscribe()
    }

    /// The position that the rows reflect at least.
    pub(crate) async fn position(&self, pool: &PgPool) -> Result<Position, Error> {
        match self.standing() {
            Standing::At(position) => Ok(position),
            Standing::Elsewhere | Standing::Poisoned { .. } => Ok(self.at_least(checkpoint(pool, self.name).await?.0)),
        }
    }

    /// Waits until the rows reflect `wanted`.
    pub(crate) async fn wait(&self, pool: &PgPool, wanted: Position, timeout: Duration) -> Result<(), Error> {
        if self.at_least(Position::START) >= wanted {
            return Ok(());
        }
        let deadline = Instant::now() + timeout;
        let mut standing = self.standing.subscribe();
        let _waiter = Waiter::begin(&self.waiting);
        loop {
            let now = standing.borrow_and_update().clone();
            let elsewhere = now == Standing::Elsewhere;
            let reached = match now {
                Standing::At(position) => position,
                Standing::Poisoned { position, what } => {
                    return Err(Error::Poisoned { projector: self.name, position, what });
                }
                Standing::Elsewhere => match checkpoint(pool, self.name).await? {
                    (position, Some(what)) if position < wanted => {
                        return Err(Error::Poisoned { projector: self.name, position, what });
                    }
                    (position, _) => self.at_least(position),
                },
            };
            if reached >= wanted {
                return Ok(());
            }
            let now = Instant::now();
            if now >= deadline {
                return Err(Error::Stale { projector: self.name, wanted, reached });
            }
            let until = if elsewhere { deadline.min(now + Self::LOOK) } else { deadline };
            // Whether it changed or time is up, the next round finds out.
            let _ = tokio::time::timeout_at(until, standing.changed()).await;
        }
    }
}

/// Somebody who waits, for as long as it lives.
struct Waiter<'a>(&'a watch::Sender<usize>);

impl<'a> Waiter<'a> {
    fn begin(waiting: &'a watch::Sender<usize>) -> Self {
        waiting.send_modify(|count| *count += 1);
        Self(waiting)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.send_if_modified(|count| {
            *count -= 1;
            false
        });
    }
}

/// The position that the rows of several projectors all reflect at least. What other processes run is asked for together.
pub(crate) async fn least<'a>(pool: &PgPool, all: impl Iterator<Item = &'a Progress>) -> Result<Position, Error> {
    let (mut least, mut elsewhere): (Option<Position>, Vec<&Progress>) = (None, Vec::new());
    for progress in all {
        match progress.standing() {
            Standing::At(position) => least = Some(least.map_or(position, |least| least.min(position))),
            Standing::Elsewhere | Standing::Poisoned { .. } => elsewhere.push(progress),
        }
    }
    if !elsewhere.is_empty() {
        let names: Vec<String> = elsewhere.iter().map(|progress| progress.name.to_owned()).collect();
        let rows = sqlx::query!(
            "SELECT name, position FROM projections.checkpoints WHERE slot = 'live' AND name = ANY($1)",
            &names
        )
        .fetch_all(pool)
        .await?;
        for progress in elsewhere {
            let row = rows.iter().find(|row| row.name == progress.name);
            let recorded = row.map_or(Position::START, |row| Position::from_u64(row.position.cast_unsigned()));
            let position = progress.at_least(recorded);
            least = Some(least.map_or(position, |least| least.min(position)));
        }
    }
    Ok(least.unwrap_or(Position::START))
}

/// The checkpoint row of the live read model: its position, and the error when it is poisoned.
async fn checkpoint(pool: &PgPool, name: &str) -> Result<(Position, Option<String>), sqlx::Error> {
    let row = sqlx::query!(
        "SELECT position, CASE WHEN status = 'poisoned' THEN coalesce(error, 'unknown') END AS error
         FROM projections.checkpoints WHERE name = $1 AND slot = 'live'",
        name
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map_or((Position::START, None), |row| (Position::from_u64(row.position.cast_unsigned()), row.error)))
}
