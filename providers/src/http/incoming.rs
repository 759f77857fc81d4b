use std::time::{Duration, Instant};

use reqwest::Response;

use super::Protocol;
use super::client::broken;
use super::platform::Http;
use crate::wire::Decode;
use crate::wire::rate_limit::RateLimits;
use crate::{Chunk, Failure, Request};

/// An answer on its way.
pub(super) struct Incoming<P: Protocol> {
    pub(super) platform: Http<P>,
    pub(super) request: Request,
    pub(super) response: Response,
    pub(super) decoder: Option<Box<dyn Decode>>,
    pub(super) limits: Option<RateLimits>,
    pub(super) started: Instant,
    pub(super) deadline: tokio::time::Instant,
    pub(super) received: usize,
    pub(super) ended: bool,
    pub(super) first: Option<Duration>,
    /// A failure to report once the text that came before it is out.
    pub(super) failure: Option<Failure>,
}

impl<P: Protocol> Incoming<P> {
    /// The next item; `None` after the last one.
    pub(super) async fn next(&mut self) -> Option<Result<Chunk, Failure>> {
        loop {
            let decoder = self.decoder.as_mut()?;
            if let Some(piece) = decoder.piece() {
                self.first.get_or_insert_with(|| self.started.elapsed());
                return Some(Ok(Chunk::Text(piece)));
            }
            if let Some(mut failure) = self.failure.take() {
                failure.limits = self.limits.map(Box::new);
                self.platform.price(&mut failure, &self.request);
                self.decoder = None;
                return Some(Err(failure));
            }
            if decoder.done() || self.ended {
                return Some(self.end());
            }
            match tokio::time::timeout_at(self.deadline, self.response.chunk()).await {
                Err(_) => {
                    let late = Failure::timed_out(self.platform.key_name(), self.request.timeout);
                    self.failure = Some(late.with_consumed(decoder.consumed()));
                }
                Ok(Err(error)) => {
                    let broken = self.platform.named(broken(&error, self.received));
                    self.failure = Some(broken.with_consumed(decoder.consumed()));
                }
                Ok(Ok(None)) => {
                    self.ended = true;
                    self.failure = decoder.end().err().map(|failure| self.platform.named(failure));
                }
                Ok(Ok(Some(bytes))) => {
                    self.received += bytes.len();
                    if let Err(failure) = decoder.push(&bytes) {
                        self.failure = Some(self.platform.named(failure));
                    }
                }
            }
        }
    }

    fn end(&mut self) -> Result<Chunk, Failure> {
        let answer = match self.decoder.take() {
            Some(decoder) => decoder.finish(),
            None => Err(Failure::malformed("the stream is over")),
        };
        let answer = answer.map_err(|failure| {
            let mut failure = self.platform.named(failure);
            failure.limits = self.limits.map(Box::new);
            self.platform.price(&mut failure, &self.request);
            failure
        })?;
        let mut reply = self.platform.reply(answer, &self.request, self.started);
        (reply.first_piece, reply.limits) = (self.first, self.limits);
        Ok(Chunk::End(Box::new(reply)))
    }
}
