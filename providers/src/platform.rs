use async_trait::async_trait;

use crate::{Failure, FailureKind, Reply, ReplyStream, Request, Usage};

/// One place that answers requests: a service, a server of one's own, a model in this process.
#[async_trait]
pub trait Platform: Send + Sync {
    /// The name that configuration and agents use for it, unique among the platforms of one process.
    fn key(&self) -> &str;

    /// The model that answers when a request names none.
    fn default_model(&self) -> Option<&str>;

    /// Whether no model is asked at all; then every reply says so too.
    fn simulated(&self) -> bool;

    /// Why it cannot be used as it is configured, such as a missing key; `None` when nothing is known to stand in
    /// the way. Answers at once, without asking the platform.
    fn unusable(&self) -> Option<String>;

    /// Names whom the platform counts our calls for, without telling any key: the same in whatever process uses the same address and
    /// keys, and for nobody else's.
    fn account(&self) -> String {
        self.key().to_owned()
    }

    /// Whether an answer is better asked for in pieces, because somebody may want to see it grow. It is not where the whole
    /// answer is there at once.
    fn speaks(&self) -> bool {
        false
    }

    /// Whether an answer needs nothing outside of this process, leaves nothing behind there, and cannot take the process
    /// with it. A call that nobody will ever know of is then as if it had never been made, so it may be made before its
    /// attempt is recorded. Anything that is paid for, counted by somebody or loaded from elsewhere is not like that.
    fn is_self_contained(&self) -> bool {
        false
    }

    /// Asks once and waits for the whole answer, at most [`Request::timeout`].
    ///
    /// # Errors
    /// See [`FailureKind`]; each way to fail has its kind.
    async fn execute(&self, request: Request) -> Result<Reply, Failure>;

    /// Asks once and hands the answer on as it comes. The stream yields text, then exactly one
    /// [`Chunk::End`](crate::Chunk::End) as its last item, or a failure as its last item: an answer that broke off
    /// is never an end.
    ///
    /// # Errors
    /// What fails before the first byte of the answer fails here, the rest inside the stream.
    async fn stream(&self, request: Request) -> Result<ReplyStream, Failure>;

    /// What a call costs, in billionths of a US dollar; `None` when the price is unknown, which is not free.
    fn cost(&self, model: &str, usage: &Usage) -> Option<i64>;

    /// Whether what goes in may be charged for as what is written to the platform's cache, which costs more.
    fn writes_cache(&self) -> bool {
        false
    }

    /// What is known about a model, so that nobody sends it what it cannot do; by default nothing is known. Answers at
    /// once, without asking the platform.
    fn capabilities(&self, _model: &str) -> Capabilities {
        Capabilities::default()
    }

    /// Asks which models there are, without spending tokens.
    ///
    /// # Errors
    /// When it cannot be asked, or has no such list.
    async fn models(&self) -> Result<Vec<Model>, Failure> {
        match self.default_model() {
            Some(model) => Ok(vec![Model { capabilities: self.capabilities(model), ..Model::named(model) }]),
            None => {
                let what = format!("{}: it has no list of models", self.key());
                Err(Failure::new(FailureKind::InvalidRequest, what))
            }
        }
    }

    /// Asks whether it would answer now, without spending tokens.
    async fn health(&self) -> Health;

    /// Whether [`probe`](Self::probe) asks anything. It does not where there is nothing to ask that costs nothing.
    fn can_be_probed(&self) -> bool {
        false
    }

    /// Asks again and again, while it is left alone after failures, whether it can be reached, without spending tokens. That it
    /// can says nothing about any of its models.
    ///
    /// # Errors
    /// When it cannot be reached, fails on its side, or refuses the key.
    async fn probe(&self) -> Result<(), Failure> {
        Ok(())
    }
}

/// A model of a platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// What requests call it.
    pub name: String,
    /// What the platform tells about it.
    pub capabilities: Capabilities,
}

impl Model {
    /// A model of which nothing but the name is known.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), capabilities: Capabilities::default() }
    }
}

/// What a model can do; `None` where nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// Call tools.
    pub tools: Option<bool>,
    /// Keep to a JSON Schema.
    pub schema: Option<bool>,
    /// Understand pictures.
    pub images: Option<bool>,
    /// How many tokens fit in.
    pub max_input: Option<u32>,
    /// How many tokens an answer can have.
    pub max_output: Option<u32>,
}

/// What a platform says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The verdict.
    pub state: State,
    /// The reason, for a person; never holds a secret.
    pub detail: String,
}

/// Whether a platform answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It would answer now.
    Ready,
    /// It will answer soon: it is loading.
    Starting,
    /// It does not answer, or refuses us.
    Unusable,
}

impl State {
    /// The stable lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Unusable => "unusable",
        }
    }
}
