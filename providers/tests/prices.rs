//! Real-shaped accounts of usage to exact billionths of a dollar. The expected amounts of `golden/prices.json` were
//! computed by another program, in exact fractions, from the public map that the bundled list was made of.

use jiff::Timestamp;
use jiff::civil::date;
use proptest::prelude::*;
use providers::prices::{Changed, ModelPrices, PriceList, Prices, Rates, Unpriced};
use providers::{Tier, Usage};
use serde_json::{Value, json};

use crate::golden::{decode, run};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A whole answer of that format with this account of the usage.
fn whole(row: &Value) -> Value {
    let (usage, model) = (&row["usage"], &row["model"]);
    match row["format"].as_str().unwrap() {
        "openai-chat" => json!({
            "model": model, "usage": usage, "service_tier": row.get("service_tier"),
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": "x" }, "finish_reason": "stop" }]
        }),
        "openai-responses" => json!({
            "model": model, "usage": usage, "service_tier": row.get("service_tier"), "status": "completed", "output": []
        }),
        "anthropic" => json!({
            "type": "message", "model": model, "usage": usage, "stop_reason": "end_turn",
            "content": [{ "type": "text", "text": "x" }]
        }),
        "gemini" => json!({
            "modelVersion": model, "usageMetadata": usage,
            "candidates": [{ "content": { "parts": [{ "text": "x" }] }, "finishReason": "STOP" }]
        }),
        other => panic!("{other}"),
    }
}

/// The same as a stream, with the account where the platform puts it.
fn streamed(row: &Value) -> String {
    let body = whole(row);
    let events = match row["format"].as_str().unwrap() {
        "openai-chat" => {
            let mut last = body.clone();
            last["choices"] = json!([]);
            let mut first = body;
            first["usage"] = Value::Null;
            first["choices"][0]["delta"] = json!({ "content": "x" });
            vec![first.to_string(), last.to_string(), "[DONE]".to_owned()]
        }
        "openai-responses" => vec![json!({ "type": "response.completed", "response": body }).to_string()],
        "anthropic" => {
            // Everything but the output is told at the beginning, and the split of the cache only there.
            let mut start = body["usage"].clone();
            start["output_tokens"] = json!(1);
            let mut end = body["usage"].clone();
            end.as_object_mut().unwrap().retain(|name, _| !matches!(name.as_str(), "cache_creation" | "service_tier"));
            vec![
                json!({ "type": "message_start", "message": { "model": body["model"], "usage": start } }).to_string(),
                json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" }, "usage": end }).to_string(),
                json!({ "type": "message_stop" }).to_string(),
            ]
        }
        _ => vec![body.to_string()],
    };
    events.into_iter().map(|event| format!("data: {event}\n\n")).collect()
}

#[test]
fn every_account_has_its_exact_price() {
    let table: Vec<Value> =
        serde_json::from_str(include_str!("../golden/prices.json")).expect("the table is a list of objects");
    let prices = Prices::bundled().unwrap();
    let mut priced = 0;
    for row in &table {
        let format = row["format"].as_str().unwrap();
        let vendor = row["vendor"].as_str().unwrap();
        let from_whole = decode(format, whole(row).to_string().as_bytes()).unwrap();
        let from_stream = run(format, [streamed(row).as_bytes()]).1.unwrap();
        for answer in [from_whole, from_stream] {
            let model = answer.model.as_deref().unwrap();
            let quote = prices.quote(vendor, model, &answer.usage, at("2026-11-26T00:00:00Z"));
            let amount = quote.as_ref().ok().map(|quote| quote.nano_usd);
            assert_eq!(amount, row["nano_usd"].as_i64(), "{row}: {quote:?}");
            priced += usize::from(amount.is_some());
        }
    }
    assert!(table.len() >= 60 && priced >= 120, "{} accounts, {priced} prices", table.len());
}

#[test]
fn nothing_is_priced_before_its_list_is_valid() {
    let prices = Prices::bundled().unwrap();
    let usage = Usage { input: Some(1), output: Some(1), ..Usage::default() };
    let quote = |time| prices.quote("openai", "gpt-4o", &usage, at(time));
    assert_eq!(quote("2026-11-24T23:59:59Z"), Err(Unpriced::UnknownModel));
    assert_eq!(quote("2026-11-25T00:00:00Z").unwrap().version, "2026-11-25");
}

fn list(day: i8, input: u64) -> PriceList {
    let rates = vec![Rates { input, output: 0, ..Rates::default() }];
    let model = ModelPrices {
        vendor: "v".into(),
        model: "m".into(),
        valid_from: None,
        max_input: None,
        max_output: None,
        can: Vec::new(),
        web_search: None,
        rates,
    };
    PriceList { date: date(2030, 1, day), origin: "a test".into(), models: vec![model] }
}

