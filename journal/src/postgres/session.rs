//! The writer's connection and the one statement that records.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use uuid::Uuid;

use super::failure;
use super::rows;
use crate::{Position, RecordedEvent};

/// The channel on which processes tell each other of new events.
pub(super) const CHANNEL: &str = "hishamos_journal";
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Which server process a connection talks to; process numbers come again, starts do not.
#[derive(Debug, Clone)]
pub(super) struct Backend {
    pid: i32,
    started: String,
}

pub(super) struct Session {
    pub(super) connection: PgConnection,
    pub(super) backend: Backend,
}

impl Session {
    /// Connects, and makes sure that `predecessor`, if it still lives, will do nothing more.
    pub(super) async fn open(options: &PgConnectOptions, predecessor: Option<&Backend>) -> Result<Self, sqlx::Error> {
        tokio::time::timeout(CONNECT * 2, Self::connect(options, predecessor))
            .await
            .unwrap_or_else(|_| Err(failure::timed_out()))
    }

    async fn connect(options: &PgConnectOptions, predecessor: Option<&Backend>) -> Result<Self, sqlx::Error> {
        let mut connection = options.connect().await?;
        if let Some(Backend { pid, started }) = predecessor {
            let ended = sqlx::query_scalar!(
                r#"SELECT pg_terminate_backend(pid, 4000) AS "ended!" FROM pg_stat_activity
                WHERE pid = $1 AND extract(epoch FROM backend_start)::text = $2"#,
                pid,
                started
            )
            .fetch_optional(&mut connection)
            .await?;
            if ended == Some(false) {
                return Err(failure::timed_out());
            }
        }
        let own = sqlx::query!(
            r#"SELECT pid AS "pid!", extract(epoch FROM backend_start)::text AS "started!"
            FROM pg_stat_activity WHERE pid = pg_backend_pid()"#
        )
        .fetch_one(&mut connection)
        .await?;
        Ok(Self { connection, backend: Backend { pid: own.pid, started: own.started } })
    }

    pub(super) async fn close(self) {
        // A polite end; the server notices an impolite one just as well.
        let _ = tokio::time::timeout(CONNECT, self.connection.close()).await;
    }
}

/// Records events, all or none, if the journal still ends at `position`; `None` when it does not. Otherwise the
/// number of processes that listen for new events. One statement, so that outside of a transaction it costs one
/// round trip, and the head is locked only while the server works.
///
/// `counted` is how many of the listeners are this process itself; when there are others, they are notified.
pub(super) async fn record(
    connection: &mut PgConnection,
    position: Position,
    events: &[Arc<RecordedEvent>],
    commands: &[Option<Uuid>],
    node: Uuid,
    counted: i32,
) -> Result<Option<i32>, sqlx::Error> {
    let end = events.last().map_or(position, |event| event.position);
    let column = Columns::of(events);
    let moved = sqlx::query!(
        r#"WITH moved AS (
            UPDATE journal.head SET position = $2 WHERE single AND position = $1 RETURNING listeners
        ), recorded AS (
            INSERT INTO journal.events (position, revision, recorded_at, stream, event_id, command, schema_version,
                codec, category, event_type, previous_hash, hash, metadata, payload)
            SELECT generate_series($1 + 1, $2), unnest($3::bigint[]), unnest($4::bigint[]), unnest($5::uuid[]),
                unnest($6::uuid[]), unnest($7::uuid[]), unnest($8::smallint[]), unnest($9::smallint[]),
                unnest($10::text[]), unnest($11::text[]), unnest($12::bytea[]), unnest($13::bytea[]),
                unnest($14::bytea[]), unnest($15::bytea[])
            FROM moved
        )
        SELECT listeners AS "listeners!", CASE WHEN listeners > $16 THEN pg_notify($17, $18)::text END AS notified
        FROM moved"#,
        rows::signed(position.as_u64()),
        rows::signed(end.as_u64()),
        &column.revisions,
        &column.times,
        &column.streams,
        &column.ids,
        commands as &[Option<Uuid>],
        &column.versions,
        &column.codecs,
        &column.categories as &[&str],
        &column.types as &[&str],
        &column.previous_hashes as &[&[u8]],
        &column.hashes as &[&[u8]],
        &column.metadata as &[&[u8]],
        &column.payloads as &[&[u8]],
        counted,
        CHANNEL,
        notice(node, end)
    )
    // All of the answer, not only its first row: the commit comes last.
    .fetch_all(connection)
    .await?;
    Ok(moved.first().map(|moved| moved.listeners))
}

/// What processes tell each other: who recorded, and up to where.
pub(super) fn notice(node: Uuid, position: Position) -> String {
    format!("{node} {position}")
}

/// Who recorded, and up to where; `None` when it is no notice of ours.
pub(super) fn read_notice(text: &str) -> Option<(Uuid, Position)> {
    let (node, position) = text.split_once(' ')?;
    Some((node.parse().ok()?, Position::from_u64(position.parse().ok()?)))
}

/// Events, column by column.
struct Columns<'a> {
    revisions: Vec<i64>,
    times: Vec<i64>,
    streams: Vec<Uuid>,
    ids: Vec<Uuid>,
    versions: Vec<i16>,
    codecs: Vec<i16>,
    categories: Vec<&'a str>,
    types: Vec<&'a str>,
    previous_hashes: Vec<&'a [u8]>,
    hashes: Vec<&'a [u8]>,
    metadata: Vec<&'a [u8]>,
    payloads: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    fn of(events: &'a [Arc<RecordedEvent>]) -> Self {
        fn column<'a, T>(events: &'a [Arc<RecordedEvent>], cell: impl Fn(&'a RecordedEvent) -> T) -> Vec<T> {
            events.iter().map(|event| cell(event)).collect()
        }
        Self {
            revisions: column(events, |event| rows::signed(event.revision)),
            times: column(events, |event| event.recorded_at.as_micros()),
            streams: column(events, |event| event.stream.id),
            ids: column(events, |event| event.id.as_uuid()),
            versions: column(events, |event| i16::try_from(event.schema_version).unwrap_or(i16::MAX)),
            codecs: column(events, |event| i16::from(event.codec)),
            categories: column(events, |event| event.stream.category.name()),
            types: column(events, |event| &*event.event_type),
            previous_hashes: column(events, |event| event.previous_hash.0.as_slice()),
            hashes: column(events, |event| event.hash.0.as_slice()),
            metadata: column(events, |event| event.metadata_bytes.as_ref()),
            payloads: column(events, |event| event.payload.as_ref()),
        }
    }
}
