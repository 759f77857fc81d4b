//! Everything that is read from the database.
//!
//! A row is a part of an append, so what is asked for may begin and end within one: the statements give every part that
//! has something wanted, and little more, and the rest is left out here. Positions grow with revisions within a stream,
//! and from part to part within the journal.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use domain::StreamId;
use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use sqlx::PgConnection;
use uuid::Uuid;

use super::parts::{Piece, Row, signed, unsigned};
use crate::append::Head;
use crate::chain::Entry;
use crate::port::SEVERAL_EVENTS;
use crate::{Appended, Filter, Hash, Page, Position, ReadError, RecordedEvent, Several};

/// How many bytes of events a page holds at most, unless its first event alone has more.
const PAGE_BYTES: usize = 16 * 1024 * 1024;
/// How many positions one statement looks through for wanted events.
const WINDOW: u64 = 20_000;

macro_rules! rows {
    ($rest:literal, $($argument:expr),*) => {
        sqlx::query_as!(
            Row,
            r#"SELECT position, revision, events, recorded_at, stream, command, category, event_types, previous_hash,
            hash, metadata, body FROM journal.parts "# + $rest,
            $($argument),*
        )
    };
}

type Rows<'a> = BoxStream<'a, Result<Row, sqlx::Error>>;

/// Which end of the journal is read first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Forward,
    Back,
}

/// Reads the wanted events of parts until there are enough, or enough bytes of them; whether it is so.
async fn collect(
    mut rows: Rows<'_>,
    way: Way,
    limit: usize,
    wanted: impl Fn(&Piece<'_>) -> bool + Send + Sync,
) -> Result<(Vec<Arc<RecordedEvent>>, bool), ReadError> {
    let mut events = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.try_next().await? {
        let mut found = row.read(&wanted)?;
        if way == Way::Back {
            found.reverse();
        }
        for event in found {
            bytes += event.payload.len() + event.metadata_bytes.len();
            events.push(Arc::new(event));
            if events.len() >= limit || bytes >= PAGE_BYTES {
                return Ok((events, true));
            }
        }
    }
    Ok((events, false))
}

/// How many parts have as many wanted events at least, when each has one, but for that which is cut where reading begins.
fn parts_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

fn is_of(types: &[String], piece: &Piece<'_>) -> bool {
    types.is_empty() || types.iter().any(|wanted| wanted == piece.event_type)
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
    let names: Vec<_> = filter.categories.iter().map(|category| category.name().to_owned()).collect();
    let (categories, types) = (some(&names), some(&filter.types));
    let from = signed(after.as_u64());
    let end_after = |positions: u64| Position::from_u64(after.as_u64().saturating_add(positions)).min(until);
    let (end, rows): (_, Rows<'_>) = if let Some(stream) = filter.stream {
        if !filter.categories.is_empty() && !filter.categories.contains(&stream.category) {
            return Ok(Page { events: Vec::new(), position: until });
        }
        let query = rows!(
            r#"WHERE stream = $1 AND category = $2 AND position > $3 AND position - events < $4
            AND ($5::text[] IS NULL OR string_to_array(event_types, ' ') && $5) ORDER BY revision LIMIT $6"#,
            stream.id,
            stream.category.name(),
            from,
            signed(until.as_u64()),
            types as _,
            parts_of(limit)
        );
        (until, query.fetch(&mut *connection))
    } else if filter.categories.is_empty() && filter.types.is_empty() {
        let end = end_after(u64::try_from(limit).unwrap_or(u64::MAX));
        let query = rows!(
            r#"WHERE position > $1 AND position <= coalesce((
                SELECT last.position FROM journal.parts AS last WHERE last.position >= $2 ORDER BY last.position LIMIT 1
            ), $2) ORDER BY position"#,
            from,
            signed(end.as_u64())
        );
        (end, query.fetch(&mut *connection))
    } else {
        let end = end_after(WINDOW);
        let query = rows!(
            r#"WHERE position > $1 AND position <= coalesce((
                SELECT last.position FROM journal.parts AS last WHERE last.position >= $2 ORDER BY last.position LIMIT 1
            ), $2) AND ($3::text[] IS NULL OR category = ANY($3))
            AND ($4::text[] IS NULL OR string_to_array(event_types, ' ') && $4) ORDER BY position LIMIT $5"#,
            from,
            signed(end.as_u64()),
            categories as _,
            types as _,
            parts_of(limit)
        );
        (end, query.fetch(&mut *connection))
    };
    let wanted = |piece: &Piece<'_>| piece.position > after && piece.position <= end && is_of(&filter.types, piece);
    let (mut events, cut) = collect(rows, Way::Forward, limit, wanted).await?;
    let position = events.last().filter(|_| cut).map_or(end, |event| event.position);
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
    let names: Vec<_> = filter.categories.iter().map(|category| category.name().to_owned()).collect();
    let (categories, types) = (some(&names), some(&filter.types));
    let end = signed(before.as_u64()).saturating_sub(1);
    let back_by = |positions: u64| Position::from_u64(before.as_u64().saturating_sub(positions));
    let (begin, rows): (_, Rows<'_>) = if let Some(stream) = filter.stream {
        if !filter.categories.is_empty() && !filter.categories.contains(&stream.category) {
            return Ok(Page { events: Vec::new(), position: Position::START });
        }
        let query = rows!(
            r#"WHERE stream = $1 AND category = $2 AND position - events < $3
            AND ($4::text[] IS NULL OR string_to_array(event_types, ' ') && $4) ORDER BY revision DESC LIMIT $5"#,
            stream.id,
            stream.category.name(),
            end,
            types as _,
            parts_of(limit)
        );
        (Position::START, query.fetch(&mut *connection))
    } else if filter.categories.is_empty() && filter.types.is_empty() {
        let begin = back_by(u64::try_from(limit).unwrap_or(u64::MAX));
        let query = rows!(
            r#"WHERE position >= $1 AND position <= coalesce((
                SELECT last.position FROM journal.parts AS last WHERE last.position >= $2 ORDER BY last.position LIMIT 1
            ), $2) ORDER BY position DESC"#,
            signed(begin.as_u64()),
            end
        );
        (begin, query.fetch(&mut *connection))
    } else {
        let begin = back_by(WINDOW);
        let query = rows!(
            r#"WHERE position >= $1 AND position <= coalesce((
                SELECT last.position FROM journal.parts AS last WHERE last.position >= $2 ORDER BY last.position LIMIT 1
            ), $2) AND ($3::text[] IS NULL OR category = ANY($3))
            AND ($4::text[] IS NULL OR string_to_array(event_types, ' ') && $4) ORDER BY position DESC LIMIT $5"#,
            signed(begin.as_u64()),
            end,
            categories as _,
            types as _,
            parts_of(limit)
        );
        (begin, query.fetch(&mut *connection))
    };
    let wanted = |piece: &Piece<'_>| piece.position >= begin && piece.position < before && is_of(&filter.types, piece);
    let (mut events, cut) = collect(rows, Way::Back, limit, wanted).await?;
    let position = events.last().filter(|_| cut).map_or(begin, |event| event.position);
    if filter.of_run.is_some() {
        events.retain(|event| filter.matches(event));
    }
    Ok(Page { events, position })
}

