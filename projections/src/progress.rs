//! How far a projector is, shared between the one who runs it and those who wait for it.
//!
//! Invariant: the position only grows, and is published after the rows that it stands for were committed.

use std::time::Duration;

use journal::Position;
use sqlx::PgPool;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::Error;

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
    standing: watch::Sender<Standing>,
    /// The furthest position that somebody waits for.
    wanted: watch::Sender<Position>,
    /// Lets a poisoned projector try again.
    pub(crate) resume: Notify,
}

impl Progress {
    /// How often a waiter looks at the checkpoint row when another process runs the projector.
    const LOOK: Duration = Duration::from_millis(20);

    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            standing: watch::Sender::new(Standing::Elsewhere),
            wanted: watch::Sender::new(Position::START),
            resume: Notify::new(),
        }
    }

    /// Publishes that the rows reflect `position`.
    pub(crate) fn reach(&self, position: Position) {
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

    /// Wakes whenever somebody begins to wait.
    pub(crate) fn wishes(&self) -> watch::Receiver<Position> {
        self.wanted.subscribe()
    }

    /// The position that the rows reflect at least.
    pub(crate) async fn position(&self, pool: &PgPool) -> Result<Position, Error> {
        match self.standing() {
            Standing::At(position) => Ok(position),
            Standing::Elsewhere | Standing::Poisoned { .. } => Ok(checkpoint(pool, self.name).await?.0),
        }
    }

    /// Waits until the rows reflect `wanted`.
    pub(crate) async fn wait(&self, pool: &PgPool, wanted: Position, timeout: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + timeout;
        let mut standing = self.standing.subscribe();
        self.wanted.send_if_modified(|furthest| {
            let further = *furthest < wanted;
            *furthest = wanted.max(*furthest);
            further
        });
        loop {
            let now = standing.borrow_and_update().clone();
            let reached = match now {
                Standing::At(position) => position,
                Standing::Poisoned { position, what } => {
                    return Err(Error::Poisoned { projector: self.name, position, what });
                }
                Standing::Elsewhere => match checkpoint(pool, self.name).await? {
                    (position, Some(what)) if position < wanted => {
                        return Err(Error::Poisoned { projector: self.name, position, what });
                    }
                    (position, _) => position,
                },
            };
            if reached >= wanted {
                return Ok(());
            }
            let until = match standing.borrow().clone() {
                Standing::Elsewhere => deadline.min(Instant::now() + Self::LOOK),
                _ => deadline,
            };
            tokio::select! {
                changed = standing.changed() => if changed.is_err() { tokio::time::sleep_until(until).await },
                () = tokio::time::sleep_until(until) => {}
            }
            if Instant::now() >= deadline && self.standing() != Standing::At(wanted) {
                let reached = self.position(pool).await?;
                if reached < wanted {
                    return Err(Error::Stale { projector: self.name, wanted, reached });
                }
            }
        }
    }
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
