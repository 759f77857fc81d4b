//! One AI platform, and what kinds there are.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::command::{AcpLine, CommandLine, CursorWork};
use super::{Limits, Masked};

/// The kind of an AI platform, in the order in which they are asked when nobody says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PlatformKind {
    /// Speaks OpenAI Chat Completions over HTTP.
    Openai,
    /// Speaks OpenAI Responses over HTTP.
    OpenaiResponses,
    /// Speaks Anthropic Messages over HTTP.
    Anthropic,
    /// Speaks Gemini over HTTP.
    Gemini,
    /// OpenRouter.
    Openrouter,
    /// Ollama on this machine.
    Ollama,
    /// A program on this machine that works as an agent.
    Command,
    /// One that speaks the Agent Client Protocol.
    Acp,
    /// Cursor's cloud agents.
    Cursor,
    /// An open-weights model in this process.
    Local,
    /// Asks no model, openly so.
    Simulator,
}

impl PlatformKind {
    /// The name in the configuration.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::OpenaiResponses => "openai-responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Openrouter => "openrouter",
            Self::Ollama => "ollama",
            Self::Command => "command",
            Self::Acp => "acp",
            Self::Cursor => "cursor",
            Self::Local => "local",
            Self::Simulator => "simulator",
        }
    }

    /// Whether it is reached over HTTP.
    pub(crate) const fn is_http(self) -> bool {
        !matches!(self, Self::Command | Self::Acp | Self::Local | Self::Simulator)
    }

    /// Whether it is an agent by itself, which works only for those who name it.
    pub(crate) const fn is_agent(self) -> bool {
        matches!(self, Self::Command | Self::Acp | Self::Cursor)
    }
}

/// One AI platform.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Platform {
    /// What it is.
    pub(crate) kind: PlatformKind,
    /// Over HTTP: where the API begins; the platform's own service when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base_url: Option<String>,
    /// Over HTTP: the key; servers of one's own often need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) api_key: Option<Masked>,
    /// Over HTTP: the name of the stored key to use; that of the platform itself when not given, if there is such a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stored_key: Option<String>,
    /// Over HTTP: further keys, among which calls are spread.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) more_keys: Vec<MoreKey>,
    /// The model for agents that name none. local: what the model is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
    /// Over HTTP: a proxy for every call, as a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proxy: Option<String>,
    /// Over HTTP: a PEM file with certificates to trust besides the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) certificates: Option<PathBuf>,
    /// Over HTTP: whether answers are asked for in pieces, so that they can be followed; they are when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stream: Option<bool>,
    /// anthropic, openrouter: whether instructions are kept in the platform's cache; they are when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) prompt_cache: Option<bool>,
    /// What it is tagged with, such as the region in which it processes data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<String>,
    /// What some of its models are tagged with instead.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) model_tags: BTreeMap<String, Vec<String>>,
    /// How much may go there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) limits: Option<Limits>,
    /// local: the GGUF file; the newest in `models` of the data directory when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<PathBuf>,
    /// command: what is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<CommandLine>,
    /// acp: what is started, and what it may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) acp: Option<AcpLine>,
    /// cursor: what its agents work on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cursor: Option<CursorWork>,
    /// simulator: how long it waits before each answer, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) latency_ms: Option<u64>,
}

/// A further key of a platform.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MoreKey {
    /// The key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<Masked>,
    /// The name of a stored key instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stored: Option<String>,
    /// How many calls it takes for each one of `api_key`; 0 keeps it for when all others rest.
    #[serde(default = "one")]
    pub(crate) weight: u32,
}

const fn one() -> u32 {
    1
}

impl Platform {
    /// One of a kind with nothing said.
    pub(crate) fn of(kind: PlatformKind) -> Self {
        Self {
            kind,
            base_url: None,
            api_key: None,
            stored_key: None,
            more_keys: Vec::new(),
            model: None,
            proxy: None,
            certificates: None,
            stream: None,
            prompt_cache: None,
            tags: Vec::new(),
            model_tags: BTreeMap::new(),
            limits: None,
            path: None,
            command: None,
            acp: None,
            cursor: None,
            latency_ms: None,
        }
    }

    /// The first setting that is there although its kind has no use for it.
    pub(crate) fn misplaced(&self) -> Option<&'static str> {
        let http = [
            ("base_url", self.base_url.is_some()),
            ("api_key", self.api_key.is_some()),
            ("stored_key", self.stored_key.is_some()),
            ("more_keys", !self.more_keys.is_empty()),
            ("proxy", self.proxy.is_some()),
            ("certificates", self.certificates.is_some()),
            ("stream", self.stream.is_some()),
        ];
        let set = |wanted: PlatformKind, name, is_set: bool| (is_set && self.kind != wanted).then_some(name);
        http.into_iter()
            .find_map(|(name, is_set)| (is_set && !self.kind.is_http()).then_some(name))
            .or_else(|| (self.kind == PlatformKind::Simulator && self.model.is_some()).then_some("model"))
            .or_else(|| set(PlatformKind::Local, "path", self.path.is_some()))
            .or_else(|| set(PlatformKind::Command, "command", self.command.is_some()))
            .or_else(|| set(PlatformKind::Acp, "acp", self.acp.is_some()))
            .or_else(|| {
                let asks = matches!(self.kind, PlatformKind::Anthropic | PlatformKind::Openrouter);
                (self.prompt_cache.is_some() && !asks).then_some("prompt_cache")
            })
            .or_else(|| set(PlatformKind::Cursor, "cursor", self.cursor.is_some()))
            // An agent belongs to the key that launched it, and speaks when it has ended.
            .or_else(|| (self.kind == PlatformKind::Cursor && !self.more_keys.is_empty()).then_some("more_keys"))
            .or_else(|| (self.kind == PlatformKind::Cursor && self.stream.is_some()).then_some("stream"))
            .or_else(|| set(PlatformKind::Simulator, "latency_ms", self.latency_ms.is_some()))
    }
}
