//! Recording what was refused: who asked, what for, and by which code.
//!
//! Invariants: whoever was refused never waits for the record of it; a flood of refusals is counted instead of recorded
//! one by one, so it cannot fill the journal; nothing is recorded of what was sent, nor of the message that was
//! answered, because that may repeat what was sent.

mod gate;
mod service;

use domain::denial::{Denied, DeniedMore};
use domain::{Actor, DenialEvent, Denials, Event};
use journal::{Append, AppendError, Context, Expected, StreamAppend};
use uuid::Uuid;

pub use service::{Handle, Options, Service};

use crate::{Commands, Request};

/// Longer words are cut, in characters.
const LONGEST: usize = 120;

/// Something that was asked for and refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Who asked; `system:server` when whoever it was is not believed.
    pub by: Actor,
    /// Under which id the log knows the request.
    pub correlation: Option<Uuid>,
    /// What for: a command's name, or the method and route of a request.
    pub action: String,
    /// What it was asked of, where the request named it: anything else than a key or an id is left out.
    pub on: Option<String>,
    /// By which stable code it was refused.
    pub code: String,
    /// The origin of the web page that made a browser ask: anything else is left out.
    pub from: Option<String>,
}

impl Denial {
    /// The actor for requests whose sender is not believed.
    #[must_use]
    pub fn unknown() -> Actor {
        Actor::system("server")
    }
}

impl Commands {
    /// Records a refusal and waits until that is done; for callers that end right after it. A running server uses
    /// [`Service`] instead.
    ///
    /// # Errors
    /// When the journal fails.
    pub async fn record_denial(&self, denial: Denial) -> Result<(), crate::Error> {
        let at = self.surroundings.now();
        let Denial { by, correlation, action, on, code, from } = denial;
        let event = DenialEvent::Recorded(Denied {
            action: cut(&action),
            on: on.filter(|on| is_name(on)),
            code: cut(&code),
            from: from.filter(|from| is_origin(from)),
            at,
        });
        Ok(self.append_denial(by, correlation, event, at).await?)
    }

    async fn count_denials(&self, more: DeniedMore) -> Result<(), AppendError> {
        let at = more.until;
        self.append_denial(Actor::system("denials"), None, DenialEvent::Counted(more), at).await
    }

    /// Nothing depends on what stands before it in its stream, so nothing has to be loaded, and nobody is in the way.
    async fn append_denial(
        &self,
        actor: Actor,
        correlation: Option<Uuid>,
        event: DenialEvent,
        at: domain::Timestamp,
    ) -> Result<(), AppendError> {
        let request = Request { correlation, ..Request::by(actor) };
        let (context, remember) = self.context(&request);
        let stream = Denials::stream(at);
        let stream = StreamAppend { stream, expected: Expected::Any, events: vec![Event::from(event)] };
        let context = Context { at, ..context };
        self.executor.journal().append(Append { streams: vec![stream], context, remember }).await.map(drop)
    }
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// Whether this is a key or an id, and not something else that somebody has put in its place.
fn is_name(text: &str) -> bool {
    text.parse::<domain::Key>().is_ok() || text.parse::<Uuid>().is_ok()
}

/// Whether this is the origin of a web page and nothing more: no path, no query, no name of a user.
fn is_origin(text: &str) -> bool {
    text.len() <= LONGEST
        && url::Url::parse(text).is_ok_and(|url| url.origin().is_tuple() && url.origin().ascii_serialization() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_and_origins_are_kept() {
        for kept in ["document-brief", "0199f0c2-0000-7000-8000-000000000001"] {
            assert!(is_name(kept), "{kept}");
        }
        for dropped in ["", "sk-ANT secret", "Ada Lovelace", "a/b", &"x".repeat(500)] {
            assert!(!is_name(dropped), "{dropped}");
        }
        for kept in ["https://evil.example", "http://localhost:3000"] {
            assert!(is_origin(kept), "{kept}");
        }
        for dropped in ["null", "", "https://evil.example/?token=1", "https://ada:secret@evil.example", "javascript:x"]
        {
            assert!(!is_origin(dropped), "{dropped}");
        }
        assert_eq!(cut(&"é".repeat(300)).chars().count(), LONGEST);
    }
}
