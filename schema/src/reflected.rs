//! Which position a whole answer reflects, for `extensions.position`.
//!
//! Every question says which position it reflects before it reads: of what it reads from the read models, the one that these
//! had reached by then. The answer as a whole reflects the least of them. What is read straight from the journal holds
//! whatever had been recorded when it was read, so a question that says nothing reflects at least what this node had seen
//! of the journal when the request came. An answer to commands says up to where what they recorded reaches.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use async_graphql::{Context, QueryPathSegment, Request, Response, Result, Value};
use journal::Position;
use tokio::sync::{Mutex, OnceCell};

use crate::failure;
use crate::query::{queries, wait_for_one};

/// The name of the position among an answer's extensions.
const NAME: &str = "position";

/// What the answer to questions reflects.
#[derive(Clone)]
pub(crate) struct Reflected(Arc<Reading>);

struct Reading {
    /// What this node had seen of the journal when the request came.
    seen: Position,
    /// What the questions wait for, at most; nothing when it is the start.
    wanted: AtomicU64,
    /// What all read models reflected, save those that answer for themselves, when one of them was first needed.
    together: OnceCell<Position>,
    /// What those that answer for themselves reflected, when they were first needed.
    apart: Mutex<HashMap<&'static str, Position>>,
    told: std::sync::Mutex<Told>,
}

#[derive(Default)]
struct Told {
    /// The least position that any part of the answer reflects.
    least: Option<Position>,
    /// The questions that have said what they reflect, by their names in the answer.
    questions: HashSet<String>,
}

impl Reflected {
    /// Lets the questions of a request say what they reflect.
    pub(crate) fn begin(request: Request, seen: Position) -> (Request, Self) {
        let reading = Reading {
            seen,
            wanted: AtomicU64::new(0),
            together: OnceCell::new(),
            apart: Mutex::new(HashMap::new()),
            told: std::sync::Mutex::new(Told::default()),
        };
        let reflected = Self(Arc::new(reading));
        (request.data(reflected.clone()), reflected)
    }

    /// Writes into the answer what it reflects at least.
    pub(crate) fn write(&self, response: &mut Response) {
        let Value::Object(fields) = &response.data else { return };
        let told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        // What GraphQL knows of itself reflects nothing.
        let mut silent =
            fields.keys().filter(|name| !name.starts_with("__") && !told.questions.contains(name.as_str()));
        let journal = silent.next().map(|_| self.0.seen);
        let least = told.least.into_iter().chain(journal).min().unwrap_or(self.0.seen);
        response.extensions.insert(NAME.to_owned(), Value::String(least.to_string()));
    }

    fn of<'a>(context: &Context<'a>) -> Option<&'a Reading> {
        context.data_opt::<Self>().map(|reflected| &*reflected.0)
    }
}

/// The position that all read models reflect at least, save those that answer for themselves; each request asks once.
pub(crate) async fn together(context: &Context<'_>) -> Result<Position> {
    let ask = async || queries(context)?.position().await.map_err(|error| failure::query(context, &error));
    match Reflected::of(context) {
        Some(reading) => reading.together.get_or_try_init(ask).await.copied(),
        None => ask().await,
    }
}

/// The part of the answer that is about to be read reflects this position at least.
pub(crate) fn tell(context: &Context<'_>, position: Position) {
    let Some(reading) = Reflected::of(context) else { return };
    let mut told = reading.told.lock().unwrap_or_else(PoisonError::into_inner);
    told.least = Some(told.least.map_or(position, |least| least.min(position)));
    if let Some(node) = context.path_node.as_ref()
        && node.parent.is_none()
        && let QueryPathSegment::Name(name) = node.segment
        && !told.questions.contains(name)
    {
        told.questions.insert(name.to_owned());
    }
}

/// A question wants this position to be reflected: also by what beneath it is of read models that answer for themselves.
pub(crate) fn wants(context: &Context<'_>, position: Position) {
    if let Some(reading) = Reflected::of(context) {
        reading.wanted.fetch_max(position.as_u64(), Ordering::AcqRel);
    }
}

/// The part of the answer that is about to be read is of a read model that answers for itself: as that stands, when it has
/// reached what the question wants.
pub(crate) async fn rests_on(context: &Context<'_>, name: &'static str) -> Result<()> {
    let Some(reading) = Reflected::of(context) else { return Ok(()) };
    let mut apart = reading.apart.lock().await;
    let position = match apart.get(name) {
        Some(position) => *position,
        None => {
            let wanted = reading.wanted.load(Ordering::Acquire);
            if wanted > 0 {
                wait_for_one(context, name, Position::from_u64(wanted)).await?;
            }
            let position = queries(context)?.position_of(name).await;
            let position = position.map_err(|error| failure::query(context, &error))?;
            apart.insert(name, position);
            position
        }
    };
    tell(context, position);
    Ok(())
}

/// How far what the commands of a request have recorded reaches.
#[derive(Clone, Default)]
pub(crate) struct Recorded(Arc<AtomicU64>);

impl Recorded {
    /// Lets the commands of a request say what they recorded.
    pub(crate) fn begin(request: Request) -> (Request, Self) {
        let recorded = Self::default();
        (request.data(recorded.clone()), recorded)
    }

    /// Writes into the answer how far it reaches; nothing when no command was carried out.
    pub(crate) fn write(&self, response: &mut Response) {
        let position = self.0.load(Ordering::Acquire);
        if position > 0 {
            let position = Position::from_u64(position).to_string();
            response.extensions.insert(NAME.to_owned(), Value::String(position));
        }
    }
}

/// The position that contains the effect of a command, which the answer names among its extensions, too.
pub(crate) fn recorded(context: &Context<'_>, position: Position) -> crate::scalar::Position {
    if let Some(recorded) = context.data_opt::<Recorded>() {
        recorded.0.fetch_max(position.as_u64(), Ordering::AcqRel);
    }
    position.into()
}
