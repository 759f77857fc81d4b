//! How much may be spent on AI platforms, and how much has been.

use async_graphql::{Context, ID, InputObject, Result, SimpleObject};
use commands::{BudgetStanding, Commands};
use domain::budget::{BudgetScope as Scope, BudgetSettings, Unit, Window as Span};
use domain::{Key, RunId};
use projections::Window;
use std::cmp::Reverse;
use uuid::Uuid;

use crate::failure;
use crate::input::parse;
use crate::node::GlobalId;
use crate::order::{BudgetOrder, Cursor, Sorted, held};
use crate::scalar::{Count, DateTime, NanoUsd};
use crate::status::{BudgetScope, BudgetWindow};

/// How much may be spent on AI platforms within a time, and how much has been. Of money and tokens the one that it
/// counts is not null.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Budget {
    /// The global id, for `node`.
    pub(crate) id: ID,
    /// The key.
    key: String,
    /// What it is for.
    description: String,
    /// Whose attempts it counts.
    scope: BudgetScope,
    /// The department, person, API key, workflow, agent or platform; null for the whole organisation.
    of: Option<String>,
    /// Within which time.
    window: BudgetWindow,
    /// How much money there may be within a window.
    limit: Option<NanoUsd>,
    /// How many tokens there may be within a window.
    token_limit: Option<Count>,
    /// From how much on it is told that it comes to its end, in thousandths of the limit.
    warn_milli: Option<u16>,
    /// What a call without a known price counts as; null lets no such call through.
    unpriced: Option<NanoUsd>,
    /// How it stands now; null for a budget of each run, when no run was asked about.
    purse: Option<Purse>,
    /// When the next window begins; null when there is none.
    resets_at: Option<DateTime>,
}

/// What is used of a budget in its window.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Purse {
    /// How much money is spent.
    spent: Option<NanoUsd>,
    /// How many tokens are.
    tokens_spent: Option<Count>,
    /// How much money is set aside for calls under way.
    reserved: Option<NanoUsd>,
    /// How many tokens are.
    tokens_reserved: Option<Count>,
    /// How many calls these are.
    calls: Count,
}

/// A budget to set; one with this key is changed.
#[derive(Debug, InputObject)]
pub(crate) struct SetBudgetInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// The budget's key: 1 to 64 of a-z, 0-9, `-`, `_` and `.`, starting with a letter or digit.
    key: String,
    /// What it is for.
    #[graphql(default)]
    description: String,
    /// Whose attempts it counts.
    scope: BudgetScope,
    /// The department, person, API key, workflow, agent or platform; null for the whole organisation.
    of: Option<String>,
    /// Within which time.
    window: BudgetWindow,
    /// How much money there may be within a window; either this or `tokenLimit`.
    limit: Option<NanoUsd>,
    /// How many tokens there may be within a window.
    token_limit: Option<Count>,
    /// From how much on it is told that it comes to its end, in thousandths of the limit.
    warn_milli: Option<u16>,
    /// What a call without a known price counts as; null lets no such call through. Only for money.
    unpriced: Option<NanoUsd>,
}

/// A budget to take away.
#[derive(Debug, InputObject)]
pub(crate) struct RemoveBudgetInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// Which budget.
    pub(crate) key: String,
    /// Why.
    #[graphql(default)]
    pub(crate) reason: String,
}

/// Which budgets are wanted; an empty filter wants all.
#[derive(Debug, Clone, Default, InputObject)]
pub(crate) struct BudgetFilter {
    /// Only with this text in the key or the description, whatever the case.
    text: Option<String>,
    /// Only those that count this.
    scope: Option<BudgetScope>,
    /// Only those of this department, person, API key, workflow, agent or platform.
    of: Option<String>,
    /// Only within this time.
    window: Option<BudgetWindow>,
}

impl BudgetFilter {
    pub(crate) fn wants(&self, budget: &Budget) -> bool {
        let text = self.text.as_ref().map(|text| text.to_lowercase());
        text.is_none_or(|text| budget.key.contains(&text) || budget.description.to_lowercase().contains(&text))
            && self.scope.is_none_or(|scope| scope == budget.scope)
            && self.of.as_ref().is_none_or(|of| budget.of.as_ref() == Some(of))
            && self.window.is_none_or(|window| window == budget.window)
    }
}

