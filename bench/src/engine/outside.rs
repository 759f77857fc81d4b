//! A platform that counts as being outside of the process: as quick as the simulator, but what asks it has to be recorded before.

use async_trait::async_trait;
use providers::{Capabilities, Failure, Health, Platform, Reply, ReplyStream, Request, Simulator, Usage};

pub(crate) struct Outside(pub(crate) Simulator);

#[async_trait]
impl Platform for Outside {
    fn key(&self) -> &str {
        self.0.key()
    }

    fn default_model(&self) -> Option<&str> {
        self.0.default_model()
    }

    fn simulated(&self) -> bool {
        true
    }

    fn unusable(&self) -> Option<String> {
        None
    }

    async fn execute(&self, request: Request) -> Result<Reply, Failure> {
        self.0.execute(request).await
    }

    async fn stream(&self, request: Request) -> Result<ReplyStream, Failure> {
        self.0.stream(request).await
    }

    fn cost(&self, model: &str, usage: &Usage) -> Option<i64> {
        self.0.cost(model, usage)
    }

    fn capabilities(&self, model: &str) -> Capabilities {
        self.0.capabilities(model)
    }

    async fn health(&self) -> Health {
        self.0.health().await
    }
}
