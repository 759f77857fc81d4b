//! The writer's connection and the one statement that records.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use uuid::Uuid;

use super::failure;
use super::parts::{self, Part, signed};
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
/// `parts` divides the events into rows. `counted` is how many of the listeners are this process itself; when there are
/// others, they are notified.
pub(super) async fn record(
    connection: &mut PgConnection,
    position: Position,
    events: &[Arc<RecordedEvent>],
    parts: &[Part],
    node: Uuid,
    counted: i32,
) -> Result<Option<i32>, sqlx::Error> {
    let end = events.last().map_or(position, |event| event.position);
    let bodies = Bodies::of(events, parts);
    let column = Columns::of(events, parts, &bodies);
    let moved = sqlx::query!(
        r#"WITH moved AS (
            UPDATE journal.head SET position = $2 WHERE single AND position = $1 RETURNING listeners
        ), recorded AS (
            INSERT INTO journal.parts (position, revision, events, recorded_at, stream, command, category, event_types,
                previous_hash, hash, metadata, body)
            SELECT unnest($3::bigint[]), unnest($4::bigint[]), unnest($5::integer[]), unnest($6::bigint[]),
                unnest($7::uuid[]), unnest($8::uuid[]), unnest($9::text[]), unnest($10::text[]), unnest($11::bytea[]),
                unnest($12::bytea[]), unnest($13::bytea[]), unnest($14::bytea[])
            FROM moved
        )
        SELECT listeners AS "listeners!", CASE WHEN listeners > $15 THEN pg_notify($16, $17)::text END AS notified
        FROM moved"#,
        signed(position.as_u64()),
        signed(end.as_u64()),
        &column.positions,
        &column.revisions,
        &column.counts,
        &column.times,
        &column.streams,
        &column.commands as &[Option<Uuid>],
        &column.categories as &[&str],
        &column.types,
        &column.previous_hashes as &[&[u8]],
        &column.hashes as &[&[u8]],
        &column.metadata as &[&[u8]],
        &column.bodies as &[&[u8]],
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

/// Parts of a batch, column by column.
#[derive(Default)]
struct Columns<'a> {
    positions: Vec<i64>,
    revisions: Vec<i64>,
    counts: Vec<i32>,
    times: Vec<i64>,
    streams: Vec<Uuid>,
    commands: Vec<Option<Uuid>>,
    categories: Vec<&'a str>,
    types: Vec<String>,
    previous_hashes: Vec<&'a [u8]>,
    hashes: Vec<&'a [u8]>,
    metadata: Vec<&'a [u8]>,
    bodies: Vec<&'a [u8]>,
}

/// The bodies of the parts of a batch, one after the other.
struct Bodies {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// The events of each part.
fn divided<'a>(
    mut events: &'a [Arc<RecordedEvent>],
    parts: &'a [Part],
) -> impl Iterator<Item = (&'a Part, &'a [Arc<RecordedEvent>])> {
    parts.iter().map(move |part| {
        let (own, rest) = events.split_at(part.events.min(events.len()));
        events = rest;
        (part, own)
    })
}

impl Bodies {
    fn of(events: &[Arc<RecordedEvent>], parts: &[Part]) -> Self {
        debug_assert_eq!(
            parts.iter().map(|part| part.events).sum::<usize>(),
            events.len(),
            "each event is of one part"
        );
        let size = events.iter().map(|event| event.payload.len() + parts::AROUND).sum();
        let mut bodies = Self { bytes: Vec::with_capacity(size), ends: Vec::with_capacity(parts.len()) };
        for (_, own) in divided(events, parts) {
            parts::write(own, &mut bodies.bytes);
            bodies.ends.push(bodies.bytes.len());
        }
        bodies
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, end)| self.bytes.get(begin..*end).unwrap_or_default())
    }
}

impl<'a> Columns<'a> {
    fn of(events: &'a [Arc<RecordedEvent>], parts: &'a [Part], bodies: &'a Bodies) -> Self {
        let mut columns = Self::default();
        for ((part, own), body) in divided(events, parts).zip(bodies.iter()) {
            let ([first, ..], [.., last]) = (own, own) else { continue };
            columns.positions.push(signed(last.position.as_u64()));
            columns.revisions.push(signed(first.revision));
            columns.counts.push(i32::try_from(own.len()).unwrap_or(i32::MAX));
            columns.times.push(first.recorded_at.as_micros());
            columns.streams.push(first.stream.id);
            columns.commands.push(part.command);
            columns.categories.push(first.stream.category.name());
            let types: Vec<&str> = own.iter().map(|event| &*event.event_type).collect();
            columns.types.push(types.join(" "));
            columns.previous_hashes.push(&first.previous_hash.0);
            columns.hashes.push(&last.hash.0);
            columns.metadata.push(&first.metadata_bytes);
            columns.bodies.push(body);
        }
        columns
    }
}
