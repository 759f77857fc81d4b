//! The client, kept alive.
//!
//! The official client has to be handled with care: one that could not connect at first never tries again; one refused
//! append ends a batch session together with everything on its way; several calls never say who is asked next. So the
//! client is made when it is needed and given up after every failure of the connection, there is one batch session
//! for all appends, given up after any error, and nothing here repeats an append: whoever sent it has to look first
//! whether it was recorded.

use std::sync::Arc;
use std::time::Duration;

use eventstore::{
    BatchAppendClient, BatchAppendOptions, Client, ClientSettings, Error, Position, ReadAllOptions, ReadStreamOptions,
    RecordedEvent, StreamPosition, StreamState, SubscribeToAllOptions, Subscription, SubscriptionFilter,
};
use tokio::sync::Mutex;

use super::envelope::Part;

/// How many bytes of events a page holds at most, unless its first event alone has more.
const PAGE_BYTES: usize = 16 * 1024 * 1024;
/// How long a reader keeps trying.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct Connection {
    settings: ClientSettings,
    request: Duration,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    client: Option<Client>,
    session: Option<Arc<BatchAppendClient>>,
    /// Counts what was opened, so that a late complaint does not close what came after.
    clients: u64,
    sessions: u64,
}

/// An append whose outcome is not known to be good.
#[derive(Debug)]
pub(super) struct Failed {
    /// Whether anything may have reached the server.
    pub(super) sent: bool,
    pub(super) error: Error,
}

/// What an error means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The connection or the server is not well; trying again may go better.
    Passing,
    /// The server will not do this, however often it is asked.
    Refused,
    /// Another node is the leader; the client follows by itself.
    Elsewhere,
    /// There is no such stream.
    Missing,
    /// The place to read from is not the beginning of an event.
    NoPlace,
}

pub(super) fn meaning(error: &Error) -> Meaning {
    match error {
        Error::ResourceNotFound => Meaning::Missing,
        Error::NotLeaderException(_) => Meaning::Elsewhere,
        Error::AccessDenied
        | Error::ResourceDeleted
        | Error::UnsupportedFeature
        | Error::InternalParsingError(_)
        | Error::InitializationError(_) => Meaning::Refused,
        // gRPC's numbers: 3 is INVALID_ARGUMENT, 7 PERMISSION_DENIED, 16 UNAUTHENTICATED.
        Error::Grpc { code, message } => match i32::from(*code) {
            3 if message.contains("invalid position") => Meaning::NoPlace,
            3 | 7 | 16 => Meaning::Refused,
            _ => Meaning::Passing,
        },
        _ => Meaning::Passing,
    }
}

/// A page of `$all`.
pub(super) struct Slice {
    pub(super) events: Vec<RecordedEvent>,
    /// Whether there may be more.
    pub(super) more: bool,
}

impl Slice {
    /// No more than so many of them.
    pub(super) fn cut(mut self, limit: usize) -> Self {
        if self.events.len() > limit {
            self.events.truncate(limit);
            self.more = true;
        }
        self
    }
}

impl Connection {
    pub(super) fn new(settings: ClientSettings, request: Duration) -> Self {
        Self { settings, request, open: Mutex::default() }
    }

    async fn client(&self) -> Result<(u64, Client), Error> {
        let mut open = self.open.lock().await;
        if let Some(client) = &open.client {
            return Ok((open.clients, client.clone()));
        }
        let client =
            Client::new(self.settings.clone()).map_err(|error| Error::InitializationError(format!("{error:#}")))?;
        open.client = Some(client.clone());
        open.clients += 1;
        Ok((open.clients, client))
    }

    async fn session(&self) -> Result<(u64, u64, Arc<BatchAppendClient>), Error> {
        let (number, client) = self.client().await?;
        let mut open = self.open.lock().await;
        if let Some(session) = &open.session {
            return Ok((open.clients, open.sessions, Arc::clone(session)));
        }
        let opened = tokio::time::timeout(self.request, client.batch_append(&BatchAppendOptions::default())).await;
        match opened.unwrap_or(Err(Error::DeadlineExceeded)) {
            Ok(session) => {
                let session = Arc::new(session);
                open.session = Some(Arc::clone(&session));
                open.sessions += 1;
                Ok((number, open.sessions, session))
            }
            Err(error) => {
                if open.clients == number && meaning(&error) != Meaning::Elsewhere {
                    open.client = None;
                }
                Err(error)
            }
        }
    }

    async fn complain(&self, client: u64, session: Option<u64>, error: &Error) {
        let mut open = self.open.lock().await;
        if session.is_some_and(|session| session == open.sessions) {
            open.session = None;
        }
        if open.clients == client && meaning(error) == Meaning::Passing && !ended_session(error) {
            open.client = None;
            open.session = None;
        }
    }

    /// Sends events to the stream that they are for; answers the position of the last, if the server told it.
    pub(super) async fn append(&self, part: &Part) -> Result<Option<u64>, Failed> {
        let state = match part.next.checked_sub(1) {
            None => StreamState::NoStream,
            Some(revision) => StreamState::StreamRevision(revision),
        };
        let (client, session, batch) = self.session().await.map_err(|error| Failed { sent: false, error })?;
        let asked = tokio::time::timeout(self.request, batch.append_to_stream(&part.name, state, part.data())).await;
        match asked.unwrap_or(Err(Error::DeadlineExceeded)) {
            Ok(done) => Ok(done.current_position().map(|position| position.commit)),
            Err(error) => {
                self.complain(client, Some(session), &error).await;
                Err(Failed { sent: true, error })
            }
        }
    }

