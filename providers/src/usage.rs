/// What a call used, as the platform reported it; `None` means not reported, which is not zero.
///
/// The platforms count in different ways: some put cached, reasoning or tool tokens inside their totals, some beside
/// them. Here `input` and `output` always are the whole of what is paid for, and everything else is a part of one of
/// the two. The platform's own figures are kept word for word in [`Reply::raw_usage`](crate::Reply::raw_usage).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Usage {
    /// All tokens that went in: fresh, read from a cache, written to a cache, and those of tools.
    pub input: Option<u64>,
    /// Of the input, read from the platform's cache.
    pub cached_input: Option<u64>,
    /// Of the input, written to a cache that lives 5 minutes.
    pub cache_write_5m: Option<u64>,
    /// Of the input, written to a cache that lives an hour.
    pub cache_write_1h: Option<u64>,
    /// Of the input, written to a cache whose life was not told.
    pub cache_write_other: Option<u64>,
    /// Of the input, what the platform's own tools put in.
    pub tool_input: Option<u64>,
    /// Of the input, sound.
    pub audio_input: Option<u64>,
    /// Of the input, pictures.
    pub image_input: Option<u64>,
    /// Of the tokens that were read from the cache, sound.
    pub cached_audio_input: Option<u64>,
    /// All tokens that came out, reasoning included.
    pub output: Option<u64>,
    /// Of the output, spent on reasoning.
    pub reasoning: Option<u64>,
    /// Of the output, sound.
    pub audio_output: Option<u64>,
    /// Of the output, pictures.
    pub image_output: Option<u64>,
    /// Searches of the web that the platform made and charges for one by one.
    pub web_searches: Option<u64>,
    /// The service tier that the call was served at, which decides the price.
    pub tier: Option<Tier>,
}

/// How urgently a call was served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tier {
    /// As everybody is.
    Standard,
    /// Cheaper, when there is room.
    Flex,
    /// Dearer and faster.
    Priority,
    /// Within a day.
    Batch,
    /// In some other way that has its own price, such as a reserved capacity, a fast mode, or a place that the request
    /// must not leave.
    Other,
}

impl Tier {
    /// What the platforms' words for tiers mean; `None` for words that say nothing.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "default" | "standard" | "on_demand" | "ON_DEMAND" | "STANDARD" => Some(Self::Standard),
            "flex" | "FLEX" | "ON_DEMAND_FLEX" => Some(Self::Flex),
            "priority" | "PRIORITY" | "ON_DEMAND_PRIORITY" => Some(Self::Priority),
            "batch" | "BATCH" => Some(Self::Batch),
            "" | "auto" | "TRAFFIC_TYPE_UNSPECIFIED" => None,
            // Taking it for the standard one would be a guess.
            _ => Some(Self::Other),
        }
    }

    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Batch => "batch",
            Self::Other => "other",
        }
    }
}

impl Usage {
    /// Input that was neither read from a cache nor written to one. `None` when the input was not reported, or when
    /// its parts are more than the whole, which makes no sense.
    #[must_use]
    pub fn fresh_input(&self) -> Option<u64> {
        let parts = [self.cached_input, self.cache_write_5m, self.cache_write_1h, self.cache_write_other];
        parts.into_iter().flatten().try_fold(self.input?, u64::checked_sub)
    }

    /// Output that is not reasoning; `None` as for [`fresh_input`](Self::fresh_input).
    #[must_use]
    pub fn visible_output(&self) -> Option<u64> {
        self.output?.checked_sub(self.reasoning.unwrap_or(0))
    }

    /// Tokens in and out together; `None` unless both were reported.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.input?.checked_add(self.output?)
    }
}
