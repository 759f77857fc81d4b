//! Makes the tables of read models, and takes ownership of their checkpoints.

use std::time::Duration;

use domain::NodeId;
use journal::{Members, Position};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

use crate::projector::{Claim, Projector, now_micros, position};

/// The live checkpoint, just taken over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owned {
    pub(crate) claim: Claim,
    pub(crate) position: Position,
    pub(crate) version: i32,
}

/// How connections for projectors are called; behind it stands the node that they belong to.
const NAME: &str = "hishamos projector";
/// How often a node that waits for a projector looks whether the one that has it is still alive.
const LOOK: Duration = Duration::from_secs(2);

/// Connects with the tables of `schema` on the search path. Commits on it do not wait for the disk: rows and checkpoint
/// are lost together if they are lost, and the journal brings them again.
pub(crate) async fn connect(pool: &PgPool, schema: &str) -> Result<PgConnection, sqlx::Error> {
    connect_as(pool, schema, NAME).await
}

/// As [`connect`], under the name of a node, so that others can see whose connection it is.
pub(crate) async fn connect_of(pool: &PgPool, schema: &str, node: NodeId) -> Result<PgConnection, sqlx::Error> {
    connect_as(pool, schema, &format!("{NAME} {node}")).await
}

async fn connect_as(pool: &PgPool, schema: &str, name: &str) -> Result<PgConnection, sqlx::Error> {
    let options: PgConnectOptions = (*pool.connect_options()).clone();
    let options = options
        .application_name(name)
        .options([("search_path", schema), ("synchronous_commit", "off")])
        // Every row is found by its primary key. A plan made while a table was small must not scan it later.
        .options([("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off"), ("jit", "off")])
        .options([("enable_hashjoin", "off"), ("enable_mergejoin", "off")])
        // A limit that the pool sets for questions does not hold for this.
        .options([("statement_timeout", "0")]);
    PgConnection::connect_with(&options).await
}

/// Runs several statements that are made of our own names only.
pub(crate) async fn run_sql(connection: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(|_| ())
}

/// Makes the tables and the checkpoint of a read model that has none yet. Several processes may try at once.
pub(crate) async fn ensure(pool: &PgPool, projector: &dyn Projector) -> Result<(), sqlx::Error> {
    let known = |name: &'static str| {
        sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM projections.checkpoints WHERE name = $1 AND slot = 'live') AS "known!""#,
            name
        )
    };
    if known(projector.name()).fetch_one(pool).await? {
        return Ok(());
    }
    let mut connection = connect(pool, projector.schema()).await?;
    let mut transaction = connection.begin().await?;
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended('hishamos tables ' || $1, 0))", projector.name())
        .execute(&mut *transaction)
        .await?;
    if !known(projector.name()).fetch_one(&mut *transaction).await? {
        make(&mut transaction, projector, projector.schema()).await?;
        run_sql(&mut transaction, projector.indexes().to_owned()).await?;
        sqlx::query!(
            "INSERT INTO projections.checkpoints (name, slot, position, fence, version, status, updated_at)
             VALUES ($1, 'live', 0, 0, $2, 'running', $3)",
            projector.name(),
            projector.version(),
            now_micros()
        )
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    connection.close().await
}

/// Whether any read model was ever filled from a journal.
pub(crate) async fn is_used(pool: &PgPool) -> Result<bool, sqlx::Error> {
    let checkpoints = "SELECT FROM projections.checkpoints WHERE position > 0 LIMIT 1";
    Ok(sqlx::query(checkpoints).fetch_optional(pool).await?.is_some())
}

/// Drops the read models and their checkpoints, all or none.
pub(crate) async fn forget(pool: &PgPool, projectors: &[std::sync::Arc<dyn Projector>]) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    for projector in projectors {
        run_sql(&mut transaction, format!("DROP SCHEMA IF EXISTS {} CASCADE", projector.schema())).await?;
    }
    run_sql(&mut transaction, "DELETE FROM projections.checkpoints".to_owned()).await?;
    transaction.commit().await
}