    /// Events of a stream from a revision on; none when there is no such stream.
    pub(super) async fn read(&self, name: &str, from: u64, limit: usize) -> Result<Vec<RecordedEvent>, Error> {
        let options = ReadStreamOptions::default().position(StreamPosition::Position(from)).max_count(limit);
        self.read_stream(name, options).await
    }

    /// The last events of a stream, newest first; none when there is no such stream.
    pub(super) async fn read_back(&self, name: &str, limit: usize) -> Result<Vec<RecordedEvent>, Error> {
        let options = ReadStreamOptions::default().position(StreamPosition::End).backwards().max_count(limit);
        self.read_stream(name, options).await
    }

    async fn read_stream(&self, name: &str, options: ReadStreamOptions) -> Result<Vec<RecordedEvent>, Error> {
        // A short answer means the end of the stream, so it is never cut by its bytes.
        let read = self.patiently(&Ask::Stream(name, options), usize::MAX, usize::MAX).await;
        match read {
            Err(error) if meaning(&error) == Meaning::Missing => Ok(Vec::new()),
            read => read.map(|slice| slice.events),
        }
    }

    /// Events of `$all`, `from` included, of streams whose names begin with one of the prefixes.
    pub(super) async fn read_all(&self, from: Option<u64>, prefixes: &[String], limit: usize) -> Result<Slice, Error> {
        let position = from
            .map_or(StreamPosition::Start, |from| StreamPosition::Position(Position { commit: from, prepare: from }));
        let options = ReadAllOptions::default().position(position).filter(filter(prefixes)).max_count(limit);
        self.patiently(&Ask::All(options), limit, PAGE_BYTES).await
    }

    /// Events of `$all` before `before`, or from its end, of streams whose names begin with one of the prefixes; the newest
    /// first.
    pub(super) async fn read_all_back(
        &self,
        before: Option<u64>,
        prefixes: &[String],
        limit: usize,
    ) -> Result<Slice, Error> {
        let position = before.map_or(StreamPosition::End, |before| {
            StreamPosition::Position(Position { commit: before, prepare: before })
        });
        let options =
            ReadAllOptions::default().position(position).backwards().filter(filter(prefixes)).max_count(limit);
        self.patiently(&Ask::All(options), limit, PAGE_BYTES).await
    }

    /// The last event of `$all` in a stream whose name begins with the prefix.
    pub(super) async fn last(&self, prefix: &str) -> Result<Option<RecordedEvent>, Error> {
        let prefixes = [prefix.to_owned()];
        let options =
            ReadAllOptions::default().position(StreamPosition::End).backwards().filter(filter(&prefixes)).max_count(1);
        let slice = self.patiently(&Ask::All(options), 1, PAGE_BYTES).await?;
        Ok(slice.events.into_iter().next())
    }

    /// Follows `$all` after a position.
    pub(super) async fn subscribe(&self, after: Option<u64>, prefixes: &[String]) -> Result<Subscription, Error> {
        let (_, client) = self.client().await?;
        let position = after.map_or(StreamPosition::Start, |after| {
            StreamPosition::Position(Position { commit: after, prepare: after })
        });
        // Without retries: we know better where to go on.
        let options = SubscribeToAllOptions::default().position(position).filter(filter(prefixes));
        Ok(client.subscribe_to_all(&options).await)
    }

    /// A subscription failed: the next one gets a new client.
    pub(super) async fn renew(&self) {
        let mut open = self.open.lock().await;
        open.client = None;
        open.session = None;
    }

    async fn ask(&self, client: &Client, ask: &Ask<'_>, limit: usize, bytes: usize) -> Result<Slice, Error> {
        let mut stream = match ask {
            Ask::Stream(name, options) => client.read_stream(*name, options).await?,
            Ask::All(options) => client.read_all(options).await?,
        };
        let mut events = Vec::new();
        let mut size = 0;
        loop {
            let next = tokio::time::timeout(self.request, stream.next()).await;
            let Some(event) = next.unwrap_or(Err(Error::DeadlineExceeded))? else { break };
            // Links are never followed; an event of our streams is always there.
            let Some(event) = event.event else { continue };
            size += event.data.len() + event.custom_metadata.len();
            events.push(event);
            if size >= bytes {
                return Ok(Slice { events, more: true });
            }
        }
        let more = events.len() >= limit;
        Ok(Slice { events, more })
    }

    /// Reads; that a connection died or the leader changed is not the reader's concern.
    async fn patiently(&self, ask: &Ask<'_>, limit: usize, bytes: usize) -> Result<Slice, Error> {
        let mut pause = Duration::from_millis(20);
        loop {
            let (number, client) = self.client().await?;
            let tried = tokio::time::timeout(self.request * 2, self.ask(&client, ask, limit, bytes)).await;
            let error = match tried.unwrap_or(Err(Error::DeadlineExceeded)) {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            match meaning(&error) {
                Meaning::Passing => self.complain(number, None, &error).await,
                Meaning::Elsewhere => {}
                Meaning::Refused | Meaning::Missing | Meaning::NoPlace => return Err(error),
            }
            if pause > PATIENCE {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}

/// What can be read.
enum Ask<'a> {
    Stream(&'a str, ReadStreamOptions),
    All(ReadAllOptions),
}

/// Whether a batch session said no more than that it is over, because of some other append in it.
fn ended_session(error: &Error) -> bool {
    match error {
        Error::ServerError(message) => message.contains("Batch-append stream has been closed"),
        // The answer to one append: the connection is as good as before.
        Error::Grpc { .. } => true,
        _ => false,
    }
}

fn filter(prefixes: &[String]) -> SubscriptionFilter {
    // How many events the server looks through before it says how far it is.
    prefixes.iter().fold(SubscriptionFilter::on_stream_name().max(500), |filter, prefix| filter.add_prefix(prefix))
}
