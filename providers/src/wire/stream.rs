use serde_json::Value;

use super::{Answer, Draft, error, sse};
use crate::{Consumed, Failure, FailureKind, Usage};

/// What a family makes of an answer: of one that comes whole, or of the events of a stream.
pub trait Fold {
    /// Takes what an answer or an event tells of the model, the usage and the charge, if it does.
    fn account(&self, value: &Value, draft: &mut Draft);

    /// Takes the rest of an answer that came whole and reports no error.
    ///
    /// # Errors
    /// When it makes no sense, or says itself that it failed.
    fn whole(&mut self, value: &Value, draft: &mut Draft) -> Result<(), Failure>;

    /// Takes one event, whose data was JSON.
    ///
    /// # Errors
    /// When the event reports an error or makes no sense.
    fn event(&mut self, name: &str, value: Value, draft: &mut Draft) -> Result<Progress, Failure>;

    /// What `data: [DONE]` means; nothing, unless it is how the family ends its streams.
    fn sentinel(&mut self) -> Progress {
        Progress::More
    }

    /// Whether the answer is whole when the bytes end without the family's last event. Only for a family that has
    /// none.
    fn whole_at_end(&self, _draft: &Draft) -> bool {
        false
    }

    /// Puts what was gathered into the draft, once the stream is whole.
    ///
    /// # Errors
    /// When what was gathered makes no answer.
    fn close(&mut self, _draft: &mut Draft) -> Result<(), Failure> {
        Ok(())
    }

    /// What the family's account of the usage means.
    fn usage(&self, raw: &Value) -> Usage;
}

/// Whether more belongs to the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It goes on.
    More,
    /// That was the end.
    Done,
}

/// Reads an answer as it is streamed, whatever its family.
pub trait Decode: Send {
    /// Takes more bytes.
    ///
    /// # Errors
    /// When the stream reports an error or makes no sense. Pieces that came before it can still be taken.
    fn push(&mut self, bytes: &[u8]) -> Result<(), Failure>;

    /// Tells that no more bytes will come. Some servers leave out the empty line after their last event; the event
    /// counts all the same if its last line is whole.
    ///
    /// # Errors
    /// As for [`push`](Self::push).
    fn end(&mut self) -> Result<(), Failure> {
        // The end of an empty line ends an event, and that of an unfinished line does not.
        self.push(b"\n")
    }

    /// The next piece of text, never empty.
    fn piece(&mut self) -> Option<String>;

    /// Whether the end came.
    fn done(&self) -> bool;

    /// What was used so far.
    fn consumed(&self) -> Consumed;

    /// The whole answer, once no more bytes will come.
    ///
    /// # Errors
    /// `MalformedReply` when the answer ended in the middle; the failure tells what was used.
    fn finish(self: Box<Self>) -> Result<Answer, Failure>;
}

/// Reads the streamed answers of one family.
#[derive(Debug)]
pub struct StreamDecoder<F> {
    events: sse::Decoder,
    fold: F,
    draft: Draft,
    done: bool,
}

impl<F: Fold + Send> StreamDecoder<F> {
    /// A decoder for an answer of at most `limit` bytes.
    #[must_use]
    pub fn new(fold: F, limit: usize) -> Self {
        Self { events: sse::Decoder::new(limit), fold, draft: Draft::new(limit), done: false }
    }

    fn event(&mut self, event: &sse::Event) -> Result<(), Failure> {
        let data = event.data.trim();
        let progress = match data {
            "" => Progress::More,
            "[DONE]" => self.fold.sentinel(),
            data => {
                let value = serde_json::from_str(data).map_err(|error| {
                    Failure::malformed(format!("an event of the stream is not the expected JSON: {error}"))
                })?;
                self.fold.event(&event.name, value, &mut self.draft)?
            }
        };
        self.done = progress == Progress::Done;
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let (events, too_long) = self.events.push(bytes);
        for event in events {
            // What follows the end is not part of the answer.
            if self.done {
                return Ok(());
            }
            self.event(&event)?;
        }
        match too_long {
            Some(error) if !self.done => Err(Failure::malformed(error.to_string())),
            _ => Ok(()),
        }
    }

