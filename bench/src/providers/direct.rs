//! A bare HTTP client, the same library that our adapters use: what somebody pays who calls a platform without anything between.

use anyhow::ensure;
use async_trait::async_trait;
use serde_json::json;

use super::load::Calls;
use super::platform::Upstream;

pub(super) struct Direct {
    client: reqwest::Client,
    url: String,
    key: String,
    model: String,
}

impl Direct {
    pub(super) fn new(upstream: &Upstream, path: &str, key: &str, model: &str) -> anyhow::Result<Self> {
        Self::at(format!("{}{path}", upstream.url()), key, model)
    }

    pub(super) fn at(url: String, key: &str, model: &str) -> anyhow::Result<Self> {
        // Without certificates nothing has to be read for TLS, which nobody speaks here.
        let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build()?;
        Ok(Self { client, url, key: key.to_owned(), model: model.to_owned() })
    }
}

#[async_trait]
impl Calls for Direct {
    async fn call(&self, text: &str) -> anyhow::Result<()> {
        let body = json!({ "model": self.model, "messages": [
            { "role": "system", "content": "You work." }, { "role": "user", "content": text } ] });
        let sent = self.client.post(&self.url).bearer_auth(&self.key).json(&body).send().await?;
        let status = sent.status();
        let answer: serde_json::Value = sent.json().await?;
        ensure!(status.is_success() && answer.get("choices").is_some(), "status {status}: {answer}");
        Ok(())
    }
}
