//! Which answers of platforms are kept and serve again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use engine::{CacheMode, CachePolicy, MemoryAnswers};
use serde::{Deserialize, Serialize};

use super::DatabaseUrl;
use crate::answers::{self, RedisAnswers};

/// What holds for every agent, and for some of them instead.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Cache {
    /// Whether answers are kept and serve.
    pub(crate) mode: Mode,
    /// How old an answer may be that serves, in seconds, 1 to 31,536,000.
    pub(crate) max_age_seconds: u64,
    /// How much is kept in this process, in MiB, 1 to 65,536.
    pub(crate) megabytes: u64,
    /// A Redis in which answers are kept instead, so that all nodes share them.
    pub(crate) redis_url: Option<DatabaseUrl>,
    /// Whether what a run has recorded serves in the runs that are forked off it; for every agent.
    pub(crate) forks: bool,
    /// What is otherwise for some agents, by key.
    pub(crate) agents: BTreeMap<String, AgentCache>,
}

impl Default for Cache {
    fn default() -> Self {
        let (mode, redis_url, agents) = (Mode::Off, None, BTreeMap::new());
        Self { mode, max_age_seconds: 86_400, megabytes: 64, redis_url, forks: false, agents }
    }
}

/// What an agent has instead; what is not given is as for everybody.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AgentCache {
    /// Instead of `mode`.
    pub(crate) mode: Option<Mode>,
    /// Instead of `max_age_seconds`.
    pub(crate) max_age_seconds: Option<u64>,
}

/// Whether answers are kept, and whether kept ones serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// Neither.
    Off,
    /// Both.
    On,
    /// Kept ones serve, and no more are kept.
    ReadOnly,
    /// They are kept, and none serves.
    WriteOnly,
}

impl From<Mode> for CacheMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Off => Self::Off,
            Mode::On => Self::On,
            Mode::ReadOnly => Self::ReadOnly,
            Mode::WriteOnly => Self::WriteOnly,
        }
    }
}

impl Cache {
    /// Whether anybody's answers are kept.
    fn is_used(&self) -> bool {
        let off = |mode: Option<Mode>| mode.unwrap_or(self.mode) == Mode::Off;
        !(off(None) && self.agents.values().all(|own| off(own.mode)))
    }

    /// As the engine takes it, with the place where answers are kept; within a runtime.
    ///
    /// # Errors
    /// As [`compiled`](Self::compiled).
    pub(crate) fn opened(&self) -> anyhow::Result<engine::Cache> {
        let mut cache = self.compiled().map_err(|error| anyhow::anyhow!(error))?;
        if let Some(url) = self.redis_url.as_ref().filter(|_| self.is_used()) {
            cache.answers = Arc::new(RedisAnswers::new(url)?);
        }
        Ok(cache)
    }

    /// As the engine takes it, keeping answers in this process.
    ///
    /// # Errors
    /// In words, when an agent's key is none, or an age is out of its range.
    pub(crate) fn compiled(&self) -> Result<engine::Cache, String> {
        let policy = |place: &str, mode: Mode, seconds: u64| match seconds {
            1..=31_536_000 => Ok(CachePolicy { mode: mode.into(), max_age: Duration::from_secs(seconds) }),
            _ => Err(format!("{place}.max_age_seconds is {seconds}, but must be 1 to 31536000")),
        };
        let usual = policy("cache", self.mode, self.max_age_seconds)?;
        let mut agents = BTreeMap::new();
        for (agent, own) in &self.agents {
            let place = format!("cache.agents.{agent}");
            let key = agent.parse::<domain::Key>().map_err(|error| format!("{place}: {error}"))?;
            let (mode, seconds) = (own.mode.unwrap_or(self.mode), own.max_age_seconds.unwrap_or(self.max_age_seconds));
            agents.insert(key, policy(&place, mode, seconds)?);
        }
        if let Some(Err(error)) = self.redis_url.as_ref().map(answers::check) {
            return Err(format!("cache.redis_url: {error}"));
        }
        let bytes = usize::try_from(self.megabytes).unwrap_or(usize::MAX).saturating_mul(1 << 20);
        Ok(engine::Cache { usual, agents, answers: Arc::new(MemoryAnswers::new(bytes)), forks: self.forks })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_unless_said_otherwise_and_agents_have_their_own() {
        let cache = Cache::default().compiled().unwrap();
        assert_eq!(cache.usual.mode, CacheMode::Off);
        let own = AgentCache { mode: Some(Mode::ReadOnly), max_age_seconds: None };
        let cache = Cache { agents: BTreeMap::from([("writer".to_owned(), own)]), ..Cache::default() };
        let compiled = cache.compiled().unwrap();
        let writer = compiled.agents.values().next().unwrap();
        assert_eq!((writer.mode, writer.max_age), (CacheMode::ReadOnly, Duration::from_secs(86_400)));
        assert!(Cache { max_age_seconds: 0, ..Cache::default() }.compiled().unwrap_err().contains("max_age_seconds"));
        let wrong =
            Cache { agents: BTreeMap::from([("No Key".to_owned(), AgentCache::default())]), ..Cache::default() };
        assert!(wrong.compiled().unwrap_err().contains("No Key"));
    }
}
