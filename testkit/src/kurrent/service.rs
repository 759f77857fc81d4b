//! The services.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt;
use prost::Message;
use tokio_stream::Stream;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Request, Response, Status, Streaming};
use uuid::Uuid;

use super::cluster::Place;
use super::faults::{Faults, WriteFault};
use super::protocol::event_store::client::gossip::gossip_server::Gossip;
use super::protocol::event_store::client::gossip::member_info::VNodeState;
use super::protocol::event_store::client::gossip::{ClusterInfo, EndPoint, MemberInfo};
use super::protocol::event_store::client::server_features::server_features_server::ServerFeatures;
use super::protocol::event_store::client::server_features::{SupportedMethod, SupportedMethods};
use super::protocol::event_store::client::streams::append_req::options::ExpectedStreamRevision;
use super::protocol::event_store::client::streams::append_resp::wrong_expected_version as wrong;
use super::protocol::event_store::client::streams::batch_append_req::options::ExpectedStreamPosition;
use super::protocol::event_store::client::streams::streams_server::Streams;
use super::protocol::event_store::client::streams::{
    AppendReq, AppendResp, BatchAppendReq, BatchAppendResp, DeleteReq, DeleteResp, ReadReq, ReadResp, TombstoneReq,
    TombstoneResp, append_req, append_resp, batch_append_resp,
};
use super::protocol::event_store::client::{self as common, AllStreamPosition, StreamIdentifier};
use super::protocol::google::rpc;
use super::store::{Expected, Outcome, Proposed, Store};

#[derive(Clone)]
pub(super) struct Service {
    pub(super) store: Arc<Store>,
    pub(super) faults: Arc<Faults>,
    pub(super) place: Place,
}

type Out<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What the server says when another node is the leader.
pub(super) fn not_leader(leader: SocketAddr) -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert("exception", MetadataValue::from_static("not-leader"));
    let value = |text: String| MetadataValue::try_from(text).expect("an address is ASCII");
    metadata.insert("leader-endpoint-host", value(leader.ip().to_string()));
    metadata.insert("leader-endpoint-port", value(leader.port().to_string()));
    Status::with_metadata(Code::NotFound, format!("Leader info available. Leader {leader}"), metadata)
}

/// What became of a write, or the error that ends the whole call.
enum Done {
    Outcome(Outcome),
    Deadline,
}

impl Service {
    async fn write(&self, stream: &str, expected: Expected, proposed: Vec<Proposed>) -> Result<Done, Status> {
        // A session outlives the time in which its node leads.
        self.place.check_leads()?;
        let fault = self.faults.next_write();
        match fault {
            Some(WriteFault::Lost) => return Err(Status::unavailable("the connection is lost")),
            Some(WriteFault::Silent) => return std::future::pending().await,
            Some(WriteFault::Deadline) => return Ok(Done::Deadline),
            Some(WriteFault::NotLeader(leader)) => return Err(not_leader(leader)),
            _ => {}
        }
        let (written, held) = self.faults.hold_back().await;
        if !written {
            return Err(Status::unavailable("the connection is lost"));
        }
        let outcome = self.store.append(stream, expected, proposed);
        if let Some(held) = held {
            self.faults.hold_answer(held).await;
        }
        match fault {
            Some(WriteFault::Unacknowledged) => Err(Status::unavailable("the connection is lost")),
            Some(WriteFault::SilentAfter) => std::future::pending().await,
            Some(WriteFault::DeadlineAfter) => Ok(Done::Deadline),
            _ => Ok(Done::Outcome(outcome)),
        }
    }

