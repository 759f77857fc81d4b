//! Reads the public price map of LiteLLM (`model_prices_and_context_window.json`, MIT licence; a copy is in its
//! package on PyPI). Its prices are US dollars per token, as floating-point numbers; what differs by tier or by length
//! is in the name of the field.

use jiff::civil::Date;
use serde_json::{Map, Value};

use super::list::TierName;
use super::{Ability, ModelPrices, PriceList, Rates};
use crate::kind::KINDS;

/// The long-context thresholds that the map has names for, in thousands of tokens.
const THRESHOLDS: [u64; 4] = [100, 128, 200, 272];
/// What the map appends to the name of a field for each tier.
const TIERS: [(Option<TierName>, &str); 4] = [
    (None, ""),
    (Some(TierName::Batch), "_batches"),
    (Some(TierName::Flex), "_flex"),
    (Some(TierName::Priority), "_priority"),
];

/// Takes the priced text models of the vendors that our kinds of platforms name, by vendor and model. What is not priced by tokens, or not in whole
/// pico-dollars, is left out.
///
/// # Errors
/// When the text is no JSON object.
pub fn from_litellm(text: &str, date: Date, origin: &str) -> Result<PriceList, serde_json::Error> {
    let map: Map<String, Value> = serde_json::from_str(text)?;
    let mut models: Vec<_> = map.iter().filter_map(|(key, entry)| model(key, entry)).collect();
    models.sort_by(|a, b| (&a.vendor, &a.model).cmp(&(&b.vendor, &b.model)));
    // Some are there with and without the vendor before the name.
    models.dedup_by(|a, b| (&a.vendor, &a.model) == (&b.vendor, &b.model));
    Ok(PriceList { date, origin: origin.to_owned(), models })
}

fn model(key: &str, entry: &Value) -> Option<ModelPrices> {
    let ours = |vendor: &&str| KINDS.iter().any(|kind| kind.vendor == Some(*vendor));
    let vendor = entry.get("litellm_provider")?.as_str().filter(ours)?;
    entry.get("mode")?.as_str().filter(|mode| matches!(*mode, "chat" | "responses"))?;
    let model = key.strip_prefix(vendor).and_then(|rest| rest.strip_prefix('/')).unwrap_or(key);
    // What is left with a path or a colon is a variant of the map, such as a region or a tuned model.
    if model.contains(['/', ':']) {
        return None;
    }
    // A price that is no whole number of pico-dollars cannot be kept exactly, and a part without its price would be
    // taken for one without a price of its own.
    let prices = entry.as_object()?.iter().filter(|(name, _)| name.contains("token") && name.contains("cost"));
    if !prices.filter_map(|(_, price)| price.as_f64()).all(|price| whole(price * 1e12).is_some()) {
        return None;
    }
    let mut rates = Vec::new();
    for (tier, suffix) in TIERS {
        rates.extend(rates_of(entry, tier, None, suffix));
        let thresholds = THRESHOLDS.into_iter();
        rates.extend(thresholds.filter_map(|thousands| rates_of(entry, tier, Some(thousands), suffix)));
    }
    rates.iter().find(|rates| rates.tier.is_none() && rates.above.is_none())?;
    let can = |name: &str, ability| entry.get(name).and_then(Value::as_bool).filter(|can| *can).map(|_| ability);
    let size = |name: &str| entry.get(name).and_then(Value::as_u64).and_then(|size| u32::try_from(size).ok());
    let search = entry.pointer("/search_context_cost_per_query/search_context_size_medium").and_then(Value::as_f64);
    Some(ModelPrices {
        vendor: vendor.to_owned(),
        model: model.to_owned(),
        valid_from: None,
        max_input: size("max_input_tokens"),
        max_output: size("max_output_tokens"),
        can: [
            can("supports_function_calling", Ability::Tools),
            can("supports_response_schema", Ability::Schema),
            can("supports_vision", Ability::Images),
        ]
        .into_iter()
        .flatten()
        .collect(),
        web_search: search.and_then(|dollars| whole(dollars * 1e9)),
        rates,
    })
}

