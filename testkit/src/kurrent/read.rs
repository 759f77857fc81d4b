//! Reads and subscriptions.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt;
use tokio::sync::watch;
use tokio_stream::Stream;
use tonic::Status;

use super::faults::ReadFault;
use super::protocol::event_store::client::streams::read_req::Options;
use super::protocol::event_store::client::streams::read_req::options::all_options::AllOption;
use super::protocol::event_store::client::streams::read_req::options::stream_options::RevisionOption;
use super::protocol::event_store::client::streams::read_req::options::{
    AllOptions, CountOption, FilterOption, FilterOptions, StreamOption, StreamOptions, filter_options, uuid_option,
};
use super::protocol::event_store::client::streams::read_resp::{self, Content, ReadEvent};
use super::protocol::event_store::client::streams::{ReadReq, ReadResp};
use super::protocol::event_store::client::{self as common, StreamIdentifier};
use super::service::{Service, name, not_leader};
use super::store::{Store, Written};

type Answers = Pin<Box<dyn Stream<Item = Result<ReadResp, Status>> + Send>>;

/// How many events one look of a subscription goes through.
const LOOK: usize = 256;

/// Which events are wanted.
enum Filter {
    All,
    Prefixes { of_stream: bool, prefixes: Vec<String> },
    Regex { of_stream: bool, regex: regex::Regex },
}

impl Filter {
    fn new(options: Option<FilterOption>) -> Result<(Self, u64), Status> {
        let Some(FilterOption::Filter(options)) = options else { return Ok((Self::All, u64::MAX)) };
        let FilterOptions { filter, window, checkpoint_interval_multiplier: multiplier } = options;
        let window = match window {
            Some(filter_options::Window::Max(max)) => u64::from(max),
            Some(filter_options::Window::Count(_)) => 32,
            None => return Err(Status::invalid_argument("Window is not set")),
        };
        let (of_stream, expression) = match filter {
            Some(filter_options::Filter::StreamIdentifier(expression)) => (true, expression),
            Some(filter_options::Filter::EventType(expression)) => (false, expression),
            None => return Err(Status::invalid_argument("Filter is not set")),
        };
        let filter = if expression.regex.is_empty() {
            Self::Prefixes { of_stream, prefixes: expression.prefix }
        } else {
            let regex =
                regex::Regex::new(&expression.regex).map_err(|error| Status::invalid_argument(error.to_string()))?;
            Self::Regex { of_stream, regex }
        };
        Ok((filter, window.saturating_mul(u64::from(multiplier)).max(1)))
    }

    fn wants(&self, event: &Written) -> bool {
        let subject = |of_stream: bool| if of_stream { &*event.stream } else { event.event_type.as_str() };
        match self {
            Self::All => true,
            Self::Prefixes { of_stream, prefixes } => {
                prefixes.iter().any(|prefix| subject(*of_stream).starts_with(prefix))
            }
            Self::Regex { of_stream, regex } => regex.is_match(subject(*of_stream)),
        }
    }
}

pub(super) fn read(service: &Service, request: ReadReq) -> Result<Answers, Status> {
    let options = request.options.ok_or_else(|| Status::invalid_argument("Options is not set"))?;
    let Options { stream_option, read_direction, count_option, filter_option, uuid_option, .. } = options;
    let structured = matches!(uuid_option.and_then(|option| option.content), Some(uuid_option::Content::Structured(_)));
    let (filter, interval) = Filter::new(filter_option)?;
    let backwards = read_direction == 1;
    let store = Arc::clone(&service.store);
    match (stream_option, count_option) {
        (None, _) | (_, None) => Err(Status::invalid_argument("StreamOption or CountOption is not set")),
        (Some(stream), Some(CountOption::Count(count))) => {
            let fault = service.faults.next_read();
            if let Some(ReadFault::NotLeader(leader)) = fault {
                return Err(not_leader(leader));
            }
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            let contents = match stream {
                StreamOption::All(all) => all_of(&store, &all, backwards, &filter, count)?,
                StreamOption::Stream(stream) => stream_of(&store, &stream, backwards, count)?,
            };
            let contents = contents.into_iter().map(move |found| answer(found, structured));
            Ok(paced(futures_util::stream::iter(contents), fault))
        }
        (Some(stream), Some(CountOption::Subscription(_))) => {
            let fault = service.faults.next_subscription();
            if let Some(ReadFault::NotLeader(leader)) = fault {
                return Err(not_leader(leader));
            }
            let following = Following::new(store, stream, filter, interval, fault == Some(ReadFault::Repeats))?;
            let answers = futures_util::stream::unfold(following, move |mut following| async move {
                let found = following.next().await;
                Some((answer(found, structured), following))
            });
            Ok(paced(answers, fault))
        }
    }
}

