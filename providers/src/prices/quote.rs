use super::{ModelPrices, Rates};
use crate::{Tier, Usage};

/// What a call costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// In billionths of a US dollar.
    pub nano_usd: i64,
    /// The list that says so.
    pub version: String,
}

/// Why nobody can say what a call costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unpriced {
    /// No list that was valid then knows the model.
    #[error("no list of prices knows the model")]
    UnknownModel,
    /// The model has no prices for the tier.
    #[error("the model has no prices for the tier {}", .0.name())]
    UnknownTier(Tier),
    /// A part of the usage has no price.
    #[error("the model has no price for {0}")]
    UnknownPart(&'static str),
    /// The platform did not report what has to be paid for.
    #[error("the platform did not report its usage")]
    NotReported,
    /// The parts of the usage are more than the whole.
    #[error("the platform's figures contradict each other")]
    Contradiction,
}

/// The cost in nano-dollars.
pub(super) fn price(model: &ModelPrices, usage: &Usage) -> Result<i64, Unpriced> {
    let (input, output) = usage.input.zip(usage.output).ok_or(Unpriced::NotReported)?;
    let rates = rates(model, usage.tier.unwrap_or(Tier::Standard), input)?;
    let mut pico: u128 = 0;
    let mut add = |tokens: u64, rate: u64| pico = pico.saturating_add(u128::from(tokens) * u128::from(rate));
    let needed = |tokens: u64, rate: Option<u64>, what| match rate {
        Some(rate) => Ok(rate),
        None if tokens == 0 => Ok(0),
        None => Err(Unpriced::UnknownPart(what)),
    };

    let cached = usage.cached_input.unwrap_or(0);
    let cached_audio = usage.cached_audio_input.unwrap_or(0);
    let cached_rate = rates.cached.unwrap_or(rates.input);
    add(cached.checked_sub(cached_audio).ok_or(Unpriced::Contradiction)?, cached_rate);
    add(cached_audio, rates.cached_audio.unwrap_or(cached_rate));

    let short = usage.cache_write_5m.unwrap_or(0).saturating_add(usage.cache_write_other.unwrap_or(0));
    add(short, needed(short, rates.write, "writing to the cache")?);
    let long = usage.cache_write_1h.unwrap_or(0);
    add(long, needed(long, rates.write_1h, "writing to the cache for an hour")?);

    let fresh = usage.fresh_input().ok_or(Unpriced::Contradiction)?;
    debug_assert!(fresh <= input);
    // Which tokens the cache held is told for sound only; the rest of it is taken to have been text.
    let audio = usage.audio_input.unwrap_or(0).saturating_sub(cached_audio).min(fresh);
    let image = usage.image_input.unwrap_or(0).min(fresh - audio);
    add(audio, rates.audio.unwrap_or(rates.input));
    add(image, rates.image.unwrap_or(rates.input));
    add(fresh - audio - image, rates.input);

    let reasoning = usage.reasoning.unwrap_or(0);
    let visible = output.checked_sub(reasoning).ok_or(Unpriced::Contradiction)?;
    let audio = usage.audio_output.unwrap_or(0).min(visible);
    let image = usage.image_output.unwrap_or(0).min(visible - audio);
    add(reasoning, rates.reasoning.unwrap_or(rates.output));
    add(audio, rates.audio_output.unwrap_or(rates.output));
    add(image, rates.image_output.unwrap_or(rates.output));
    add(visible - audio - image, rates.output);

    let searches = usage.web_searches.unwrap_or(0);
    let search = needed(searches, model.web_search, "searches of the web")?;
    // Nano-dollars, so a thousand pico-dollars each.
    add(searches, search.saturating_mul(1000));

    i64::try_from(pico.saturating_add(500) / 1000).map_err(|_| Unpriced::Contradiction)
}

/// The rates of a tier; of those for long contexts, the highest threshold that was crossed.
fn rates(model: &ModelPrices, tier: Tier, input: u64) -> Result<&Rates, Unpriced> {
    let of_tier = model.rates.iter().filter(|rates| rates.tier() == tier);
    let crossed = of_tier.filter(|rates| rates.above.is_none_or(|above| input > above));
    let chosen = crossed.max_by_key(|rates| rates.above).ok_or(Unpriced::UnknownTier(tier))?;
    // A tier that does not know a threshold which the standard prices have is not known to have none.
    let standard = model.rates.iter().filter(|rates| rates.tier.is_none()).filter_map(|rates| rates.above);
    match standard.filter(|above| input > *above).max() {
        Some(above) if chosen.above != Some(above) => Err(Unpriced::UnknownTier(tier)),
        _ => Ok(chosen),
    }
}
