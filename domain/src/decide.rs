use std::error::Error;

use cqrs_es::Aggregate;

use crate::{Category, Event, StreamId, SubjectId};

/// A refusal: the command was understood and the rules say no. It is part of the API.
pub trait Refusal: Error + Send + Sync + 'static {
    /// A stable code in SCREAMING_SNAKE_CASE; every code has a page in docs/errors.
    fn code(&self) -> &'static str;
}

/// For aggregates that never refuse.
impl Refusal for std::convert::Infallible {
    fn code(&self) -> &'static str {
        match *self {}
    }
}

/// The pure heart of an aggregate.
pub trait Decide: Aggregate<Services = (), Error: Refusal, Event: Into<Event>> + Clone + 'static {
    /// The category of this aggregate's streams.
    const CATEGORY: Category;

    /// Decides what happens when `command` meets this state. No events means that the wish is
    /// already true.
    ///
    /// # Errors
    /// The typed refusal, when the rules forbid the command in this state.
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Error>;

    /// Takes this aggregate's event out of the sum of all events; the event comes back unchanged
    /// when it belongs to another aggregate.
    ///
    /// # Errors
    /// The event itself, when it is not this aggregate's.
    fn own(event: Event) -> Result<Self::Event, Box<Event>>;

    /// Whom this is about: what is personal in its events is recorded under that subject's key.
    #[must_use]
    fn subject(&self) -> Option<SubjectId> {
        None
    }

    /// Where the history before this event stands, when `event` is the first of a stream that takes over another
    /// stream of this aggregate: that stream, and the revision of the last event that is taken over. The event is
    /// applied to the state as of then.
    #[must_use]
    fn origin(_event: &Self::Event) -> Option<(StreamId, u64)> {
        None
    }
}

/// Implements cqrs-es' traits for an aggregate over its pure `decide` and `fold`; `origin` says which streams take over
/// others.
macro_rules! aggregate {
    ($state:ty, $command:ty, $event:ty, $refusal:ty, $variant:ident $(, origin = $origin:path)? $(, subject = $subject:path)?) => {
        impl cqrs_es::Aggregate for $state {
            const TYPE: &'static str = $crate::Category::$variant.name();
            type Command = $command;
            type Event = $event;
            type Error = $refusal;
            type Services = ();

            async fn handle(
                &mut self,
                command: Self::Command,
                _services: &(),
                sink: &cqrs_es::event_sink::EventSink<Self>,
            ) -> Result<(), Self::Error> {
                for event in $crate::Decide::decide(self, command)? {
                    sink.write(event, self).await;
                }
                Ok(())
            }

            fn apply(&mut self, event: Self::Event) {
                self.fold(event);
            }
        }

        impl cqrs_es::DomainEvent for $event {
            fn event_type(&self) -> String {
                self.name().to_owned()
            }

            fn event_version(&self) -> String {
                // Versions belong to the wire structs of the journal; the domain knows only the newest shape.
                "current".to_owned()
            }
        }

        impl From<$event> for $crate::Event {
            fn from(event: $event) -> Self {
                $crate::Event::$variant(event)
            }
        }

        impl $crate::Decide for $state {
            const CATEGORY: $crate::Category = $crate::Category::$variant;

            fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Error> {
                decide::decide(self, command)
            }

            fn own(event: $crate::Event) -> Result<Self::Event, Box<$crate::Event>> {
                match event {
                    $crate::Event::$variant(event) => Ok(event),
                    other => Err(Box::new(other)),
                }
            }

            $(
                fn origin(event: &Self::Event) -> Option<($crate::StreamId, u64)> {
                    $origin(event)
                }
            )?

            $(
                fn subject(&self) -> Option<$crate::SubjectId> {
                    $subject(self)
                }
            )?
        }
    };
}
pub(crate) use aggregate;
