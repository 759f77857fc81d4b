use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{ModelPrices, PriceList, Prices, Rates};

/// What a list changes about one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The vendor.
    pub vendor: String,
    /// The model.
    pub model: String,
    /// What changes.
    pub what: Changed,
}

/// What changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// It had no prices before.
    Added(Box<ModelPrices>),
    /// The list does not know it; what was valid before stays valid.
    Missing,
    /// These figures: what it is, before, and after. Rates are pico-dollars per token, searches nano-dollars each.
    Figures(Vec<(String, Option<u64>, Option<u64>)>),
}

impl Prices {
    /// What a list would change about the prices that are valid at a time, by vendor and model.
    #[must_use]
    pub fn diff(&self, list: &PriceList, at: Timestamp) -> Vec<Change> {
        let name = |model: &ModelPrices| (model.vendor.clone(), model.model.clone());
        let before: BTreeMap<_, _> = self.all(at).map(|valid| (name(valid.model), valid.model)).collect();
        let after: BTreeMap<_, _> = list.models.iter().map(|model| (name(model), model)).collect();
        let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let change = |key: &(String, String)| {
            let what = match (before.get(key), after.get(key)) {
                (None, Some(new)) => Changed::Added(Box::new((*new).clone())),
                (Some(_), None) => Changed::Missing,
                (Some(old), Some(new)) => Changed::Figures(figures(old, new)),
                (None, None) => return None,
            };
            let same = matches!(&what, Changed::Figures(figures) if figures.is_empty());
            (!same).then(|| Change { vendor: key.0.clone(), model: key.1.clone(), what })
        };
        names.into_iter().filter_map(change).collect()
    }
}

/// The figures that differ.
fn figures(old: &ModelPrices, new: &ModelPrices) -> Vec<(String, Option<u64>, Option<u64>)> {
    let (old, new) = (all(old), all(new));
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let differing = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
    differing.map(|name| (name.clone(), old.get(name).copied(), new.get(name).copied())).collect()
}

/// Every figure of a model by its name.
fn all(model: &ModelPrices) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for rates in &model.rates {
        let tier = rates.tier().name();
        let above = rates.above.map(|above| format!(" above {above}")).unwrap_or_default();
        all.extend(parts(rates).into_iter().filter_map(|(part, rate)| Some((format!("{tier}{above} {part}"), rate?))));
    }
    let others = [
        ("web search", model.web_search),
        ("max input", size(model.max_input)),
        ("max output", size(model.max_output)),
    ];
    all.extend(others.into_iter().filter_map(|(name, figure)| Some((name.to_owned(), figure?))));
    all
}

fn size(size: Option<u32>) -> Option<u64> {
    size.map(u64::from)
}

fn parts(rates: &Rates) -> [(&'static str, Option<u64>); 11] {
    [
        ("input", Some(rates.input)),
        ("cached", rates.cached),
        ("write", rates.write),
        ("write 1h", rates.write_1h),
        ("audio", rates.audio),
        ("cached audio", rates.cached_audio),
        ("image", rates.image),
        ("output", Some(rates.output)),
        ("reasoning", rates.reasoning),
        ("audio output", rates.audio_output),
        ("image output", rates.image_output),
    ]
}
