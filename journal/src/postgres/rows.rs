//! Everything that is read from the database.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use domain::{Category, EventId, StreamId, Timestamp};
use futures_util::TryStreamExt;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::append::Head;
use crate::chain::Entry;
use crate::port::SEVERAL_EVENTS;
use crate::{Appended, Filter, Hash, Page, Position, ReadError, RecordedEvent, Several, metadata};

/// How many bytes of events a page holds at most, unless its first event alone has more.
const PAGE_BYTES: usize = 16 * 1024 * 1024;
/// How many positions one statement looks through for wanted events.
const WINDOW: u64 = 20_000;

/// A row of `journal.events`.
struct Row {
    position: i64,
    revision: i64,
    recorded_at: i64,
    stream: Uuid,
    event_id: Uuid,
    schema_version: i16,
    codec: i16,
    category: String,
    event_type: String,
    previous_hash: [u8; 32],
    hash: [u8; 32],
    metadata: Vec<u8>,
    payload: Vec<u8>,
}

macro_rules! rows {
    ($rest:literal, $($argument:expr),*) => {
        sqlx::query_as!(
            Row,
            r#"SELECT position, revision, recorded_at, stream, event_id, schema_version, codec, category, event_type,
            previous_hash AS "previous_hash: [u8; 32]", hash AS "hash: [u8; 32]", metadata, payload
            FROM journal.events "# + $rest,
            $($argument),*
        )
    };
}

impl Row {
    fn read(self) -> Result<RecordedEvent, ReadError> {
        let position = Position::from_u64(unsigned(self.position));
        let damaged = |what: String| ReadError::Damaged { position, what };
        let category: Category = self.category.parse().map_err(|error| damaged(format!("{error}")))?;
        let schema_version = u16::try_from(self.schema_version).map_err(|error| damaged(format!("{error}")))?;
        let codec = u8::try_from(self.codec).map_err(|error| damaged(format!("{error}")))?;
        Ok(RecordedEvent {
            position,
            id: EventId::from_uuid(self.event_id),
            stream: StreamId { category, id: self.stream },
            revision: unsigned(self.revision),
            event_type: self.event_type.into(),
            schema_version,
            codec,
            recorded_at: Timestamp::from_micros(self.recorded_at),
            metadata: Arc::new(metadata::decode(&self.metadata).map_err(damaged)?),
            metadata_bytes: Bytes::from(self.metadata),
            payload: Bytes::from(self.payload),
            previous_hash: Hash(self.previous_hash),
            hash: Hash(self.hash),
            decoded: OnceLock::new(),
        })
    }
}

/// Positions and revisions are never negative; the database checks it.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Reads what a statement gives, until the page is full of bytes.
macro_rules! page_of {
    ($query:expr, $connection:expr) => {{
        let mut rows = $query.fetch($connection);
        let mut events = Vec::new();
        let mut bytes = 0;
        let mut full = false;
        while let Some(row) = rows.try_next().await? {
            bytes += row.payload.len() + row.metadata.len();
            events.push(Arc::new(row.read()?));
            if bytes >= PAGE_BYTES {
                full = true;
                break;
            }
        }
        (events, full)
    }};
}

/// The wanted events after `after` and up to `until`, which must not lie beyond the head.
pub(super) async fn page(
    connection: &mut PgConnection,
    after: Position,
    until: Position,
    filter: &Filter,
    limit: usize,
) -> Result<Page, ReadError> {
    if after >= until || limit == 0 {
        return Ok(Page { events: Vec::new(), position: after });
    }
    let rows = i64::try_from(limit).unwrap_or(i64::MAX);
    let names: Vec<_> = filter.categories.iter().map(|category| category.name().to_owned()).collect();
    let (categories, types) = (wanted(&names), wanted(&filter.types));
    let from = signed(after.as_u64());
    let (until, (mut events, full)) = if let Some(stream) = filter.stream {
        let query = rows!(
            r#"WHERE stream = $1 AND category = $2 AND position > $3 AND position <= $4
            AND ($5::text[] IS NULL OR event_type = ANY($5)) ORDER BY revision LIMIT $6"#,
            stream.id,
            stream.category.name(),
            from,
            signed(until.as_u64()),
            types as _,
            rows
        );
        let none = !filter.categories.is_empty() && !filter.categories.contains(&stream.category);
        if none { (until, (Vec::new(), false)) } else { (until, page_of!(query, &mut *connection)) }
    } else if filter.categories.is_empty() && filter.types.is_empty() {
        let end = after.as_u64().saturating_add(u64::try_from(limit).unwrap_or(u64::MAX)).min(until.as_u64());
        let query = rows!("WHERE position > $1 AND position <= $2 ORDER BY position", from, signed(end));
        (Position::from_u64(end), page_of!(query, &mut *connection))
    } else {
        let end = after.as_u64().saturating_add(WINDOW).min(until.as_u64());
        let query = rows!(
            r#"WHERE position > $1 AND position <= $2 AND ($3::text[] IS NULL OR category = ANY($3))
            AND ($4::text[] IS NULL OR event_type = ANY($4)) ORDER BY position LIMIT $5"#,
            from,
            signed(end),
            categories as _,
            types as _,
            rows
        );
        (Position::from_u64(end), page_of!(query, &mut *connection))
    };
    let cut = full || events.len() >= limit;
    let position = events.last().filter(|_| cut).map_or(until, |event: &Arc<RecordedEvent>| event.position);
    if filter.of_run.is_some() {
        events.retain(|event| filter.matches(event));
    }
    Ok(Page { events, position })
}

