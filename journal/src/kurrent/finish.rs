//! What others began, or this process before: looking up the answers of commands in their notes, and finishing what is
//! half-written.

use std::time::Instant;

use domain::StreamId;
use uuid::Uuid;

use super::envelope::{self, Note, Part};
use super::halves::Half;
use super::writer::{Core, Effort, Key, Written, unavailable};
use crate::{AppendError, Appended};

/// How many notes about one command are looked through.
const NOTES: usize = 64;

impl Core {
    /// The answer that a command got, looked up in its notes. One that is noted but not finished is finished first.
    pub(super) async fn find(&self, command: Uuid, until: Instant) -> Result<Option<Appended>, AppendError> {
        let _held = self.locks.lock(vec![Key::Command(command)]).await;
        self.first(Some(command), until).await
    }

    pub(super) async fn first(&self, command: Option<Uuid>, until: Instant) -> Result<Option<Appended>, AppendError> {
        let Some(command) = command else { return Ok(None) };
        if let Some(first) = self.answers.lock().get(&command) {
            return Ok(Some(first.again()));
        }
        let name = self.names.command(command);
        let notes = self.patiently(until, || self.connection.read_back(&name, NOTES)).await?;
        for (age, event) in notes.iter().enumerate() {
            let note = envelope::read_note(event).map_err(unavailable)?;
            let mut found = self.noted(&note, until).await?;
            // Only the newest can be unfinished: whoever made it has seen that the older ones came to nothing.
            if found.is_none() && age == 0 {
                self.finish(&note.rest, until).await?;
                found = self.noted(&note, until).await?;
            }
            if let Some(first) = found {
                self.answers.lock().put(command, first.clone());
                self.feed.recorded(first.position);
                return Ok(Some(first));
            }
        }
        Ok(None)
    }

    /// Whether the event that a note speaks of is there.
    async fn noted(&self, note: &Note, until: Instant) -> Result<Option<Appended>, AppendError> {
        let there = self.patiently(until, || self.connection.read(&note.stream, note.revision, 1)).await?;
        let Some(event) = there.into_iter().find(|event| event.id == note.id) else { return Ok(None) };
        let event = envelope::recorded(&self.names, event).map_err(unavailable)?;
        let heads = vec![(event.stream, event.revision)];
        Ok(Some(Appended { position: event.position, heads, repeated: true }))
    }

    /// How many notes there are about a command.
    pub(super) async fn notes(&self, command: Option<Uuid>, until: Instant) -> Result<u64, AppendError> {
        let Some(command) = command else { return Ok(0) };
        let name = self.names.command(command);
        let last = self.patiently(until, || self.connection.read_back(&name, 1)).await?;
        Ok(last.first().map_or(0, |event| event.revision + 1))
    }

    /// Writes what is left of an append; whether it is whole now.
    async fn finish(&self, rest: &[Part], until: Instant) -> Result<bool, AppendError> {
        match self.write_all(rest, 0, until, &mut Effort::steady()).await? {
            Written::Whole(_) => Ok(true),
            Written::Taken(_) | Written::Stale => Ok(false),
        }
    }

    /// Finishes appends that somebody left half-written; whether all of them are settled.
    pub(super) async fn finish_halves(&self, halves: Vec<(Uuid, Half)>, until: Instant) -> bool {
        let mut settled = true;
        for (last, half) in halves {
            match self.finish(&half.rest, until).await {
                Ok(true) => {
                    metrics::counter!("journal_finished_appends_total").increment(1);
                    tracing::info!(parts = half.rest.len(), "finished an append that was half-written");
                    self.halves.forget(last);
                }
                Ok(false) => {
                    tracing::debug!("an append was given up by its writer, because others were faster");
                    self.halves.forget(last);
                }
                Err(error) => {
                    tracing::warn!(%error, "an append stays half-written for now");
                    settled = false;
                }
            }
        }
        settled
    }

    /// Whether anything was found that may make a conflict look different.
    pub(super) async fn finish_touching(&self, streams: &[StreamId], until: Instant) -> bool {
        let names: Vec<String> = streams.iter().map(|stream| self.names.stream(*stream)).collect();
        let halves = self.halves.touching(&names);
        !halves.is_empty() && self.finish_halves(halves, until).await
    }
}
