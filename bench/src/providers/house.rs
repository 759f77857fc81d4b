//! The way of a call with everything switched on: a run of one step, from the request to its recorded end.

use async_trait::async_trait;
use serde_json::json;

use super::load::Calls;
use crate::engine::{House, ONE};

#[async_trait]
impl Calls for House {
    async fn call(&self, text: &str) -> anyhow::Result<()> {
        self.run_with(ONE, json!({ "text": text })).await.map(drop)
    }
}