fn some(names: &[String]) -> Option<&[String]> {
    (!names.is_empty()).then_some(names)
}

/// Events of one stream from a revision on.
pub(super) async fn stream(
    connection: &mut PgConnection,
    stream: StreamId,
    from: u64,
    limit: usize,
) -> Result<Vec<Arc<RecordedEvent>>, ReadError> {
    let end = from.saturating_add(u64::try_from(limit).unwrap_or(u64::MAX));
    let query = rows!(
        r#"WHERE stream = $1 AND category = $2 AND revision >= coalesce((
            SELECT first.revision FROM journal.parts AS first
            WHERE first.stream = $1 AND first.category = $2 AND first.revision <= $3
            ORDER BY first.revision DESC LIMIT 1
        ), $3) AND revision < $4 ORDER BY revision"#,
        stream.id,
        stream.category.name(),
        signed(from),
        signed(end)
    );
    // A short page means the end of the stream, so it is never cut by its bytes.
    let rows: Vec<Row> = query.fetch_all(connection).await?;
    let mut events = Vec::new();
    for row in rows {
        let found = row.read(|piece| piece.revision >= from && piece.revision < end)?;
        events.extend(found.into_iter().map(Arc::new));
    }
    Ok(events)
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
        r#"SELECT part.position AS "position!", part.revision AS "revision!", part.events AS "events!",
            part.recorded_at AS "recorded_at!", part.stream AS "stream!", part.command, part.category AS "category!",
            part.event_types AS "event_types!", part.previous_hash AS "previous_hash!", part.hash AS "hash!",
            part.metadata AS "metadata!", part.body AS "body!"
        FROM unnest($1::uuid[], $2::text[]) AS wanted (stream, category)
        CROSS JOIN LATERAL (
            SELECT * FROM journal.parts
            WHERE parts.stream = wanted.stream AND parts.category = wanted.category COLLATE "C"
                AND parts.position - parts.events < $3
            ORDER BY parts.revision
        ) AS part ORDER BY part.position LIMIT $4"#,
        &ids,
        &categories,
        signed(until.as_u64()),
        i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
    )
    .fetch(connection);
    let (mut events, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.try_next().await? {
        for event in row.read(|piece| piece.position <= until)? {
            bytes += event.payload.len() + event.metadata_bytes.len();
            if events.len() >= limit || bytes > STREAMS_BYTES {
                return Ok(None);
            }
            events.push(Arc::new(event));
        }
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
    let end_of = |from: u64| from.saturating_add(u64::try_from(each).unwrap_or(u64::MAX));
    let revisions: Vec<i64> = wanted.iter().map(|(_, from)| signed(*from)).collect();
    let ends: Vec<i64> = wanted.iter().map(|(_, from)| signed(end_of(*from))).collect();
    // The stream in which the answer becomes full still goes in as a whole, and one row more shows that another one follows.
    let most = SEVERAL_EVENTS.saturating_add(each).saturating_add(1);
    let mut rows = sqlx::query!(
        r#"SELECT wanted.ordinality AS "ordinality!", part.position AS "position!", part.revision AS "revision!",
            part.events AS "events!", part.recorded_at AS "recorded_at!", part.stream AS "stream!", part.command,
            part.category AS "category!", part.event_types AS "event_types!", part.previous_hash AS "previous_hash!",
            part.hash AS "hash!", part.metadata AS "metadata!", part.body AS "body!"
        FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[]) WITH ORDINALITY
            AS wanted (stream, category, revision, until, ordinality)
        CROSS JOIN LATERAL (
            SELECT * FROM journal.parts
            WHERE parts.stream = wanted.stream AND parts.category = wanted.category COLLATE "C"
                AND parts.revision >= coalesce((
                    SELECT first.revision FROM journal.parts AS first
                    WHERE first.stream = wanted.stream AND first.category = wanted.category COLLATE "C"
                        AND first.revision <= wanted.revision
                    ORDER BY first.revision DESC LIMIT 1
                ), wanted.revision)
                AND parts.revision < wanted.until AND parts.revision + parts.events > wanted.revision
            ORDER BY parts.revision
        ) AS part ORDER BY wanted.ordinality, part.revision LIMIT $5"#,
        &ids,
        &categories,
        &revisions,
        &ends,
        i64::try_from(most).unwrap_or(i64::MAX)
    )
    .fetch(connection);
    let (mut events, mut bytes, mut last) = (Vec::new(), 0, 0);
    while let Some(row) = rows.try_next().await? {
        let is_full = events.len() >= SEVERAL_EVENTS || bytes >= PAGE_BYTES;
        let index = usize::try_from(row.ordinality).unwrap_or(usize::MAX).saturating_sub(1);
        if is_full && row.ordinality != last {
            return Ok(Several { events, streams: index });
        }
        last = row.ordinality;
        let row = Row {
            position: row.position,
            revision: row.revision,
            events: row.events,
            recorded_at: row.recorded_at,
            stream: row.stream,
            command: row.command,
            category: row.category,
            event_types: row.event_types,
            previous_hash: row.previous_hash,
            hash: row.hash,
            metadata: Bytes::from(row.metadata),
            body: Bytes::from(row.body),
        };
        let from = wanted.get(index).map_or(0, |(_, from)| *from);
        for event in row.read(|piece| piece.revision >= from && piece.revision < end_of(from))? {
            bytes += event.payload.len() + event.metadata_bytes.len();
            events.push(Arc::new(event));
        }
    }
    Ok(Several { events, streams: wanted.len() })
}

