//! Questions about the past: `asOf`, and how everything beneath such a question is answered of that moment too.
//!
//! A question about the past is folded from the journal by [`Past`]. Its loaders are kept under the name that the
//! question has in the answer, and whatever is asked beneath finds them by the first name of its own path. So nothing
//! that is shown has to know of which moment it is, and one answer may hold several moments.

use std::sync::{Arc, PoisonError, RwLock};

use async_graphql::{Context, OneofObject, QueryPathSegment, Request, Result};
use domain::Timestamp;
use journal::Journal;
use projections::{Past, Queries};

use crate::failure::{self, Caller};
use crate::loader::Loaders;
use crate::mutation::commands;
use crate::query::{journal, queries, wait_for};
use crate::scalar::{DateTime, Position};

/// Of which moment an answer is to be. What had not happened yet is not there, and everything beneath is of the same
/// moment.
#[derive(Debug, Clone, Copy, OneofObject)]
pub(crate) enum AsOf {
    /// Everything up to and including the event at this position.
    Position(Position),
    /// Everything that was recorded before the first event that was recorded after this moment.
    Time(DateTime),
}

/// The moments that a request asks about, by the names that the questions have in the answer.
#[derive(Clone, Default)]
struct Moments(Arc<RwLock<Vec<(String, Loaders)>>>);

impl Caller {
    /// Makes a request this caller's, and able to ask about the past.
    #[must_use]
    pub fn asks(self, request: Request) -> Request {
        request.data(self).data(Moments::default())
    }
}

/// What a question is answered from.
pub(crate) struct View {
    /// The batched reads.
    pub(crate) loaders: Loaders,
    /// The position that the answer reflects: exactly, of the past, else at least.
    pub(crate) position: journal::Position,
}

impl View {
    /// The past, when the question is about it.
    pub(crate) fn past(&self) -> Option<&Arc<Past>> {
        self.loaders.past()
    }
}

/// Opens the moment that a question is about: waits for what the caller wants to see, and keeps the past for whatever
/// is asked beneath.
pub(crate) async fn open(context: &Context<'_>, wanted: Option<Position>, as_of: Option<AsOf>) -> Result<View> {
    let position = crate::query::fresh(context, wanted).await?;
    let Some(as_of) = as_of else {
        return Ok(View { loaders: context.data::<Loaders>()?.clone(), position });
    };
    let (journal, queries) = (journal(context)?, queries(context)?);
    let position = resolve(context, journal, queries, as_of).await?;
    let past = past(context, position)?;
    crate::reflected::tell(context, position);
    let past = match as_of {
        AsOf::Time(DateTime(moment)) => past.as_of(moment.as_micros()),
        AsOf::Position(_) => past,
    };
    Ok(View { loaders: keep(context, past)?, position })
}

/// Everything asked beneath the question above is from now on answered as of a position that the journal has reached.
pub(crate) fn at(context: &Context<'_>, position: journal::Position) -> Result<Loaders> {
    keep(context, past(context, position)?)
}

fn past(context: &Context<'_>, position: journal::Position) -> Result<Past> {
    Ok(Past::new(Arc::clone(journal(context)?), queries(context)?.clone(), position))
}

/// Keeps the past for whatever is asked beneath the question above.
fn keep(context: &Context<'_>, past: Past) -> Result<Loaders> {
    let loaders = Loaders::of_past(Arc::new(past));
    if let Some(name) = question(context) {
        let mut moments = context.data::<Moments>()?.0.write().unwrap_or_else(PoisonError::into_inner);
        // The same question is asked again for every answer of a subscription.
        moments.retain(|(known, _)| known != name);
        moments.push((name.to_owned(), loaders.clone()));
    }
    Ok(loaders)
}

/// The position that is asked about. The read models, which know what there is, have reached it afterwards.
async fn resolve(
    context: &Context<'_>,
    journal: &Arc<dyn Journal>,
    queries: &Queries,
    as_of: AsOf,
) -> Result<journal::Position> {
    let correlation = Caller::of(context)?.correlation;
    let head = journal.head().await.map_err(|error| failure::read(correlation, &error))?;
    let position = match as_of {
        AsOf::Position(Position(position)) if position > head => {
            let message = format!("position {position} is yet to come; the journal ends at {head}");
            return Err(failure::invalid(message));
        }
        AsOf::Position(Position(position)) => position,
        AsOf::Time(DateTime(moment)) if moment > ::commands::now() => {
            return Err(failure::invalid("that moment is yet to come"));
        }
        AsOf::Time(DateTime(moment)) => {
            crate::query::reach(context, "moments", Some(head.into())).await?;
            wait_for(context, head).await?;
            let found = queries.position_at(&**journal, moment.as_micros()).await;
            return found.map_err(|error| failure::query(context, &error));
        }
    };
    wait_for(context, position).await?;
    Ok(position)
}

/// The loaders of the moment that the question above is about; nothing for the present.
pub(crate) fn above(context: &Context<'_>) -> Option<Loaders> {
    let moments = context.data_opt::<Moments>()?.0.read().unwrap_or_else(PoisonError::into_inner);
    if moments.is_empty() {
        return None;
    }
    let name = question(context)?;
    moments.iter().find(|(known, _)| known == name).map(|(_, loaders)| loaders.clone())
}

/// The past that the question above is about; nothing for the present.
pub(crate) fn past_above(context: &Context<'_>) -> Option<Arc<Past>> {
    above(context)?.past().cloned()
}

/// The name that the question above has in the answer: the first of the path.
fn question<'a>(context: &'a Context<'_>) -> Option<&'a str> {
    let mut node = context.path_node.as_ref()?;
    while let Some(parent) = node.parent {
        node = parent;
    }
    match node.segment {
        QueryPathSegment::Name(name) => Some(name),
        QueryPathSegment::Index(_) => None,
    }
}

/// How long a day is, in microseconds.
const DAY: i64 = 86_400_000_000;

/// The day in UTC, counted from 1970-01-01, of the moment that the question above is about.
pub(crate) async fn day(context: &Context<'_>) -> Result<i64> {
    Ok(moment(context).await?.as_micros().div_euclid(DAY))
}

/// The moment that the question above is about.
pub(crate) async fn moment(context: &Context<'_>) -> Result<Timestamp> {
    let asked = match past_above(context) {
        Some(past) => past.moment().await.map_err(|error| failure::query(context, &error))?,
        None => None,
    };
    match asked {
        Some(micros) => Ok(Timestamp::from_micros(micros)),
        None => Ok(commands(context)?.surroundings().now()),
    }
}