fn rates_of(entry: &Value, tier: Option<TierName>, thousands: Option<u64>, suffix: &str) -> Option<Rates> {
    let above = thousands.map(|thousands| format!("_above_{thousands}k_tokens")).unwrap_or_default();
    let price = |name: &str| whole(entry.get(format!("{name}{above}{suffix}"))?.as_f64()? * 1e12);
    let (input, output) = (price("input_cost_per_token")?, price("output_cost_per_token")?);
    let mut rates = Rates {
        tier,
        above: thousands.map(|thousands| thousands * 1000),
        input,
        cached: price("cache_read_input_token_cost"),
        write: price("cache_creation_input_token_cost"),
        write_1h: price("cache_creation_input_token_cost_above_1hr"),
        audio: price("input_cost_per_audio_token"),
        cached_audio: price("cache_read_input_audio_token_cost"),
        image: price("input_cost_per_image_token"),
        output,
        reasoning: price("output_cost_per_reasoning_token"),
        audio_output: price("output_cost_per_audio_token"),
        image_output: price("output_cost_per_image_token"),
    };
    // Where a part is priced as the whole that it belongs to, nothing needs to be said.
    let same = |rate: &mut Option<u64>, whole: u64| *rate = rate.filter(|rate| *rate != whole);
    same(&mut rates.cached, rates.input);
    same(&mut rates.audio, rates.input);
    same(&mut rates.image, rates.input);
    same(&mut rates.reasoning, rates.output);
    same(&mut rates.audio_output, rates.output);
    same(&mut rates.image_output, rates.output);
    let cached = rates.cached.unwrap_or(rates.input);
    same(&mut rates.cached_audio, cached);
    Some(rates)
}

/// A number that is whole but for the error of its binary form.
fn whole(value: f64) -> Option<u64> {
    let rounded = value.round();
    // 2^53: up to there every whole number is exact.
    ((0.0..9e15).contains(&value) && (value - rounded).abs() < 1e-3).then_some(rounded as u64)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]
mod tests {
    use jiff::civil::date;
    use serde_json::json;

    use super::from_litellm;
    use crate::prices::PriceList;
    use crate::prices::list::TierName;

    #[test]
    fn reads_the_map() {
        let map = json!({
            "sample_spec": { "litellm_provider": "one of …", "mode": "chat" },
            "gemini/gemini-x": {
                "litellm_provider": "gemini", "mode": "chat", "max_input_tokens": 1_048_576, "max_output_tokens": 65_536,
                "input_cost_per_token": 1.25e-06, "input_cost_per_token_above_200k_tokens": 2.5e-06,
                "output_cost_per_token": 1e-05, "output_cost_per_token_above_200k_tokens": 1.5e-05,
                "cache_read_input_token_cost": 1.25e-07, "input_cost_per_token_batches": 6.25e-07,
                "output_cost_per_token_batches": 5e-06, "supports_vision": true, "output_cost_per_reasoning_token": 1e-05,
                "search_context_cost_per_query": { "search_context_size_medium": 0.035 }
            },
            "ft:gpt-4o": { "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1, "output_cost_per_token": 1 },
            "dall-e": { "litellm_provider": "openai", "mode": "image_generation", "input_cost_per_token": 1, "output_cost_per_token": 1 },
            "odd": { "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-06,
                     "output_cost_per_token": 1e-06, "cache_read_input_token_cost": 1.5e-13 },
            "free": { "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 0 },
            "other": { "litellm_provider": "mistral", "mode": "chat", "input_cost_per_token": 1, "output_cost_per_token": 1 }
        });
        let list = from_litellm(&map.to_string(), date(2026, 11, 25), "a test").unwrap();
        assert_eq!(list.models.len(), 1);
        let model = &list.models[0];
        assert_eq!((model.vendor.as_str(), model.model.as_str()), ("gemini", "gemini-x"));
        assert_eq!((model.max_output, model.web_search), (Some(65_536), Some(35_000_000)));
        assert_eq!(model.capabilities().images, Some(true));
        assert_eq!(model.capabilities().tools, Some(false));
        let [standard, long, batch] = model.rates[..] else { panic!("{:?}", model.rates) };
        assert_eq!((standard.input, standard.cached, standard.output), (1_250_000, Some(125_000), 10_000_000));
        assert_eq!(standard.reasoning, None, "priced as output");
        assert_eq!((long.above, long.input), (Some(200_000), 2_500_000));
        assert_eq!((batch.tier, batch.input), (Some(TierName::Batch), 625_000));
        assert_eq!(PriceList::parse(&list.render().unwrap()).unwrap(), list);
    }

    #[test]
    fn takes_the_models_of_whatever_vendor_a_kind_names() {
        let entry = |vendor: &str| json!({ "litellm_provider": vendor, "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06 });
        let vendors = ["openai", "anthropic", "gemini", "openrouter", "mistral", "parrot"];
        let map: serde_json::Map<_, _> = vendors.iter().map(|vendor| (format!("{vendor}/m"), entry(vendor))).collect();
        let text = serde_json::Value::Object(map).to_string();
        let list = from_litellm(&text, date(2026, 11, 25), "a test").unwrap();
        let taken: Vec<_> = list.models.iter().map(|model| (model.vendor.as_str(), model.model.as_str())).collect();
        // The last is that of the guide's example, which is a kind in these tests.
        assert_eq!(taken, [("anthropic", "m"), ("gemini", "m"), ("openai", "m"), ("parrot", "m")]);
    }
}
