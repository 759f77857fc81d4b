//! How far the projectors are.

use std::cmp::Reverse;

use async_graphql::{Context, ID, InputObject, Result, SimpleObject};
use projections::{CheckpointRow, Window};

use crate::failure;
use crate::node::GlobalId;
use crate::order::{Cursor, ProjectorOrder, Sorted, held};
use crate::query::queries;
use crate::run::{moment, position};
use crate::scalar::{Count, DateTime, Position};

/// How far a projector is, as it was last written down; a quiet one may be ahead of it.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Projector {
    /// The global id, for `node`.
    pub(crate) id: ID,
    /// The projector's name.
    name: String,
    /// `live`, or `next` for a read model that is being rebuilt.
    slot: String,
    /// The position that its rows reflect.
    position: Position,
    /// The projector's version that built the rows.
    version: i32,
    /// `running`, `rebuilding` or `poisoned`.
    status: String,
    /// What stopped it.
    error: Option<String>,
    /// When this was written down.
    updated_at: DateTime,
    /// How many positions of the journal it has not looked at yet, as far as this node knows; null for a read model that
    /// is being rebuilt.
    lag: Option<Count>,
}

impl Projector {
    /// Every projector; `head` is the position that the journal has reached.
    pub(crate) async fn all(context: &Context<'_>, head: journal::Position) -> Result<Vec<Self>> {
        let failed = |error: projections::Error| failure::query(context, &error);
        let queries = queries(context)?;
        let mut projectors = Vec::new();
        for row in queries.checkpoints().await.map_err(failed)? {
            let lag = match row.slot.as_str() {
                "live" => {
                    let reached = queries.position_of(&row.name).await.map_err(failed)?;
                    Some(head.as_u64().saturating_sub(reached.as_u64()))
                }
                _ => None,
            };
            projectors.push(Self::of(row, lag));
        }
        Ok(projectors)
    }

    /// Whether it has this name and slot.
    pub(crate) fn is(&self, name: &str, slot: &str) -> bool {
        self.name == name && self.slot == slot
    }

    /// A page of projectors.
    pub(crate) fn page(
        projectors: Vec<Self>,
        window: &Window<Cursor>,
        order: ProjectorOrder,
        reversed: bool,
    ) -> Result<Sorted<Self>> {
        let name = |projector: &Self| (projector.name.clone(), projector.slot.clone());
        match order {
            ProjectorOrder::Name => held(projectors, window, reversed, "name", name),
            ProjectorOrder::Lag => held(projectors, window, reversed, "lag", |projector| {
                (Reverse(projector.lag.as_ref().map(|lag| lag.0)), name(projector))
            }),
            ProjectorOrder::Updated => held(projectors, window, reversed, "updated", |projector| {
                (Reverse(projector.updated_at.0.as_micros()), name(projector))
            }),
        }
    }

    fn of(row: CheckpointRow, lag: Option<u64>) -> Self {
        Self {
            id: GlobalId::Projector(row.name.clone(), row.slot.clone()).into(),
            lag: lag.map(Count),
            name: row.name,
            slot: row.slot,
            position: position(row.position),
            version: row.version,
            status: row.status,
            error: row.error,
            updated_at: moment(row.updated_at),
        }
    }
}

/// Which projectors are wanted; an empty filter wants all.
#[derive(Debug, Clone, Default, InputObject)]
pub(crate) struct ProjectorFilter {
    /// Only with this text in the name.
    text: Option<String>,
    /// Only at one of these statuses, such as `poisoned`; empty means any.
    #[graphql(default)]
    statuses: Vec<String>,
    /// Only those that are known to have something of the journal to look at yet, or only those that have nothing.
    behind: Option<bool>,
}

impl ProjectorFilter {
    pub(crate) fn wants(&self, projector: &Projector) -> bool {
        let is_behind = |behind: bool| projector.lag.as_ref().is_some_and(|lag| (lag.0 > 0) == behind);
        self.text.as_ref().is_none_or(|text| projector.name.contains(text))
            && (self.statuses.is_empty() || self.statuses.contains(&projector.status))
            && self.behind.is_none_or(is_behind)
    }
}