/// What goes back.
#[expect(clippy::large_enum_variant, reason = "one at a time, and it is what tonic made")]
enum Found {
    Event(Arc<Written>),
    Missing(String),
    Content(Content),
}

fn all_of(
    store: &Store,
    all: &AllOptions,
    backwards: bool,
    filter: &Filter,
    count: usize,
) -> Result<Vec<Found>, Status> {
    let position = match all.all_option {
        Some(AllOption::Position(position)) => {
            // What was written without a transaction has both halves alike.
            if position.commit_position != position.prepare_position || !store.is_place(position.commit_position) {
                return Err(Status::invalid_argument("Trying to read from an invalid position."));
            }
            position.commit_position
        }
        Some(AllOption::Start(_)) => 0,
        Some(AllOption::End(_)) => u64::MAX,
        None => return Err(Status::invalid_argument("AllOption is not set")),
    };
    let events = if backwards { store.before(position) } else { store.from(position, usize::MAX) };
    Ok(events.into_iter().filter(|event| filter.wants(event)).take(count).map(Found::Event).collect())
}

fn stream_of(store: &Store, stream: &StreamOptions, backwards: bool, count: usize) -> Result<Vec<Found>, Status> {
    let name = name(stream.stream_identifier.as_ref())?;
    let Some(events) = store.stream(&name) else { return Ok(vec![Found::Missing(name)]) };
    let revision = match stream.revision_option {
        Some(RevisionOption::Revision(revision)) => revision,
        Some(RevisionOption::Start(_)) => 0,
        Some(RevisionOption::End(_)) => u64::MAX,
        None => return Err(Status::invalid_argument("RevisionOption is not set")),
    };
    let events: Vec<_> = if backwards {
        events.into_iter().rev().filter(|event| event.revision <= revision).take(count).collect()
    } else {
        events.into_iter().filter(|event| event.revision >= revision).take(count).collect()
    };
    Ok(events.into_iter().map(Found::Event).collect())
}

/// A subscription. It brings what comes after its position, never the event at it.
struct Following {
    store: Arc<Store>,
    stream: Option<String>,
    filter: Filter,
    /// Where to go on: in `$all` or in the stream.
    next: u64,
    waiting: VecDeque<Found>,
    end: watch::Receiver<u64>,
    live: bool,
    considered: u64,
    interval: u64,
}

impl Following {
    fn new(
        store: Arc<Store>,
        option: StreamOption,
        filter: Filter,
        interval: u64,
        repeats: bool,
    ) -> Result<Self, Status> {
        let after = |place: u64| if repeats { place } else { place + 1 };
        let (stream, next) = match option {
            StreamOption::All(all) => match all.all_option {
                Some(AllOption::Position(position)) => {
                    if !store.is_place(position.commit_position) {
                        return Err(Status::invalid_argument("Trying to read from an invalid position."));
                    }
                    (None, after(position.commit_position))
                }
                Some(AllOption::End(_)) => (None, *store.end().borrow()),
                _ => (None, 0),
            },
            StreamOption::Stream(stream) => {
                let name = name(stream.stream_identifier.as_ref())?;
                let next = match stream.revision_option {
                    Some(RevisionOption::Revision(revision)) => after(revision),
                    Some(RevisionOption::End(_)) => {
                        store.stream(&name).and_then(|events| Some(events.last()?.revision + 1)).unwrap_or(0)
                    }
                    _ => 0,
                };
                (Some(name), next)
            }
        };
        let confirmation = read_resp::SubscriptionConfirmation { subscription_id: uuid::Uuid::new_v4().to_string() };
        let waiting = VecDeque::from([Found::Content(Content::Confirmation(confirmation))]);
        let end = store.end();
        Ok(Self { store, stream, filter, next, waiting, end, live: false, considered: 0, interval })
    }

