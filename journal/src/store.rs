//! The port as an event store of cqrs-es, so that its framework and whatever builds on it work over our journal.
//!
//! cqrs-es counts events of an aggregate from 1, the journal from 0; the conversion is here and nowhere else.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use cqrs_es::{AggregateContext, AggregateError, EventEnvelope, EventStore};
use domain::{Actor, CommandId, Decide, EventId, StreamId, Timestamp};
use uuid::Uuid;

use crate::{
    Append, AppendError, Context, Executor, Expected, Journal, Loaded, Metadata, ReadError, RecordedEvent, StreamAppend,
};

/// `cqrs_es::EventStore` for every aggregate, over any journal.
///
/// An aggregate's id is the UUID of its stream. The metadata that a caller gives with a command may hold `command`,
/// `correlation` and `causation` (UUIDs) and `tenant`; what is missing is made up or taken from the store, and other
/// keys are refused, because the envelope has no place for them.
#[derive(Clone)]
pub struct Store {
    executor: Executor,
    actor: Actor,
    tenant: String,
}

/// An aggregate under change.
#[derive(Debug)]
pub struct Changing<A> {
    id: String,
    stream: StreamId,
    expected: Expected,
    state: A,
}

impl<A: Decide> AggregateContext<A> for Changing<A> {
    fn aggregate(&mut self) -> &mut A {
        &mut self.state
    }
}

impl Store {
    /// Over a journal; what it records is caused by `actor` and belongs to `tenant`.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>, actor: Actor, tenant: impl Into<String>) -> Self {
        Self { executor: Executor::new(journal), actor, tenant: tenant.into() }
    }

    fn context<E: std::error::Error>(&self, given: &HashMap<String, String>) -> Result<Context, AggregateError<E>> {
        let mut context = Context {
            command: CommandId::from_uuid(Uuid::now_v7()),
            at: now(),
            actor: self.actor.clone(),
            tenant: self.tenant.clone(),
            correlation: Uuid::nil(),
            causation: None,
            subject: None,
            keeping: None,
        };
        let mut correlation = None;
        for (key, value) in given {
            match key.as_str() {
                "command" => context.command = CommandId::from_uuid(id(key, value)?),
                "correlation" => correlation = Some(id(key, value)?),
                "causation" => context.causation = Some(EventId::from_uuid(id(key, value)?)),
                "tenant" => context.tenant.clone_from(value),
                other => return Err(unexpected(format!("the journal's envelope has no place for metadata `{other}`"))),
            }
        }
        context.correlation = correlation.unwrap_or_else(|| context.command.as_uuid());
        Ok(context)
    }
}

impl<A: Decide> EventStore<A> for Store {
    type AC = Changing<A>;

    async fn load_events(&self, aggregate_id: &str) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        const PAGE: usize = 1000;
        let stream = stream::<A>(aggregate_id)?;
        let mut envelopes = Vec::new();
        loop {
            let from = u64::try_from(envelopes.len()).unwrap_or(u64::MAX);
            let page = self.executor.journal().read_stream(stream, from, PAGE).await.map_err(read_error)?;
            let full = page.len() == PAGE;
            for event in page {
                envelopes.push(envelope(aggregate_id, &event)?);
            }
            if !full {
                return Ok(envelopes);
            }
        }
    }

    async fn load_aggregate(&self, aggregate_id: &str) -> Result<Changing<A>, AggregateError<A::Error>> {
        let stream = stream::<A>(aggregate_id)?;
        let loaded: Loaded<A> = self.executor.load(stream).await.map_err(read_error)?;
        let expected = loaded.expected();
        let state = Arc::unwrap_or_clone(loaded.state);
        Ok(Changing { id: aggregate_id.to_owned(), stream, expected, state })
    }

    async fn commit(
        &self,
        events: Vec<A::Event>,
        context: Changing<A>,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let Changing { id, stream, expected, .. } = context;
        let context = self.context(&metadata)?;
        let first = match expected {
            Expected::Exact(revision) => revision + 1,
            _ => 0,
        };
        let written = Metadata {
            actor: context.actor.clone(),
            tenant: context.tenant.clone(),
            correlation: context.correlation,
            causation: context.causation,
            command: context.command,
        };
        let append = Append {
            streams: vec![StreamAppend { stream, expected, events: events.iter().cloned().map(Into::into).collect() }],
            context,
            remember: false,
        };
        self.executor.journal().append(append).await.map_err(|error| match error {
            AppendError::Conflict { .. } | AppendError::Unfounded { .. } => AggregateError::AggregateConflict,
            AppendError::Invalid(what) => unexpected(what),
            other => AggregateError::DatabaseConnectionError(Box::new(other)),
        })?;
        let metadata = texts(&written);
        Ok((first..)
            .zip(events)
            .map(|(revision, payload)| EventEnvelope {
                aggregate_id: id.clone(),
                sequence: sequence(revision),
                payload,
                metadata: metadata.clone(),
            })
            .collect())
    }
}

fn stream<A: Decide>(aggregate_id: &str) -> Result<StreamId, AggregateError<A::Error>> {
    Ok(StreamId { category: A::CATEGORY, id: id("aggregate id", aggregate_id)? })
}

fn envelope<A: Decide>(
    aggregate_id: &str,
    recorded: &RecordedEvent,
) -> Result<EventEnvelope<A>, AggregateError<A::Error>> {
    let event = recorded.event().map_err(|error| AggregateError::DeserializationError(Box::new(error)))?;
    let payload = A::own(event.clone()).map_err(|other| {
        let what = format!("`{}` does not belong into stream {}", other.name(), recorded.stream);
        AggregateError::DeserializationError(what.into())
    })?;
    Ok(EventEnvelope {
        aggregate_id: aggregate_id.to_owned(),
        sequence: sequence(recorded.revision),
        payload,
        metadata: texts(&recorded.metadata),
    })
}

fn sequence(revision: u64) -> usize {
    usize::try_from(revision).unwrap_or(usize::MAX).saturating_add(1)
}

fn texts(metadata: &Metadata) -> HashMap<String, String> {
    let Metadata { actor, tenant, correlation, causation, command } = metadata;
    let mut texts = HashMap::from([
        ("actor".to_owned(), actor.to_string()),
        ("tenant".to_owned(), tenant.clone()),
        ("correlation".to_owned(), correlation.to_string()),
        ("command".to_owned(), command.to_string()),
    ]);
    if let Some(causation) = causation {
        texts.insert("causation".to_owned(), causation.to_string());
    }
    texts
}

fn id<E: std::error::Error>(what: &str, text: &str) -> Result<Uuid, AggregateError<E>> {
    Uuid::from_str(text).map_err(|error| unexpected(format!("the {what} `{text}` is no UUID: {error}")))
}

fn unexpected<E: std::error::Error>(what: String) -> AggregateError<E> {
    AggregateError::UnexpectedError(what.into())
}

fn read_error<E: std::error::Error>(error: ReadError) -> AggregateError<E> {
    match error {
        ReadError::Damaged { .. } => AggregateError::DeserializationError(Box::new(error)),
        other => AggregateError::DatabaseConnectionError(Box::new(other)),
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(0).plus(since)
}
