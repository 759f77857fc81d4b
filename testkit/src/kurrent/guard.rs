//! Who may ask, and which node answers.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tonic::service::Interceptor;
use tonic::{Request, Status};

use super::Security;
use super::cluster::Place;

/// Looks at every request before it is carried out.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    authorization: Option<Arc<str>>,
    place: Place,
    /// Whether nobody in particular may ask as well, as for gossip.
    anonymous: bool,
}

impl Guard {
    pub(super) fn new(security: &Security, place: Place, anonymous: bool) -> Self {
        let authorization = security.login.as_ref().map(|(user, password)| {
            Arc::from(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
        });
        Self { authorization, place, anonymous }
    }
}

impl Interceptor for Guard {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(expected) = &self.authorization {
            match request.metadata().get("authorization") {
                None if self.anonymous => {}
                None => return Err(Status::permission_denied("Access Denied")),
                Some(said) if said.as_bytes() == expected.as_bytes() => {}
                // The server answers with HTTP's 401, which clients of gRPC know by this code.
                Some(_) => return Err(Status::unauthenticated("Bad HTTP status code: 401")),
            }
        }
        let wants_leader = request.metadata().get("requires-leader").is_some_and(|value| value.as_bytes() == b"true");
        if wants_leader && !self.anonymous {
            self.place.check_leads()?;
        }
        Ok(request)
    }
}
