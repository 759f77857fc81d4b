//! Shows whether a live read model is what the journal says.

use journal::{Journal, Position};
use sqlx::{AssertSqlSafe, Connection, PgPool};

use crate::projector::{ApplyError, Projector, position};
use crate::rebuild::table_names;
use crate::{Error, tables};

/// What a comparison of a live read model with one made from zero found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Which read model.
    pub projector: &'static str,
    /// The position that both reflect.
    pub position: Position,
    /// Every table.
    pub tables: Vec<TableComparison>,
}

/// What was found in one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableComparison {
    /// Its name.
    pub table: String,
    /// How many rows the live one has.
    pub rows: i64,
    /// How many of these are not in the one made from zero.
    pub only_live: i64,
    /// How many rows of the one made from zero are not in the live one.
    pub only_rebuilt: i64,
}

impl Comparison {
    /// Whether every row of every table is the same.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.tables.iter().all(|table| table.only_live == 0 && table.only_rebuilt == 0)
    }
}

/// Events per step.
const BATCH: usize = 5000;

/// Makes the read model from zero in a transaction that is never committed, and compares row by row. The live one
/// stands still meanwhile; queries do not.
pub(crate) async fn run(pool: &PgPool, journal: &dyn Journal, projector: &dyn Projector) -> Result<Comparison, Error> {
    let (name, live) = (projector.name(), projector.schema());
    let check = format!("{live}_check");
    let mut connection = tables::connect(pool, &check).await?;
    let mut transaction = connection.begin().await?;
    let held = sqlx::query_scalar!(
        "SELECT position FROM projections.checkpoints WHERE name = $1 AND slot = 'live' FOR UPDATE",
        name
    );
    let target = position(held.fetch_one(&mut *transaction).await?);
    tables::make(&mut transaction, projector, &check).await?;
    let mut at = Position::START;
    while at < target {
        let mut page = journal.read_all(at, &projector.filter(), BATCH).await?;
        if page.position == at {
            break;
        }
        at = page.position;
        page.events.retain(|event| event.position <= target);
        projector.apply(&mut transaction, &page.events).await.map_err(|error| match error {
            ApplyError::Database(error) => error.into(),
            ApplyError::Indigestible(what) => Error::Poisoned { projector: name, position: at, what },
        })?;
    }
    let mut compared = Vec::new();
    for table in table_names(&mut transaction, live).await? {
        let rows = |from: &str| format!("SELECT row.*::text FROM {from}.{table} AS row");
        let (here, there) = (rows(live), rows(&check));
        let sql = format!(
            "SELECT (SELECT count(*) FROM {live}.{table}),
                (SELECT count(*) FROM ({here} EXCEPT ALL {there}) AS d),
                (SELECT count(*) FROM ({there} EXCEPT ALL {here}) AS d)"
        );
        let (rows, only_live, only_rebuilt): (i64, i64, i64) =
            sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&mut *transaction).await?;
        compared.push(TableComparison { table, rows, only_live, only_rebuilt });
    }
    transaction.rollback().await?;
    let _ = connection.close().await;
    Ok(Comparison { projector: name, position: target, tables: compared })
}