/// The wanted events before a position, which must not lie further than one beyond the head; the newest first.
pub(super) async fn page_back(
    connection: &mut PgConnection,
    before: Position,
    filter: &Filter,
    limit: usize,
) -> Result<Page, ReadError> {
    if before == Position::START || limit == 0 {
        return Ok(Page { events: Vec::new(), position: before });
    }
    let rows = i64::try_from(limit).unwrap_or(i64::MAX);
    let names: Vec<_> = filter.categories.iter().map(|category| category.name().to_owned()).collect();
    let (categories, types) = (wanted(&names), wanted(&filter.types));
    let end = signed(before.as_u64());
    let back_by = |positions: u64| Position::from_u64(before.as_u64().saturating_sub(positions));
    let (begin, (mut events, full)) = if let Some(stream) = filter.stream {
        let query = rows!(
            r#"WHERE stream = $1 AND category = $2 AND position < $3
            AND ($4::text[] IS NULL OR event_type = ANY($4)) ORDER BY revision DESC LIMIT $5"#,
            stream.id,
            stream.category.name(),
            end,
            types as _,
            rows
        );
        let none = !filter.categories.is_empty() && !filter.categories.contains(&stream.category);
        let found = if none { (Vec::new(), false) } else { page_of!(query, &mut *connection) };
        (Position::START, found)
    } else if filter.categories.is_empty() && filter.types.is_empty() {
        let begin = back_by(u64::try_from(limit).unwrap_or(u64::MAX));
        let query = rows!("WHERE position >= $1 AND position < $2 ORDER BY position DESC", signed(begin.as_u64()), end);
        (begin, page_of!(query, &mut *connection))
    } else {
        let begin = back_by(WINDOW);
        let query = rows!(
            r#"WHERE position >= $1 AND position < $2 AND ($3::text[] IS NULL OR category = ANY($3))
            AND ($4::text[] IS NULL OR event_type = ANY($4)) ORDER BY position DESC LIMIT $5"#,
            signed(begin.as_u64()),
            end,
            categories as _,
            types as _,
            rows
        );
        (begin, page_of!(query, &mut *connection))
    };
    let cut = full || events.len() >= limit;
    let position = events.last().filter(|_| cut).map_or(begin, |event: &Arc<RecordedEvent>| event.position);
    if filter.of_run.is_some() {
        events.retain(|event| filter.matches(event));
    }
    Ok(Page { events, position })
}

fn wanted(names: &[String]) -> Option<&[String]> {
    (!names.is_empty()).then_some(names)
}

/// Events of one stream from a revision on.
pub(super) async fn stream(
    connection: &mut PgConnection,
    stream: StreamId,
    from: u64,
    limit: usize,
) -> Result<Vec<Arc<RecordedEvent>>, ReadError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let query = rows!(
        "WHERE stream = $1 AND category = $2 AND revision >= $3 ORDER BY revision LIMIT $4",
        stream.id,
        stream.category.name(),
        signed(from),
        limit
    );
    // A short page means the end of the stream, so it is never cut by its bytes.
    let rows: Vec<Row> = query.fetch_all(connection).await?;
    rows.into_iter().map(|row| row.read().map(Arc::new)).collect()
}

/// How many bytes of events of several streams are read at most.
const STREAMS_BYTES: usize = 256 * 1024 * 1024;

