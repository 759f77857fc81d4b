//! Questions about the past.

use std::sync::Arc;

use journal::Position;
use projections::Past;

use crate::{Call, Problem};

/// How long a day is, in microseconds.
const DAY: i64 = 86_400_000_000;

/// The past as of what somebody names: a position, which has digits alone, or a moment in RFC 3339. The read models, which
/// know what there is, have reached it.
pub(crate) async fn past(call: &Call, named: &str) -> Result<Past, Problem> {
    let (journal, queries) = (call.api.journal(), call.api.queries());
    let read = |error| Problem::read(call.correlation, &error);
    let head = journal.head().await.map_err(read)?;
    let told = |position| Past::new(Arc::clone(journal), queries.clone(), position);
    if !named.is_empty() && named.bytes().all(|byte| byte.is_ascii_digit()) {
        let position = named.parse().map(Position::from_u64).ok().filter(|position| *position <= head);
        let yet = || Problem::invalid(format!("position {named} is yet to come; the journal ends at {head}"));
        let position = position.ok_or_else(yet)?;
        call.fresh(Some(position.as_u64())).await?;
        return Ok(told(position));
    }
    let wrong = |error| Problem::invalid(format!("`asOf` is no position and no moment in RFC 3339: {error}"));
    let moment = named.parse::<jiff::Timestamp>().map_err(wrong)?.as_microsecond();
    if moment > call.api.commands().surroundings().now().as_micros() {
        return Err(Problem::invalid("`asOf` is yet to come"));
    }
    let queried = |error: projections::Error| Problem::query(call.correlation, &error);
    queries.wait_for_one("moments", head, call.api.options().freshness).await.map_err(queried)?;
    call.fresh(Some(head.as_u64())).await?;
    let position = queries.position_at(&**journal, moment).await.map_err(queried)?;
    Ok(told(position).as_of(moment))
}

/// The past that is asked about, when it is.
pub(crate) async fn opened(call: &Call, named: Option<&str>) -> Result<Option<Past>, Problem> {
    match named {
        Some(named) => Ok(Some(past(call, named).await?)),
        None => Ok(None),
    }
}

/// Today in UTC, counted from 1970-01-01; of the past, the day of that moment.
pub(crate) async fn day(call: &Call, past: Option<&Past>) -> Result<i64, Problem> {
    let then = match past {
        Some(past) => past.moment().await.map_err(|error| Problem::query(call.correlation, &error))?,
        None => None,
    };
    Ok(then.unwrap_or_else(|| call.api.commands().surroundings().now().as_micros()).div_euclid(DAY))
}