    async fn next(&mut self) -> Found {
        loop {
            if let Some(found) = self.waiting.pop_front() {
                return found;
            }
            self.end.borrow_and_update();
            let events = match &self.stream {
                None => self.store.from(self.next, LOOK),
                Some(name) => {
                    let events = self.store.stream(name).unwrap_or_default();
                    events.into_iter().filter(|event| event.revision >= self.next).take(LOOK).collect()
                }
            };
            if events.is_empty() {
                if !self.live {
                    self.live = true;
                    return Found::Content(Content::CaughtUp(read_resp::CaughtUp {
                        timestamp: Some(std::time::SystemTime::now().into()),
                        stream_revision: None,
                        position: None,
                    }));
                }
                // The store outlives its subscriptions.
                let _ = self.end.changed().await;
                continue;
            }
            for event in events {
                let place = if self.stream.is_some() { event.revision } else { event.position };
                self.next = place + 1;
                self.considered += 1;
                let position = event.position;
                if self.filter.wants(&event) {
                    self.waiting.push_back(Found::Event(event));
                }
                if self.considered >= self.interval {
                    self.considered = 0;
                    self.waiting.push_back(Found::Content(Content::Checkpoint(read_resp::Checkpoint {
                        commit_position: position,
                        prepare_position: position,
                        timestamp: Some(std::time::SystemTime::now().into()),
                    })));
                }
            }
        }
    }
}

fn answer(found: Found, structured: bool) -> Result<ReadResp, Status> {
    let content = match found {
        Found::Event(event) => Content::Event(ReadEvent {
            position: Some(read_resp::read_event::Position::CommitPosition(event.position)),
            link: None,
            event: Some(read_resp::read_event::RecordedEvent {
                id: Some(common::Uuid {
                    value: Some(if structured {
                        let (most, least) = event.id.as_u64_pair();
                        common::uuid::Value::Structured(common::uuid::Structured {
                            most_significant_bits: most.cast_signed(),
                            least_significant_bits: least.cast_signed(),
                        })
                    } else {
                        common::uuid::Value::String(event.id.to_string())
                    }),
                }),
                stream_identifier: Some(identifier(&event.stream)),
                stream_revision: event.revision,
                prepare_position: event.position,
                commit_position: event.position,
                metadata: HashMap::from([
                    ("type".to_owned(), event.event_type.clone()),
                    ("content-type".to_owned(), event.content_type.clone()),
                    ("created".to_owned(), event.created.to_string()),
                ]),
                custom_metadata: event.metadata.clone(),
                data: event.data.clone(),
            }),
        }),
        Found::Missing(name) => {
            Content::StreamNotFound(read_resp::StreamNotFound { stream_identifier: Some(identifier(&name)) })
        }
        Found::Content(content) => content,
    };
    Ok(ReadResp { content: Some(content) })
}

fn identifier(name: &str) -> StreamIdentifier {
    StreamIdentifier { stream_name: name.as_bytes().to_vec().into() }
}

/// The answers with what goes wrong.
fn paced(answers: impl Stream<Item = Result<ReadResp, Status>> + Send + 'static, fault: Option<ReadFault>) -> Answers {
    match fault {
        Some(ReadFault::Unavailable(events)) => {
            let broken = futures_util::stream::once(async { Err(Status::unavailable("the connection is lost")) });
            first(answers, events).chain(broken).boxed()
        }
        Some(ReadFault::Ends(events)) => first(answers, events).boxed(),
        Some(ReadFault::Stalls(events)) => first(answers, events).chain(futures_util::stream::pending()).boxed(),
        Some(ReadFault::Slow(pause)) => answers
            .then(move |answer| async move {
                tokio::time::sleep(pause).await;
                answer
            })
            .boxed(),
        _ => answers.boxed(),
    }
}

fn first(
    answers: impl Stream<Item = Result<ReadResp, Status>> + Send + 'static,
    events: usize,
) -> impl Stream<Item = Result<ReadResp, Status>> + Send {
    let mut left = events;
    answers.take_while(move |answer| {
        let is_event = matches!(answer, Ok(ReadResp { content: Some(Content::Event(_)) }));
        let goes_on = !is_event || left > 0;
        left = left.saturating_sub(usize::from(is_event));
        // With no event wanted, the first answer is not wanted either.
        std::future::ready(goes_on && (events > 0 || !is_event))
    })
}