impl SetBudgetInput {
    pub(crate) fn into_settings(self) -> Result<BudgetSettings> {
        let money = |field: &str, money: NanoUsd| {
            u64::try_from(money.0).map_err(|_| failure::invalid(format!("`{field}` must not be less than nothing")))
        };
        let (unit, limit) = match (self.limit, self.token_limit) {
            (Some(limit), None) => (Unit::Money, money("limit", limit)?),
            (None, Some(limit)) => (Unit::Tokens, limit.0),
            _ => return Err(failure::invalid("give either `limit` or `tokenLimit`")),
        };
        let of = self.of.unwrap_or_default();
        Ok(BudgetSettings {
            key: parse("key", &self.key)?,
            description: self.description,
            scope: match self.scope {
                BudgetScope::Organisation if of.is_empty() => Scope::Organisation,
                BudgetScope::Organisation => {
                    return Err(failure::invalid("`of`: a budget of the whole organisation is of nobody else"));
                }
                BudgetScope::Department => Scope::Department(of),
                BudgetScope::Person => Scope::Person(of),
                BudgetScope::ApiKey => Scope::ApiKey(of),
                BudgetScope::Workflow => Scope::Workflow(parse("of", &of)?),
                BudgetScope::EachRun => Scope::EachRun(parse("of", &of)?),
                BudgetScope::Agent => Scope::Agent(parse("of", &of)?),
                BudgetScope::Platform => Scope::Platform(parse("of", &of)?),
            },
            unit,
            limit,
            window: match self.window {
                BudgetWindow::Hour => Span::Hour,
                BudgetWindow::Day => Span::Day,
                BudgetWindow::Week => Span::Week,
                BudgetWindow::Month => Span::Month,
                BudgetWindow::Ever => Span::Ever,
            },
            warn_milli: self.warn_milli,
            unpriced: self.unpriced.map(|unpriced| money("unpriced", unpriced)).transpose()?,
        })
    }
}

impl Budget {
    /// The budget of a key as it stands now, of a budget of each run for this one; nothing when there is none.
    pub(crate) async fn find(context: &Context<'_>, key: &Key, run: Option<Uuid>) -> Result<Option<Self>> {
        match context.data::<Commands>()?.budget(key, run.map(RunId::from_uuid)).await {
            Ok(standing) => Self::standing(standing).map(Some),
            Err(error) if error.code() == "BUDGET_NOT_FOUND" => Ok(None),
            Err(error) => Err(failure::command(context, error)),
        }
    }

    /// A page of budgets.
    pub(crate) fn page(
        budgets: Vec<Self>,
        window: &Window<Cursor>,
        order: BudgetOrder,
        reversed: bool,
    ) -> Result<Sorted<Self>> {
        let key = |budget: &Self| budget.key.clone();
        match order {
            BudgetOrder::Key => held(budgets, window, reversed, "key", key),
            BudgetOrder::Used => {
                held(budgets, window, reversed, "used", |budget| (Reverse(budget.used_milli()), key(budget)))
            }
            BudgetOrder::Resets => held(budgets, window, reversed, "resets", |budget| {
                (budget.resets_at.is_none(), budget.resets_at.map(|at| at.0.as_micros()), key(budget))
            }),
        }
    }

    /// How much of it is spent or set aside, in thousandths of the limit; nothing for a budget of each run.
    fn used_milli(&self) -> Option<i64> {
        let purse = self.purse.as_ref()?;
        let money = |money: Option<NanoUsd>| money.map_or(0, |money| i128::from(money.0));
        let tokens = |count: Option<Count>| count.map_or(0, |count| i128::from(count.0));
        let used =
            money(purse.spent) + money(purse.reserved) + tokens(purse.tokens_spent) + tokens(purse.tokens_reserved);
        let limit = money(self.limit) + tokens(self.token_limit);
        // Nothing more goes through where nothing may be spent.
        let milli = (used * 1000).checked_div(limit).unwrap_or(1000);
        Some(i64::try_from(milli).unwrap_or(i64::MAX))
    }

    pub(crate) fn standing(standing: BudgetStanding) -> Result<Self> {
        let BudgetStanding { settings, purse, resets_at } = standing;
        let unit = settings.unit;
        let money = |amount: u64| (unit == Unit::Money).then(|| nano(amount));
        let tokens = |amount: u64| (unit == Unit::Tokens).then_some(Count(amount));
        Ok(Self {
            id: GlobalId::Budget(settings.key.to_string()).into(),
            key: settings.key.to_string(),
            description: settings.description.clone(),
            scope: BudgetScope::of(settings.scope.kind())?,
            of: settings.scope.of().map(str::to_owned),
            window: BudgetWindow::of(settings.window.name())?,
            limit: money(settings.limit),
            token_limit: tokens(settings.limit),
            warn_milli: settings.warn_milli,
            unpriced: settings.unpriced.map(nano),
            purse: purse.map(|purse| Purse {
                spent: money(purse.spent),
                tokens_spent: tokens(purse.spent),
                reserved: money(purse.reserved),
                tokens_reserved: tokens(purse.reserved),
                calls: Count(u64::try_from(purse.calls).unwrap_or(u64::MAX)),
            }),
            resets_at: resets_at.map(DateTime::from),
        })
    }
}

fn nano(amount: u64) -> NanoUsd {
    NanoUsd(i64::try_from(amount).unwrap_or(i64::MAX))
}