    async fn batch(&self, state: &mut Batch) -> Option<Result<BatchAppendResp, Status>> {
        loop {
            let request = match state.requests.next().await? {
                Ok(request) => request,
                Err(error) => return Some(Err(error)),
            };
            if let Some(options) = request.options {
                let expected = match options.expected_stream_position {
                    Some(ExpectedStreamPosition::StreamPosition(revision)) => Expected::Revision(revision),
                    Some(ExpectedStreamPosition::NoStream(())) => Expected::NoStream,
                    Some(ExpectedStreamPosition::StreamExists(())) => Expected::Exists,
                    Some(ExpectedStreamPosition::Any(())) => Expected::Any,
                    None => return Some(Err(Status::invalid_argument("ExpectedStreamPosition is not set"))),
                };
                state.open = Some((options.stream_identifier, expected, Vec::new()));
            }
            // The server lets several be open at once; no client does that.
            let Some((_, _, proposed)) = &mut state.open else {
                return Some(Err(Status::invalid_argument("options are missing")));
            };
            for message in request.proposed_messages {
                match propose(message.id, message.metadata, message.custom_metadata, message.data) {
                    Ok(event) => proposed.push(event),
                    Err(error) => return Some(Err(error)),
                }
            }
            if !request.is_final {
                continue;
            }
            let (stream, expected, proposed) = state.open.take()?;
            let name = match name(stream.as_ref()) {
                Ok(name) => name,
                Err(error) => return Some(Err(error)),
            };
            let result = match self.write(&name, expected, proposed).await {
                Ok(done) => batch_result(done, expected),
                Err(error) => return Some(Err(error)),
            };
            let answer = BatchAppendResp {
                correlation_id: request.correlation_id,
                stream_identifier: stream,
                result: Some(result),
                expected_stream_position: Some(match expected {
                    Expected::Any => batch_append_resp::ExpectedStreamPosition::Any(()),
                    Expected::NoStream => batch_append_resp::ExpectedStreamPosition::NoStream(()),
                    Expected::Exists => batch_append_resp::ExpectedStreamPosition::StreamExists(()),
                    Expected::Revision(revision) => batch_append_resp::ExpectedStreamPosition::StreamPosition(revision),
                }),
            };
            return Some(Ok(answer));
        }
    }
}

/// A batch session.
struct Batch {
    requests: Streaming<BatchAppendReq>,
    open: Option<(Option<StreamIdentifier>, Expected, Vec<Proposed>)>,
    broken: bool,
}

pub(super) fn name(stream: Option<&StreamIdentifier>) -> Result<String, Status> {
    let stream = stream.ok_or_else(|| Status::invalid_argument("StreamIdentifier is not set"))?;
    String::from_utf8(stream.stream_name.to_vec()).map_err(|_| Status::invalid_argument("a stream name is UTF-8"))
}

fn uuid(id: Option<common::Uuid>) -> Result<Uuid, Status> {
    match id.and_then(|id| id.value) {
        Some(common::uuid::Value::String(text)) => {
            text.parse().map_err(|_| Status::invalid_argument("an id is a UUID"))
        }
        Some(common::uuid::Value::Structured(halves)) => Ok(Uuid::from_u64_pair(
            halves.most_significant_bits.cast_unsigned(),
            halves.least_significant_bits.cast_unsigned(),
        )),
        None => Err(Status::invalid_argument("an id is missing")),
    }
}

fn propose(
    id: Option<common::Uuid>,
    mut metadata: std::collections::HashMap<String, String>,
    custom: bytes::Bytes,
    data: bytes::Bytes,
) -> Result<Proposed, Status> {
    let mut field = |name: &str| {
        metadata
            .remove(name)
            .ok_or_else(|| Status::invalid_argument(format!("Required Metadata Property '{name}' Missing")))
    };
    Ok(Proposed {
        id: uuid(id)?,
        event_type: field("type")?,
        content_type: field("content-type")?,
        data,
        metadata: custom,
    })
}

fn refusal(code: rpc::Code, message: &str, details: Vec<u8>, name: &str) -> batch_append_resp::Result {
    batch_append_resp::Result::Error(rpc::Status {
        code: code.into(),
        message: message.to_owned(),
        details: Some(prost_types::Any {
            type_url: format!("type.googleapis.com/event_store.client.{name}"),
            value: details,
        }),
    })
}