/// Everything that some streams held as of a position; nothing when that is too much.
pub(super) async fn streams(
    connection: &mut PgConnection,
    streams: &[StreamId],
    until: Position,
    limit: usize,
) -> Result<Option<Vec<Arc<RecordedEvent>>>, ReadError> {
    let ids: Vec<Uuid> = streams.iter().map(|stream| stream.id).collect();
    let categories: Vec<String> = streams.iter().map(|stream| stream.category.name().to_owned()).collect();
    let mut rows = sqlx::query_as!(
        Row,
        r#"SELECT event.position AS "position!", event.revision AS "revision!", event.recorded_at AS "recorded_at!",
            event.stream AS "stream!", event.event_id AS "event_id!", event.schema_version AS "schema_version!",
            event.codec AS "codec!", event.category AS "category!", event.event_type AS "event_type!",
            event.previous_hash AS "previous_hash!: [u8; 32]", event.hash AS "hash!: [u8; 32]",
            event.metadata AS "metadata!", event.payload AS "payload!"
        FROM unnest($1::uuid[], $2::text[]) AS wanted (stream, category)
        CROSS JOIN LATERAL (
            SELECT * FROM journal.events
            WHERE events.stream = wanted.stream AND events.category = wanted.category COLLATE "C"
                AND events.position <= $3
            ORDER BY events.revision
        ) AS event ORDER BY event.position LIMIT $4"#,
        &ids,
        &categories,
        signed(until.as_u64()),
        i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
    )
    .fetch(connection);
    let (mut events, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.try_next().await? {
        bytes += row.payload.len() + row.metadata.len();
        if events.len() >= limit || bytes > STREAMS_BYTES {
            return Ok(None);
        }
        events.push(Arc::new(row.read()?));
    }
    Ok(Some(events))
}

/// Events of several streams, of each from a revision on: of as many streams as fit.
pub(super) async fn each(
    connection: &mut PgConnection,
    wanted: &[(StreamId, u64)],
    each: usize,
) -> Result<Several, ReadError> {
    let ids: Vec<Uuid> = wanted.iter().map(|(stream, _)| stream.id).collect();
    let categories: Vec<String> = wanted.iter().map(|(stream, _)| stream.category.name().to_owned()).collect();
    let revisions: Vec<i64> = wanted.iter().map(|(_, from)| signed(*from)).collect();
    // The stream in which the answer becomes full still goes in as a whole, and one row more shows that another one follows.
    let most = SEVERAL_EVENTS.saturating_add(each).saturating_add(1);
    let mut rows = sqlx::query!(
        r#"SELECT wanted.ordinality AS "ordinality!", event.position AS "position!", event.revision AS "revision!",
            event.recorded_at AS "recorded_at!", event.stream AS "stream!", event.event_id AS "event_id!",
            event.schema_version AS "schema_version!", event.codec AS "codec!", event.category AS "category!",
            event.event_type AS "event_type!", event.previous_hash AS "previous_hash!: [u8; 32]",
            event.hash AS "hash!: [u8; 32]", event.metadata AS "metadata!", event.payload AS "payload!"
        FROM unnest($1::uuid[], $2::text[], $3::bigint[]) WITH ORDINALITY AS wanted (stream, category, revision, ordinality)
        CROSS JOIN LATERAL (
            SELECT * FROM journal.events
            WHERE events.stream = wanted.stream AND events.category = wanted.category COLLATE "C"
                AND events.revision >= wanted.revision
            ORDER BY events.revision LIMIT $4
        ) AS event ORDER BY wanted.ordinality, event.revision LIMIT $5"#,
        &ids,
        &categories,
        &revisions,
        i64::try_from(each).unwrap_or(i64::MAX),
        i64::try_from(most).unwrap_or(i64::MAX)
    )
    .fetch(connection);
    let (mut events, mut bytes, mut last) = (Vec::new(), 0, 0);
    while let Some(row) = rows.try_next().await? {
        let is_full = events.len() >= SEVERAL_EVENTS || bytes >= PAGE_BYTES;
        if is_full && row.ordinality != last {
            let streams = usize::try_from(row.ordinality).unwrap_or(usize::MAX).saturating_sub(1);
            return Ok(Several { events, streams });
        }
        last = row.ordinality;
        let row = Row {
            position: row.position,
            revision: row.revision,
            recorded_at: row.recorded_at,
            stream: row.stream,
            event_id: row.event_id,
            schema_version: row.schema_version,
            codec: row.codec,
            category: row.category,
            event_type: row.event_type,
            previous_hash: row.previous_hash,
            hash: row.hash,
            metadata: row.metadata,
            payload: row.payload,
        };
        bytes += row.payload.len() + row.metadata.len();
        events.push(Arc::new(row.read()?));
    }
    Ok(Several { events, streams: wanted.len() })
}

/// The bytes of events as they are.
pub(super) async fn entries(
    connection: &mut PgConnection,
    after: Position,
    limit: usize,
) -> Result<Vec<Entry>, sqlx::Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = sqlx::query!(
        r#"SELECT position, revision, recorded_at, stream, event_id, command, schema_version, codec, category,
        event_type, previous_hash, hash, metadata, payload
        FROM journal.events WHERE position > $1 ORDER BY position LIMIT $2"#,
        signed(after.as_u64()),
        limit
    )
    .fetch(connection);
    let mut entries = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.try_next().await? {
        bytes += row.payload.len() + row.metadata.len();
        entries.push(Entry {
            position: Position::from_u64(unsigned(row.position)),
            id: EventId::from_uuid(row.event_id),
            category: row.category,
            stream: row.stream,
            revision: unsigned(row.revision),
            event_type: row.event_type,
            schema_version: u16::try_from(row.schema_version).unwrap_or(0),
            codec: u8::try_from(row.codec).unwrap_or(0),
            recorded_at: row.recorded_at,
            metadata: row.metadata,
            payload: row.payload,
            previous_hash: row.previous_hash,
            hash: row.hash,
            command: row.command,
        });
        if bytes >= PAGE_BYTES {
            break;
        }
    }
    Ok(entries)
}

