//! Agents that work by themselves: the second port of this room, beside that of models.
//!
//! A model is asked and answers. An [`ExternalAgent`] is started on a job, is followed while it works as far as it can be, is
//! cancelled when nobody wants its work any more, and its work is collected in the end. To whoever sends work it is a [`Platform`]
//! all the same, because every rule about work holds for it too: limits of time, records, budgets, what must not leave. So whatever
//! implements this port is one, by what stands below and in no other way.
//!
//! Invariants: work that is dropped is cancelled; what an agent does not tell of its tokens and its cost is unknown, never nothing;
//! nobody can say beforehand what a job will cost.

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt};

use crate::{Capabilities, Chunk, Failure, FailureKind, Health, Model, Platform, Reply, ReplyStream, Request, Usage};

/// An agent that works by itself for a while: a program on this machine, or one in somebody's cloud.
#[async_trait]
pub trait ExternalAgent: Send + Sync {
    /// The name that configuration and agents use for it, unique among the platforms of one process.
    fn key(&self) -> &str;

    /// The model that works when a request names none.
    fn default_model(&self) -> Option<&str>;

    /// Why it cannot be used as it is configured; `None` when nothing is known to stand in the way. Answers at once.
    fn unusable(&self) -> Option<String>;

    /// Names whom it counts our jobs for, without telling any key.
    fn account(&self) -> String {
        ExternalAgent::key(self).to_owned()
    }

    /// Whether what it says can be followed while it works; otherwise it speaks when it has ended.
    fn can_be_followed(&self) -> bool {
        false
    }

    /// Whether it takes pictures with its job.
    fn takes_images(&self) -> bool {
        false
    }

    /// Starts it on a job, which may take [`Request::timeout`].
    ///
    /// # Errors
    /// When the job is none for it, or it cannot be started.
    async fn start(&self, job: Request) -> Result<Work, Failure>;

    /// Asks which models there are, without spending anything.
    ///
    /// # Errors
    /// When it cannot be asked, or has no such list.
    async fn models(&self) -> Result<Vec<Model>, Failure> {
        match ExternalAgent::default_model(self) {
            Some(model) => Ok(vec![Model { capabilities: abilities(self.takes_images()), ..Model::named(model) }]),
            None => {
                let what = format!("{}: it has no list of models", ExternalAgent::key(self));
                Err(Failure::new(FailureKind::InvalidRequest, what))
            }
        }
    }

    /// Asks whether it would work now, without spending anything.
    async fn health(&self) -> Health;

    /// Whether [`probe`](Self::probe) asks anything.
    fn can_be_probed(&self) -> bool {
        false
    }

    /// Asks, while it is left alone after failures, whether it can be reached, without spending anything.
    ///
    /// # Errors
    /// When it cannot be reached, fails on its side, or refuses the key.
    async fn probe(&self) -> Result<(), Failure> {
        Ok(())
    }
}

/// What an agent can do as a model of ours: it calls no tools of ours, because it has its own.
fn abilities(takes_images: bool) -> Capabilities {
    Capabilities { tools: Some(false), images: Some(takes_images), ..Capabilities::default() }
}

/// A job under way; dropping it cancels it.
pub struct Work {
    says: BoxStream<'static, String>,
    end: BoxFuture<'static, Result<Reply, Failure>>,
}

impl Work {
    /// A job that says these pieces of text and then ends so. Dropping the second ends whatever works for it.
    pub fn new(
        says: impl futures_util::Stream<Item = String> + Send + 'static,
        end: impl Future<Output = Result<Reply, Failure>> + Send + 'static,
    ) -> Self {
        // Whoever asks again after the last piece is told that there is none.
        Self { says: says.fuse().boxed(), end: Box::pin(end) }
    }

    /// A job of which nothing is heard before its end.
    pub fn silent(end: impl Future<Output = Result<Reply, Failure>> + Send + 'static) -> Self {
        Self::new(stream::empty(), end)
    }

    /// The next that it says; `None` when it has said everything that it says before its end.
    pub async fn follow(&mut self) -> Option<String> {
        self.says.next().await
    }

    /// Tells it to stop; nothing comes of it any more.
    pub fn cancel(self) {
        drop(self);
    }

    /// Waits for its end, and answers what came of it.
    ///
    /// # Errors
    /// How it failed; what it had used by then is told where it is known.
    pub async fn collect(mut self) -> Result<Reply, Failure> {
        while self.follow().await.is_some() {}
        self.end.await
    }
}

#[async_trait]
impl<A: ExternalAgent> Platform for A {
    fn key(&self) -> &str {
        ExternalAgent::key(self)
    }

    fn default_model(&self) -> Option<&str> {
        ExternalAgent::default_model(self)
    }

    fn simulated(&self) -> bool {
        false
    }

    fn unusable(&self) -> Option<String> {
        ExternalAgent::unusable(self)
    }

    fn account(&self) -> String {
        ExternalAgent::account(self)
    }

    fn speaks(&self) -> bool {
        self.can_be_followed()
    }

    async fn execute(&self, request: Request) -> Result<Reply, Failure> {
        self.start(request).await?.collect().await
    }

    async fn stream(&self, request: Request) -> Result<ReplyStream, Failure> {
        let work = self.start(request).await?;
        if !self.can_be_followed() {
            // Its answer is there when it has ended, and not before.
            return Ok(work.collect().await?.in_one_piece());
        }
        let chunks = stream::unfold(Some(work), async |work| {
            let mut work = work?;
            Some(match work.follow().await {
                Some(text) => (Ok(Chunk::Text(text)), Some(work)),
                None => (work.collect().await.map(|reply| Chunk::End(Box::new(reply))), None),
            })
        });
        Ok(chunks.boxed())
    }

    /// Nobody knows before it has said so.
    fn cost(&self, _model: &str, _usage: &Usage) -> Option<i64> {
        None
    }

    fn capabilities(&self, _model: &str) -> Capabilities {
        abilities(self.takes_images())
    }

    async fn models(&self) -> Result<Vec<Model>, Failure> {
        ExternalAgent::models(self).await
    }

    async fn health(&self) -> Health {
        ExternalAgent::health(self).await
    }

    fn can_be_probed(&self) -> bool {
        ExternalAgent::can_be_probed(self)
    }

    async fn probe(&self) -> Result<(), Failure> {
        ExternalAgent::probe(self).await
    }
}