/// Makes the schema anew, with the tables and without the further indexes. The search path must name it.
pub(crate) async fn make(
    connection: &mut PgConnection,
    projector: &dyn Projector,
    schema: &str,
) -> Result<(), sqlx::Error> {
    run_sql(connection, format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema};")).await?;
    run_sql(connection, projector.tables().to_owned()).await
}

/// Waits until no other process runs the projector. The lock goes with the connection; the connection of a node that the
/// others hold for dead, which a frozen one keeps, is cut. Its fence is passed afterwards, so it writes no more.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    name: &str,
    members: Option<&Members>,
) -> Result<(), sqlx::Error> {
    // A waiting statement keeps vacuum from its work, so it is begun anew from time to time.
    let patience = members.map_or(Duration::from_secs(60), |_| LOOK);
    run_sql(connection, format!("SET lock_timeout = {}", patience.as_millis())).await?;
    let mut suspect = None;
    loop {
        let locked = sqlx::query!("SELECT pg_advisory_lock(hashtextextended('hishamos projector ' || $1, 0))", name);
        match locked.execute(&mut *connection).await {
            Ok(_) => break,
            Err(error) if error.as_database_error().and_then(|error| error.code()).as_deref() == Some("55P03") => {}
            Err(error) => return Err(error),
        }
        let Some(members) = members else { continue };
        let dead = holder(connection, name).await?.filter(|holder| !members.isolated() && !holder.is_among(members));
        // Who has just come may not be known to everybody yet.
        if let Some(holder) = dead
            && suspect == Some(holder)
        {
            tracing::warn!(projector = name, node = %holder.node, "the node that has the projector is dead and is cut off");
            sqlx::query_scalar!("SELECT pg_terminate_backend($1)", holder.pid).fetch_one(&mut *connection).await?;
        }
        suspect = dead;
    }
    run_sql(connection, "SET lock_timeout = 0".to_owned()).await
}

/// Whose connection has the lock of a projector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Holder {
    pid: i32,
    node: NodeId,
}

impl Holder {
    fn is_among(&self, members: &Members) -> bool {
        members.now().contains(&self.node)
    }
}

/// Who has the lock; nobody is named when it is a connection that does not say whose it is.
async fn holder(connection: &mut PgConnection, name: &str) -> Result<Option<Holder>, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT a.pid AS "pid!", a.application_name AS "application!" FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
         WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND a.datname = current_database()
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
         AND (l.classid::bigint << 32) | l.objid::bigint = hashtextextended('hishamos projector ' || $1, 0)"#,
        name
    )
    .fetch_optional(connection)
    .await?;
    let named = |application: &str| application.strip_prefix(NAME)?.trim_start().parse::<NodeId>().ok();
    Ok(row.and_then(|row| Some(Holder { pid: row.pid, node: named(&row.application)? })))
}

/// Takes the live checkpoint over: whoever had it can write no more.
pub(crate) async fn take(connection: &mut PgConnection, name: &'static str) -> Result<Owned, sqlx::Error> {
    let row = sqlx::query!(
        "UPDATE projections.checkpoints SET fence = fence + 1, status = 'running', error = NULL, updated_at = $2
         WHERE name = $1 AND slot = 'live' RETURNING position, fence, version",
        name,
        now_micros()
    )
    .fetch_one(connection)
    .await?;
    let claim = Claim { name, slot: "live", fence: row.fence };
    Ok(Owned { claim, position: position(row.position), version: row.version })
}

/// Writes down what stopped a projector, if it is still the caller's.
pub(crate) async fn mark_poisoned(connection: &mut PgConnection, claim: Claim, error: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE projections.checkpoints SET status = 'poisoned', error = $1, updated_at = $2
         WHERE name = $3 AND slot = $4 AND fence = $5",
        &crate::projector::storable(error) as _,
        now_micros(),
        claim.name,
        claim.slot,
        claim.fence
    )
    .execute(connection)
    .await
    .map(|_| ())
}
