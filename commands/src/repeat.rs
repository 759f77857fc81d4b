//! Commands of many appends, and how their repetition is known as one.
//!
//! The first append is recorded under the command's own id, and each further one under an id that follows from that and
//! from what the append is about. So whoever repeats the command finds what each part of it came to, on every node and
//! after every restart; what was interrupted goes on, and what was not is only answered again.

use std::sync::Arc;

use domain::{CommandId, Decide, StreamId};
use journal::{Loaded, Position, RecordedEvent};
use uuid::{Builder, Uuid};

use crate::{Commands, Error, Refused, Request};

impl Request {
    /// The same request, told by its correlation from every other one under the same id: it follows from the caller, the
    /// command's id and all that is asked. Nothing changes without an id, because then nothing is repeated.
    #[must_use]
    pub fn asking(mut self, asked: &[&[u8]]) -> Self {
        let Some(command) = self.command else { return self };
        let mut hasher = blake3::Hasher::new_derive_key("hishamos 2026 correlation id of a command and what it asks");
        let (actor, id) = (self.actor.to_string(), command.as_uuid());
        let named: [&[u8]; 2] = [actor.as_bytes(), id.as_bytes()];
        for part in named.iter().chain(asked) {
            hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes()).update(part);
        }
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        let correlation = Builder::from_custom_bytes(bytes).into_uuid();
        tracing::debug!(%correlation, "the request has a command id, and this is what the journal knows it by");
        self.correlation = Some(correlation);
        self
    }

    /// The request for a part of what a command asks: always of the same id for both, so that a repetition is known as
    /// one. A command without an id has parts without one.
    #[must_use]
    pub fn part(&self, about: Uuid) -> Self {
        let mixed = self.command.map(|command| {
            // Both hold enough chance of their own; rotating keeps one from cancelling the other out.
            let mixed = command.as_uuid().as_u128().rotate_left(61) ^ about.as_u128();
            CommandId::from_uuid(Builder::from_custom_bytes(mixed.to_be_bytes()).into_uuid())
        });
        Self { command: mixed, ..self.clone() }
    }
}

impl Commands {
    /// The last event that was recorded under the request's command id; nothing when it has none, or nothing was.
    ///
    /// # Errors
    /// `IDEMPOTENCY_KEY_REUSED` when it was recorded for another request.
    pub(crate) async fn recorded_for(&self, request: &Request) -> Result<Option<Arc<RecordedEvent>>, Error> {
        let Some(command) = request.command else { return Ok(None) };
        let journal = self.executor.journal();
        let Some(first) = journal.find_command(command).await? else { return Ok(None) };
        let recorded = match first.heads.last() {
            Some((stream, revision)) => journal.read_stream(*stream, *revision, 1).await?.pop(),
            None => None,
        };
        let wanted = request.correlation.unwrap_or(command.as_uuid());
        match recorded {
            Some(recorded) if recorded.metadata.correlation == wanted => Ok(Some(recorded)),
            Some(_) | None => Err(Refused::CommandReused(command).into()),
        }
    }

    /// An aggregate as it was before a position.
    pub(crate) async fn load_before<A: Decide>(&self, stream: StreamId, before: Position) -> Result<Loaded<A>, Error> {
        const PAGE: usize = 1000;
        let (mut last, mut next) = (None, 0);
        loop {
            let page = self.executor.journal().read_stream(stream, next, PAGE).await?;
            let earlier = page.iter().rev().find(|event| event.position < before);
            last = earlier.map(|event| event.revision).or(last);
            if page.len() < PAGE || page.last().is_some_and(|event| event.position >= before) {
                break;
            }
            next = page.last().map_or(next, |event| event.revision + 1);
        }
        match last {
            Some(revision) => Ok(self.executor.load_at(stream, revision).await?),
            None => Ok(Loaded::default()),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use domain::Actor;

    use super::*;

    fn request(command: Option<u128>) -> Request {
        let command = command.map(|id| CommandId::from_uuid(Uuid::from_u128(id)));
        Request { command, ..Request::by(Actor::person("ada")) }
    }

    #[test]
    fn parts_of_a_command_are_told_apart_and_always_the_same() {
        let whole = request(Some(7));
        let [one, other] = [1, 2].map(|about| whole.part(Uuid::from_u128(about)).command.unwrap());
        assert_eq!(whole.part(Uuid::from_u128(1)).command, Some(one));
        assert!(one != other && Some(one) != whole.command);
        assert_ne!(request(Some(8)).part(Uuid::from_u128(1)).command, Some(one));
        assert_eq!(request(None).part(Uuid::from_u128(1)).command, None);
    }

    #[test]
    fn another_request_under_the_same_id_has_another_correlation() {
        let asked = |id, parts: &[&[u8]]| request(id).asking(parts).correlation;
        assert_eq!(asked(Some(7), &[b"a", b"b"]), asked(Some(7), &[b"a", b"b"]));
        for other in [asked(Some(7), &[b"ab"]), asked(Some(7), &[b"b", b"a"]), asked(Some(8), &[b"a", b"b"])] {
            assert_ne!(asked(Some(7), &[b"a", b"b"]), other);
        }
        let somebody_else = Request { actor: Actor::person("bob"), ..request(Some(7)) }.asking(&[b"a", b"b"]);
        assert_ne!(asked(Some(7), &[b"a", b"b"]), somebody_else.correlation);
        assert_eq!(asked(None, &[b"a"]), None);
    }
}