    fn close(mut self) -> Result<Answer, Failure> {
        if !self.done && !self.fold.whole_at_end(&self.draft) {
            let came = self.draft.text().len();
            let cut = Failure::malformed(format!("the stream broke off after {came} bytes of text"));
            return Err(cut.with_consumed(self.consumed()));
        }
        let closed = self.fold.close(&mut self.draft);
        self.draft.conclude(closed, |raw| self.fold.usage(raw))
    }
}

impl<F: Fold + Send> Decode for StreamDecoder<F> {
    fn push(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.take(bytes).map_err(|failure| failure.with_consumed(self.consumed()))
    }

    fn piece(&mut self) -> Option<String> {
        self.draft.piece()
    }

    fn done(&self) -> bool {
        self.done
    }

    fn consumed(&self) -> Consumed {
        self.draft.consumed(|raw| self.fold.usage(raw))
    }

    fn finish(self: Box<Self>) -> Result<Answer, Failure> {
        self.close()
    }
}

/// Reads the whole body of an answer that was not streamed.
///
/// # Errors
/// `MalformedReply` when it is no complete answer; what the error says that some servers send under a status of success
/// instead. Either way the failure tells what was used, as far as the body does.
pub fn whole_body(bytes: &[u8], mut fold: impl Fold) -> Result<Answer, Failure> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| Failure::malformed(format!("the answer is not the expected JSON: {error}")))?;
    let mut draft = Draft::new(usize::MAX);
    fold.account(&value, &mut draft);
    if let Some(error) = reported(&value) {
        let failure = error::in_reply(error);
        // An error that accounts for nothing came before anything was done.
        let told = draft.usage.is_some();
        return Err(if told { failure.with_consumed(draft.consumed(|raw| fold.usage(raw))) } else { failure });
    }
    let read = fold.whole(&value, &mut draft).and_then(|()| fold.close(&mut draft));
    draft.conclude(read, |raw| fold.usage(raw))
}

/// The error that an event or answer reports.
pub(crate) fn reported(value: &Value) -> Option<&Value> {
    value.get("error").filter(|error| !error.is_null())
}

/// Text that the platform gives a word for, such as `model`.
pub(crate) fn word(value: &Value, path: &str) -> Option<String> {
    value.pointer(path).and_then(Value::as_str).filter(|word| !word.is_empty()).map(str::to_owned)
}

/// A figure of a usage account; `None` when it is not there.
pub(crate) fn count(value: &Value, path: &str) -> Option<u64> {
    value.pointer(path).and_then(Value::as_u64)
}

/// The sum of figures of which each may be missing, and `None` when the first is: without it the rest is no whole.
pub(crate) fn whole(first: Option<u64>, rest: impl IntoIterator<Item = Option<u64>>) -> Option<u64> {
    rest.into_iter().flatten().try_fold(first?, u64::checked_add)
}

/// A number of US dollars as billionths, if it can be a charge at all.
pub(crate) fn nano_usd(dollars: f64) -> Option<i64> {
    // Up to the limit every whole nano-dollar is exact in an f64, and no sane charge is above it.
    (0.0..=1e6).contains(&dollars).then(|| (dollars * 1e9).round() as i64)
}

/// Adds a member when there is something to say.
pub(crate) fn put(body: &mut serde_json::Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), value);
    }
}

/// A number in thousandths, as JSON.
pub(crate) fn thousandths(value: impl Into<f64>) -> Value {
    Value::from(value.into() / 1000.0)
}

/// The answer was asked for by a request that the family has no words for.
pub(crate) fn unsupported(family: &str, what: &str) -> Failure {
    Failure::new(FailureKind::InvalidRequest, format!("{family} has no {what}"))
}