#[test]
fn each_call_has_the_price_of_its_day() {
    let mut prices = Prices::default();
    // A list that comes later but is older changes only what it is about.
    for (day, input) in [(10, 2000), (20, 3000), (5, 1000)] {
        prices.add(&list(day, input));
    }
    let usage = Usage { input: Some(1), output: Some(0), ..Usage::default() };
    let quote = |time| prices.quote("v", "m", &usage, at(time)).map(|quote| (quote.nano_usd, quote.version));
    assert_eq!(quote("2030-01-04T12:00:00Z"), Err(Unpriced::UnknownModel));
    assert_eq!(quote("2030-01-09T23:59:59Z"), Ok((1, "2030-01-05".into())));
    assert_eq!(quote("2030-01-10T00:00:00Z"), Ok((2, "2030-01-10".into())));
    assert_eq!(quote("2031-01-01T00:00:00Z"), Ok((3, "2030-01-20".into())));
    prices.add(&list(20, 4000));
    let usage = Usage { input: Some(1), output: Some(0), ..Usage::default() };
    assert_eq!(prices.quote("v", "m", &usage, at("2030-02-01T00:00:00Z")).unwrap().nano_usd, 4, "the later one wins");
}

#[test]
fn a_list_that_contradicts_itself_is_refused() {
    let good = list(1, 1).render().unwrap();
    assert_eq!(PriceList::parse(&good).unwrap(), list(1, 1));
    let mut twice = list(1, 1);
    twice.models.push(twice.models[0].clone());
    let mut two_rates = list(1, 1);
    let rates = two_rates.models[0].rates[0];
    two_rates.models[0].rates.push(rates);
    let mut none = list(1, 1);
    none.models[0].rates.clear();
    for bad in [twice, two_rates, none] {
        assert!(PriceList::parse(&bad.render().unwrap()).is_err());
    }
    assert!(PriceList::parse(&good.replace("\"input\"", "\"inputs\"")).is_err(), "an unknown field is refused");
}

/// The list that comes with the program is as the import writes it, so that changes to it show line by line.
#[test]
fn the_bundled_list_is_in_its_canonical_form() {
    let text = include_str!("../../catalog/prices/2026-11-25.json");
    assert_eq!(PriceList::parse(text).unwrap().render().unwrap(), text);
    assert!(text.len() < 300_000);
}

proptest! {
    /// More of anything never costs less, and no figures make it panic.
    #[test]
    fn more_never_costs_less(
        figures in prop::array::uniform8(0_u64..2_000_000),
        more in 0_u64..1_000_000,
        tier in prop::sample::select(vec![None, Some(Tier::Standard), Some(Tier::Batch)]),
    ) {
        let [fresh, cached, short, long, visible, reasoning, audio, searches] = figures;
        let usage = |extra: u64| Usage {
            input: Some(fresh + cached + short + long + extra),
            cached_input: Some(cached),
            cache_write_5m: Some(short),
            cache_write_1h: Some(if tier == Some(Tier::Batch) { 0 } else { long }),
            output: Some(visible + reasoning),
            reasoning: Some(reasoning),
            audio_input: Some(audio),
            web_searches: Some(searches),
            tier,
            ..Usage::default()
        };
        let prices = Prices::bundled().unwrap();
        let price = |extra| {
            prices.quote("anthropic", "claude-opus-4-6", &usage(extra), at("2026-12-01T00:00:00Z")).unwrap().nano_usd
        };
        prop_assert!(price(more) >= price(0) && price(0) >= 0);
    }

    #[test]
    fn no_figures_panic(figures in prop::array::uniform12(prop::option::of(any::<u64>()))) {
        let [input, cached_input, a, b, c, d, e, f, output, reasoning, g, h] = figures;
        let usage = Usage {
            input, cached_input, cache_write_5m: a, cache_write_1h: b, cache_write_other: c, tool_input: d,
            audio_input: e, image_input: f, cached_audio_input: g, output, reasoning, audio_output: h, image_output: a,
            web_searches: b, tier: None,
        };
        let prices = Prices::bundled().unwrap();
        for (vendor, model) in [("anthropic", "claude-opus-4-6"), ("gemini", "gemini-2.5-pro"), ("openai", "gpt-4o")] {
            let _ = prices.quote(vendor, model, &usage, at("2026-12-01T00:00:00Z"));
        }
    }
}

#[test]
fn a_new_list_shows_what_it_changes() {
    let mut prices = Prices::default();
    prices.add(&list(1, 1000));
    let mut new = list(9, 1500);
    new.models[0].rates[0].cached = Some(100);
    new.models.push(ModelPrices { model: "fresh".into(), ..new.models[0].clone() });
    let changes = prices.diff(&new, at("2030-01-05T00:00:00Z"));
    let expected =
        [("standard cached".to_owned(), None, Some(100)), ("standard input".to_owned(), Some(1000), Some(1500))];
    assert_eq!(changes.len(), 2);
    assert!(matches!(changes[0].what, Changed::Added(_)) && changes[0].model == "fresh");
    assert_eq!(changes[1].what, Changed::Figures(expected.to_vec()));
    new.models.remove(0);
    assert_eq!(prices.diff(&new, at("2030-01-05T00:00:00Z"))[1].what, Changed::Missing);
    assert!(prices.diff(&list(9, 1000), at("2030-01-05T00:00:00Z")).is_empty());
}