/// The bytes of events as they are.
pub(super) async fn entries(
    connection: &mut PgConnection,
    after: Position,
    limit: usize,
) -> Result<Vec<Entry>, sqlx::Error> {
    let end = after.as_u64().saturating_add(u64::try_from(limit).unwrap_or(u64::MAX));
    // Where positions are missing the next part is read all the same: an empty page says that the journal ends.
    let mut rows = rows!(
        r#"WHERE position > $1 AND position <= coalesce((
            SELECT last.position FROM journal.parts AS last WHERE last.position >= $2 ORDER BY last.position LIMIT 1
        ), 9223372036854775807) ORDER BY position"#,
        signed(after.as_u64()),
        signed(end)
    )
    .fetch(connection);
    let mut entries = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.try_next().await? {
        for entry in row.entries().into_iter().filter(|entry| entry.position > after) {
            if entries.len() >= limit || bytes >= PAGE_BYTES {
                return Ok(entries);
            }
            bytes += entry.payload.len() + entry.metadata.len();
            entries.push(entry);
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
    let position = sqlx::query_scalar!("SELECT max(position) FROM journal.parts").fetch_one(connection).await?;
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
            SELECT parts.revision + parts.events - 1 AS revision, parts.hash FROM journal.parts
            WHERE parts.stream = wanted.stream AND parts.category = wanted.category COLLATE "C"
            ORDER BY parts.revision DESC LIMIT 1
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
            SELECT parts.position, parts.category, parts.stream, parts.revision + parts.events - 1 AS revision
            FROM journal.parts WHERE parts.command = wanted.command LIMIT 1
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

/// The hashes of the events at some positions, of those that are the last of their parts.
pub(super) async fn hashes(
    connection: &mut PgConnection,
    positions: &[Position],
) -> Result<HashMap<Position, Vec<u8>>, sqlx::Error> {
    let positions: Vec<i64> = positions.iter().map(|position| signed(position.as_u64())).collect();
    let rows = sqlx::query!(
        r#"SELECT wanted.position AS "position!", part.hash AS "hash!"
        FROM unnest($1::bigint[]) AS wanted (position)
        CROSS JOIN LATERAL (
            SELECT parts.hash FROM journal.parts WHERE parts.position = wanted.position LIMIT 1
        ) AS part"#,
        &positions
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (Position::from_u64(unsigned(row.position)), row.hash)).collect())
}