fn batch_result(done: Done, expected: Expected) -> batch_append_resp::Result {
    use batch_append_resp::success::{CurrentRevisionOption, PositionOption};
    match done {
        Done::Deadline => {
            refusal(rpc::Code::DeadlineExceeded, "Timeout", common::Timeout {}.encode_to_vec(), "Timeout")
        }
        Done::Outcome(Outcome::Done { revision, position }) => {
            batch_append_resp::Result::Success(batch_append_resp::Success {
                current_revision_option: Some(match revision {
                    Some(revision) => CurrentRevisionOption::CurrentRevision(revision),
                    None => CurrentRevisionOption::NoStream(()),
                }),
                position_option: Some(match position {
                    Some(position) => PositionOption::Position(AllStreamPosition {
                        commit_position: position,
                        prepare_position: position,
                    }),
                    None => PositionOption::NoPosition(()),
                }),
            })
        }
        Done::Outcome(Outcome::Wrong { current }) => {
            use common::wrong_expected_version::{CurrentStreamRevisionOption, ExpectedStreamPositionOption};
            let details = common::WrongExpectedVersion {
                current_stream_revision_option: Some(match current {
                    Some(current) => CurrentStreamRevisionOption::CurrentStreamRevision(current),
                    None => CurrentStreamRevisionOption::CurrentNoStream(()),
                }),
                expected_stream_position_option: Some(match expected {
                    Expected::Any => ExpectedStreamPositionOption::ExpectedAny(()),
                    Expected::NoStream => ExpectedStreamPositionOption::ExpectedNoStream(()),
                    Expected::Exists => ExpectedStreamPositionOption::ExpectedStreamExists(()),
                    Expected::Revision(revision) => ExpectedStreamPositionOption::ExpectedStreamPosition(revision),
                }),
            };
            let (code, name) = (rpc::Code::AlreadyExists, "WrongExpectedVersion");
            refusal(code, name, details.encode_to_vec(), name)
        }
        Done::Outcome(Outcome::Mixed) => {
            refusal(rpc::Code::Unknown, "Unknown", common::Unknown {}.encode_to_vec(), "Unknown")
        }
        Done::Outcome(outcome) => {
            let message = if outcome == Outcome::EventTooLarge {
                "MaximumAppendEventSizeExceeded"
            } else {
                "MaximumAppendSizeExceeded"
            };
            let details = common::MaximumAppendSizeExceeded { max_append_size: 0 };
            refusal(rpc::Code::InvalidArgument, message, details.encode_to_vec(), "MaximumAppendSizeExceeded")
        }
    }
}

#[tonic::async_trait]
impl Streams for Service {
    type ReadStream = Out<ReadResp>;
    type BatchAppendStream = Out<BatchAppendResp>;

    async fn read(&self, request: Request<ReadReq>) -> Result<Response<Self::ReadStream>, Status> {
        Ok(Response::new(super::read::read(self, request.into_inner())?))
    }

    async fn append(&self, request: Request<Streaming<AppendReq>>) -> Result<Response<AppendResp>, Status> {
        let mut requests = request.into_inner();
        let Some(append_req::Content::Options(options)) = requests.message().await?.and_then(|first| first.content)
        else {
            return Err(Status::invalid_argument("the first message has the options"));
        };
        let expected = match options.expected_stream_revision {
            Some(ExpectedStreamRevision::Revision(revision)) => Expected::Revision(revision),
            Some(ExpectedStreamRevision::NoStream(_)) => Expected::NoStream,
            Some(ExpectedStreamRevision::StreamExists(_)) => Expected::Exists,
            Some(ExpectedStreamRevision::Any(_)) => Expected::Any,
            None => return Err(Status::invalid_argument("ExpectedStreamRevision is not set")),
        };
        let mut proposed = Vec::new();
        while let Some(message) = requests.message().await? {
            let Some(append_req::Content::ProposedMessage(message)) = message.content else {
                return Err(Status::invalid_argument("only the first message has options"));
            };
            proposed.push(propose(message.id, message.metadata, message.custom_metadata, message.data)?);
        }
        let stream = name(options.stream_identifier.as_ref())?;
        let result = match self.write(&stream, expected, proposed).await? {
            Done::Deadline => return Err(Status::deadline_exceeded("Timeout expired")),
            Done::Outcome(Outcome::Done { revision, position }) => {
                use append_resp::success::{CurrentRevisionOption, PositionOption};
                append_resp::Result::Success(append_resp::Success {
                    current_revision_option: Some(match revision {
                        Some(revision) => CurrentRevisionOption::CurrentRevision(revision),
                        None => CurrentRevisionOption::NoStream(common::Empty {}),
                    }),
                    position_option: Some(match position {
                        Some(position) => PositionOption::Position(append_resp::Position {
                            commit_position: position,
                            prepare_position: position,
                        }),
                        None => PositionOption::NoPosition(common::Empty {}),
                    }),
                })
            }
            Done::Outcome(Outcome::Wrong { current }) => {
                append_resp::Result::WrongExpectedVersion(wrong_version(current, expected))
            }
            Done::Outcome(Outcome::Mixed) => return Err(Status::unknown("the write was made before, in part")),
            Done::Outcome(_) => return Err(Status::invalid_argument("Maximum Append Size Exceeded")),
        };
        Ok(Response::new(AppendResp { result: Some(result) }))
    }

