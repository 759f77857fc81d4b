//! How much may go to platforms.

use std::sync::Arc;

use engine::PlatformLimits;
use providers::Registry;
use serde::{Deserialize, Serialize};

use super::Config;
use crate::limits::RedisLimits;

/// The limits of one platform.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// So many calls may start in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) requests_per_minute: Option<u32>,
    /// So many tokens may be used in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tokens_per_minute: Option<u64>,
    /// So many calls may be under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at_once: Option<u32>,
}

impl Limits {
    /// The first limit out of its range: 1 to 1,000,000 calls, 100 to 1,000,000,000,000 tokens.
    pub(crate) fn fault(&self) -> Option<String> {
        let calls = |limit: Option<u32>| limit.map(u64::from);
        let of = [
            ("requests_per_minute", calls(self.requests_per_minute), 1, 1_000_000),
            ("tokens_per_minute", self.tokens_per_minute, 100, 1_000_000_000_000),
            ("at_once", calls(self.at_once), 1, 1_000_000),
        ];
        of.into_iter().find_map(|(name, limit, least, most)| {
            let limit = limit.filter(|limit| !(least..=most).contains(limit))?;
            Some(format!("{name} is {limit}, but must be {least} to {most}"))
        })
    }
}

impl Config {
    /// The limits of these platforms as the engine takes them, shared in Redis where there is one; within a runtime.
    ///
    /// # Errors
    /// When the URL is none of Redis.
    pub(crate) fn limits(&self, registry: &Registry) -> anyhow::Result<engine::Limits> {
        let limited = registry.iter().filter_map(|platform| {
            let Limits { requests_per_minute, tokens_per_minute, at_once } =
                self.platforms.get(platform.key())?.limits.as_ref().copied()?;
            let account = platform.account();
            let limits = PlatformLimits { account, requests_per_minute, tokens_per_minute, at_once };
            Some((platform.key().to_owned(), limits))
        });
        let mut limits = engine::Limits { platforms: limited.collect(), shared: None };
        if let Some(url) = self.cache.redis_url.as_ref().filter(|_| !limits.platforms.is_empty()) {
            limits.shared = Some(Arc::new(RedisLimits::new(url)?));
        }
        Ok(limits)
    }
}
