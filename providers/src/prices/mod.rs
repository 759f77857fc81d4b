//! What calls cost: dated lists of prices, and the arithmetic in integers.
//!
//! A price is a number of *pico-dollars per token*, which is the same as micro-dollars per million tokens: 0.15 US
//! dollars per million tokens is 150000. Amounts are billionths of a dollar (nano-dollars); a call is summed up in
//! pico-dollars and rounded once, half up. Three rules hold:
//!
//! - What has no price is *unpriced* and never free. That goes for an unknown model, a service tier without prices, a
//!   call before the list was valid, and for usage that was not reported.
//! - Crossing a long-context threshold bills the whole request at the higher rates, as the platforms do.
//! - A list is never changed. A newer one is added, and calls are priced by what was valid at their time.

mod diff;
mod list;
mod litellm;
mod quote;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

pub use diff::{Change, Changed};
pub use list::{Ability, InvalidList, ModelPrices, PriceList, Rates, TierName};
pub use litellm::from_litellm;
pub use quote::{Quote, Unpriced};

use crate::{Capabilities, Usage};

/// The lists that come with the program, oldest first.
const BUNDLED: [&str; 1] = [include_str!("../../../catalog/prices/2026-11-25.json")];

/// Every list of prices of this process, by the time from which it is valid.
#[derive(Debug, Clone, Default)]
pub struct Prices {
    /// By vendor and model, oldest first.
    models: BTreeMap<(String, String), Vec<Dated>>,
    lists: Vec<String>,
}

#[derive(Debug, Clone)]
struct Dated {
    from: Date,
    version: String,
    model: ModelPrices,
}

/// One price as it is valid at some time.
#[derive(Debug, Clone, Copy)]
pub struct Valid<'a> {
    /// From when.
    pub from: Date,
    /// Of which list.
    pub version: &'a str,
    /// The prices.
    pub model: &'a ModelPrices,
}

/// What the names of imported lists begin with.
const IMPORTED: &str = "imported/";

impl Prices {
    /// The lists that come with the program.
    ///
    /// # Errors
    /// Never, unless the program was built with a broken list; a test proves that it was not.
    pub fn bundled() -> Result<Self, InvalidList> {
        let mut prices = Self::default();
        for text in BUNDLED {
            prices.add(&PriceList::parse(text)?);
        }
        Ok(prices)
    }

    /// Adds a list. Of two lists of the same day, the one that was added later covers the other.
    pub fn add(&mut self, list: &PriceList) {
        self.add_called(list.version(), list);
    }

    /// Adds a list that the organisation has imported, under a name that says so: whoever sees what a call was priced by
    /// can tell it from a list of the same day that came with the program.
    pub fn add_imported(&mut self, list: &PriceList) {
        self.add_called(format!("{IMPORTED}{}", list.version()), list);
    }

    fn add_called(&mut self, version: String, list: &PriceList) {
        self.lists.push(version.clone());
        for model in &list.models {
            let from = model.valid_from.unwrap_or(list.date);
            let dated = Dated { from, version: version.clone(), model: model.clone() };
            let known = self.models.entry((model.vendor.clone(), model.model.clone())).or_default();
            let place = known.partition_point(|other| other.from <= from);
            known.insert(place, dated);
        }
    }

    /// What every list is called, in the order in which they were added.
    #[must_use]
    pub fn versions(&self) -> &[String] {
        &self.lists
    }

    /// What a call of that time costs.
    ///
    /// # Errors
    /// When nobody can know.
    pub fn quote(&self, vendor: &str, model: &str, usage: &Usage, at: Timestamp) -> Result<Quote, Unpriced> {
        let valid = self.valid(vendor, model, at).ok_or(Unpriced::UnknownModel)?;
        let nano_usd = quote::price(valid.model, usage)?;
        Ok(Quote { nano_usd, version: valid.version.to_owned() })
    }

    /// What is known about a model's abilities.
    #[must_use]
    pub fn capabilities(&self, vendor: &str, model: &str) -> Option<Capabilities> {
        Some(self.find(vendor, model)?.last()?.model.capabilities())
    }

    /// The price that is valid at a time.
    #[must_use]
    pub fn valid(&self, vendor: &str, model: &str, at: Timestamp) -> Option<Valid<'_>> {
        let day = at.to_zoned(jiff::tz::TimeZone::UTC).date();
        let dated = self.find(vendor, model)?.iter().rev().find(|dated| dated.from <= day)?;
        Some(Valid { from: dated.from, version: &dated.version, model: &dated.model })
    }

    /// Every price that is valid at a time, by vendor and model.
    pub fn all(&self, at: Timestamp) -> impl Iterator<Item = Valid<'_>> {
        self.models.keys().filter_map(move |(vendor, model)| self.valid(vendor, model, at))
    }

    /// A model by its own name, or without what marks one release of it: platforms answer with names such as
    /// `gpt-4o-mini-2024-07-18`, `claude-sonnet-4-5-20250929`, `models/gemini-2.0-flash-001`.
    fn find(&self, vendor: &str, model: &str) -> Option<&Vec<Dated>> {
        let get = |name: &str| self.models.get(&(vendor.to_owned(), name.to_owned()));
        let name = model.strip_prefix("models/").unwrap_or(model);
        get(name).or_else(|| get(without_release(name)?)).or_else(|| get(name.strip_suffix("-latest")?))
    }
}

/// The name without a date (`-2024-07-18`, `-20250929`) or number (`-001`) of a release at its end.
fn without_release(name: &str) -> Option<&str> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (rest, last) = name.rsplit_once('-')?;
    if !digits(last) {
        return None;
    }
    match last.len() {
        3 | 8 => Some(rest),
        2 => {
            let (rest, month) = rest.rsplit_once('-')?;
            let (rest, year) = rest.rsplit_once('-')?;
            (digits(month) && month.len() == 2 && digits(year) && year.len() == 4).then_some(rest)
        }
        _ => None,
    }
}