    async fn batch_append(
        &self,
        request: Request<Streaming<BatchAppendReq>>,
    ) -> Result<Response<Self::BatchAppendStream>, Status> {
        self.faults.open_session();
        let state = Batch { requests: request.into_inner(), open: None, broken: false };
        let answers = futures_util::stream::unfold((self.clone(), state), |(service, mut state)| async move {
            if state.broken {
                return None;
            }
            let answer = service.batch(&mut state).await?;
            state.broken = answer.is_err();
            Some((answer, (service, state)))
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn delete(&self, _: Request<DeleteReq>) -> Result<Response<DeleteResp>, Status> {
        Err(Status::unimplemented("the double deletes nothing"))
    }

    async fn tombstone(&self, _: Request<TombstoneReq>) -> Result<Response<TombstoneResp>, Status> {
        Err(Status::unimplemented("the double deletes nothing"))
    }
}

fn wrong_version(current: Option<u64>, expected: Expected) -> append_resp::WrongExpectedVersion {
    let empty = common::Empty {};
    append_resp::WrongExpectedVersion {
        current_revision_option: Some(match current {
            Some(current) => wrong::CurrentRevisionOption::CurrentRevision(current),
            None => wrong::CurrentRevisionOption::CurrentNoStream(empty),
        }),
        expected_revision_option: Some(match expected {
            Expected::Any => wrong::ExpectedRevisionOption::ExpectedAny(empty),
            Expected::NoStream => wrong::ExpectedRevisionOption::ExpectedNoStream(empty),
            Expected::Exists => wrong::ExpectedRevisionOption::ExpectedStreamExists(empty),
            Expected::Revision(revision) => wrong::ExpectedRevisionOption::ExpectedRevision(revision),
        }),
        current_revision_option_20_6_0: Some(match current {
            Some(current) => wrong::CurrentRevisionOption2060::CurrentRevision2060(current),
            None => wrong::CurrentRevisionOption2060::NoStream2060(empty),
        }),
        expected_revision_option_20_6_0: Some(match expected {
            Expected::Revision(revision) => wrong::ExpectedRevisionOption2060::ExpectedRevision2060(revision),
            Expected::Exists => wrong::ExpectedRevisionOption2060::StreamExists2060(empty),
            Expected::Any | Expected::NoStream => wrong::ExpectedRevisionOption2060::Any2060(empty),
        }),
    }
}

#[tonic::async_trait]
impl ServerFeatures for Service {
    async fn get_supported_methods(&self, _: Request<common::Empty>) -> Result<Response<SupportedMethods>, Status> {
        let method = |name: &str, features: &[&str]| SupportedMethod {
            method_name: name.to_owned(),
            service_name: "event_store.client.streams.streams".to_owned(),
            features: features.iter().map(|feature| (*feature).to_owned()).collect(),
        };
        Ok(Response::new(SupportedMethods {
            methods: vec![
                method("read", &["position", "events"]),
                method("append", &[]),
                method("batchappend", &["deadline_duration"]),
            ],
            event_store_server_version: "25.1.0".to_owned(),
        }))
    }
}

#[tonic::async_trait]
impl Gossip for Service {
    async fn read(&self, _: Request<common::Empty>) -> Result<Response<ClusterInfo>, Status> {
        let members = self.place.membership.members();
        let elected = members.iter().any(|member| member.leads);
        let told = members.into_iter().zip(1..).map(|(member, number)| MemberInfo {
            instance_id: Some(common::Uuid {
                value: Some(common::uuid::Value::String(Uuid::from_u128(number).to_string())),
            }),
            time_stamp: 0,
            state: match (member.leads, elected) {
                (true, _) => VNodeState::Leader,
                (false, true) => VNodeState::Follower,
                (false, false) => VNodeState::Unknown,
            }
            .into(),
            is_alive: member.alive,
            http_end_point: Some(EndPoint {
                address: member.address.ip().to_string(),
                port: u32::from(member.address.port()),
            }),
        });
        Ok(Response::new(ClusterInfo { members: told.collect() }))
    }
}