/// Where the journal ends.
pub(super) async fn head(connection: &mut PgConnection) -> Result<Position, sqlx::Error> {
    let position = sqlx::query_scalar!("SELECT position FROM journal.head WHERE single").fetch_one(connection).await?;
    Ok(Position::from_u64(unsigned(position)))
}

/// Locks the end of the journal until the transaction ends.
pub(super) async fn lock_head(connection: &mut PgConnection) -> Result<Position, sqlx::Error> {
    let position =
        sqlx::query_scalar!("SELECT position FROM journal.head WHERE single FOR UPDATE").fetch_one(connection).await?;
    Ok(Position::from_u64(unsigned(position)))
}

/// The position of the last event, whatever the head says.
pub(super) async fn last(connection: &mut PgConnection) -> Result<Position, sqlx::Error> {
    let position = sqlx::query_scalar!("SELECT max(position) FROM journal.events").fetch_one(connection).await?;
    Ok(position.map_or(Position::START, |position| Position::from_u64(unsigned(position))))
}

/// The last events of streams; those without events are missing from the answer.
pub(super) async fn heads(
    connection: &mut PgConnection,
    streams: &[StreamId],
) -> Result<HashMap<StreamId, Head>, sqlx::Error> {
    if streams.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<Uuid> = streams.iter().map(|stream| stream.id).collect();
    let categories: Vec<String> = streams.iter().map(|stream| stream.category.name().to_owned()).collect();
    // One look into the index per stream: `= ANY` would be planned once, on a small table, as a scan of all of it.
    let rows = sqlx::query!(
        r#"SELECT wanted.ordinality AS "ordinality!", last.revision AS "revision!", last.hash AS "hash!: [u8; 32]"
        FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS wanted (stream, category, ordinality)
        CROSS JOIN LATERAL (
            SELECT events.revision, events.hash FROM journal.events
            WHERE events.stream = wanted.stream AND events.category = wanted.category COLLATE "C"
            ORDER BY events.revision DESC LIMIT 1
        ) AS last"#,
        &ids,
        &categories
    )
    .fetch_all(connection)
    .await?;
    let found = rows.into_iter().filter_map(|row| {
        let index = usize::try_from(row.ordinality).ok()?.checked_sub(1)?;
        let head = Head { revision: unsigned(row.revision), hash: Hash(row.hash) };
        streams.get(index).map(|stream| (*stream, head))
    });
    Ok(found.collect())
}

/// The first answers of commands; those that are not remembered are missing from the answer.
pub(super) async fn commands(
    connection: &mut PgConnection,
    commands: &[Uuid],
) -> Result<HashMap<Uuid, Appended>, sqlx::Error> {
    if commands.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        r#"SELECT wanted.command AS "command!", last.position AS "position!", last.category AS "category!",
        last.stream AS "stream!", last.revision AS "revision!"
        FROM unnest($1::uuid[]) AS wanted (command)
        CROSS JOIN LATERAL (
            SELECT events.position, events.category, events.stream, events.revision FROM journal.events
            WHERE events.command = wanted.command LIMIT 1
        ) AS last"#,
        commands
    )
    .fetch_all(connection)
    .await?;
    let found = rows.into_iter().filter_map(|row| {
        let stream = StreamId { category: row.category.parse().ok()?, id: row.stream };
        let position = Position::from_u64(unsigned(row.position));
        Some((row.command, Appended { position, heads: vec![(stream, unsigned(row.revision))], repeated: true }))
    });
    Ok(found.collect())
}

/// The hashes of the events at some positions.
pub(super) async fn hashes(
    connection: &mut PgConnection,
    positions: &[Position],
) -> Result<HashMap<Position, Vec<u8>>, sqlx::Error> {
    let positions: Vec<i64> = positions.iter().map(|position| signed(position.as_u64())).collect();
    let rows = sqlx::query!(
        r#"SELECT wanted.position AS "position!", event.hash AS "hash!"
        FROM unnest($1::bigint[]) AS wanted (position)
        CROSS JOIN LATERAL (
            SELECT events.hash FROM journal.events WHERE events.position = wanted.position LIMIT 1
        ) AS event"#,
        &positions
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (Position::from_u64(unsigned(row.position)), row.hash)).collect())
}
