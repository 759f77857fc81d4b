//! Saved searches, straight from the journal, and what they find.
//!
//! A search keeps the filter and the order in the words of this API. Both are checked before it is saved, and again
//! when it is asked: what this version does not know any more is refused, and nothing else is shown instead.

use std::cmp::Reverse;
use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Enum, ID, InputObject, InputType, Object, Result, SimpleObject};
use commands::Commands;
use domain::SearchesId;
use domain::search::{Kept, SavedSearch as Search, SearchList as List};
use projections::Window;
use serde_json::Value;
use uuid::Uuid;

use super::entities::Entities;
use super::filter::{AgentFilter, AttemptFilter, RunFilter, TaskFilter, TemplateFilter, WorkflowFilter};
use super::head;
use super::insight::Insight;
use super::steering::Steering;
use super::work::Work;
use crate::agent::Agent;
use crate::approval::{Approval, ApprovalFilter};
use crate::failure::{self, Caller};
use crate::node::GlobalId;
use crate::order::{ApprovalOrder, AttemptOrder, CatalogOrder, Cursor, RunOrder, TaskOrder, held};
use crate::page::{Arguments, Pages, connection, cost};
use crate::run::Run;
use crate::scalar::{DateTime, Json, Position};
use crate::search::{SearchKind, SearchResult};
use crate::task::{Attempt, Task};
use crate::template::Template;
use crate::workflow::Workflow;

/// What a saved search looks through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum SearchList {
    /// `runs`, with a `RunFilter` and a `RunOrder`.
    Runs,
    /// `tasks`, with a `TaskFilter` and a `TaskOrder`.
    Tasks,
    /// `attempts`, with an `AttemptFilter` and an `AttemptOrder`.
    Attempts,
    /// `workflows`, with a `WorkflowFilter` and a `CatalogOrder`.
    Workflows,
    /// `agents`, with an `AgentFilter` and a `CatalogOrder`.
    Agents,
    /// `templates`, with a `TemplateFilter` and a `CatalogOrder`.
    Templates,
    /// `approvals`, with an `ApprovalFilter` and an `ApprovalOrder`.
    Approvals,
    /// `search`, for its words; the filter may name `kinds`, a list of `SearchKind`.
    Texts,
}

impl SearchList {
    const ALL: [(Self, List); 8] = [
        (Self::Runs, List::Runs),
        (Self::Tasks, List::Tasks),
        (Self::Attempts, List::Attempts),
        (Self::Workflows, List::Workflows),
        (Self::Agents, List::Agents),
        (Self::Templates, List::Templates),
        (Self::Approvals, List::Approvals),
        (Self::Texts, List::Texts),
    ];

    fn domain(self) -> List {
        Self::ALL.into_iter().find(|(shown, _)| *shown == self).map_or(List::Texts, |(_, list)| list)
    }

    fn of_domain(list: List) -> Self {
        Self::ALL.into_iter().find(|(_, known)| *known == list).map_or(Self::Texts, |(shown, _)| shown)
    }
}

/// In which order saved searches come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum SearchOrder {
    /// By name.
    Name,
    /// The one that was saved last first.
    Saved,
}

/// Which saved searches are wanted; an empty filter wants all.
#[derive(Debug, Clone, Default, InputObject)]
struct SavedSearchFilter {
    /// Only with this text in the name, whatever the case.
    text: Option<String>,
    /// Only those that look through this.
    list: Option<SearchList>,
}

impl SavedSearchFilter {
    fn wants(&self, search: &SavedSearch) -> bool {
        let text = self.text.as_ref().map(|text| text.to_lowercase());
        self.list.is_none_or(|list| list == search.list)
            && text.is_none_or(|text| search.name.to_lowercase().contains(&text))
    }
}

/// A search to save; one of this name is changed.
#[derive(Debug, InputObject)]
pub(crate) struct SaveSearchInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    pub(crate) client_mutation_id: Option<Uuid>,
    /// Its name, 1 to 100 characters, unique among yours.
    name: String,
    /// What it looks through.
    list: SearchList,
    /// Which entries are wanted: the filter of that list, as an object.
    filter: Option<Json>,
    /// In which order they come: a word of the list's order; null takes the usual one.
    order_by: Option<String>,
    /// Whether the order is turned around.
    #[graphql(default)]
    reversed: bool,
    /// The words that are looked for in `TEXTS`; for a list, give the text in its filter.
    #[graphql(default)]
    words: String,
}

impl SaveSearchInput {
    /// The search, once this API has understood all of it.
    pub(crate) fn into_search(self) -> Result<Search> {
        let filter = self.filter.map_or_else(|| Value::Object(serde_json::Map::new()), |filter| filter.0);
        let search = Search {
            name: self.name,
            list: self.list.domain(),
            filter: Arc::new(filter),
            order: self.order_by,
            reversed: self.reversed,
            words: self.words,
        };
        match search.list {
            List::Runs => understood::<RunFilter, RunOrder>(&search, RunOrder::Started),
            List::Tasks => understood::<TaskFilter, TaskOrder>(&search, TaskOrder::Created),
            List::Attempts => understood::<AttemptFilter, AttemptOrder>(&search, AttemptOrder::Started),
            List::Workflows => understood::<WorkflowFilter, CatalogOrder>(&search, CatalogOrder::Key),
            List::Agents => understood::<AgentFilter, CatalogOrder>(&search, CatalogOrder::Key),
            List::Templates => understood::<TemplateFilter, CatalogOrder>(&search, CatalogOrder::Key),
            List::Approvals => understood::<ApprovalFilter, ApprovalOrder>(&search, ApprovalOrder::Requested),
            List::Texts => read::<TextFilter>(&search).map(|_| ()),
        }?;
        Ok(search)
    }
}

/// Which texts are wanted.
#[derive(Debug, Clone, Default, InputObject)]
struct TextFilter {
    /// Only these kinds; empty means all.
    #[graphql(default)]
    kinds: Vec<SearchKind>,
}

fn understood<F: InputType, O: InputType>(search: &Search, usual: O) -> Result<()> {
    read::<F>(search)?;
    order(search, usual)?;
    Ok(())
}

fn refused(what: String) -> async_graphql::Error {
    failure::refused("SEARCH_INVALID", format!("the search cannot be asked: {what}"))
}

/// The filter, in which nothing may stand that the list does not know.
fn read<F: InputType>(search: &Search) -> Result<F> {
    let given = async_graphql::Value::from_json((*search.filter).clone())?;
    let filter = F::parse(Some(given)).map_err(|error| {
        let message = error.into_server_error(async_graphql::Pos::default()).message;
        refused(format!("`filter`: {message}"))
    })?;
    if let (async_graphql::Value::Object(known), Some(given)) = (filter.to_value(), search.filter.as_object())
        && let Some(unknown) = given.keys().find(|name| !known.contains_key(name.as_str()))
    {
        let known: Vec<&str> = known.keys().map(|name| name.as_str()).collect();
        return Err(refused(format!("`filter` has `{unknown}`, but knows only {}", known.join(", "))));
    }
    Ok(filter)
}

/// The order, the usual one when it names none.
fn order<O: InputType>(search: &Search, usual: O) -> Result<O> {
    let Some(name) = &search.order else { return Ok(usual) };
    O::parse(Some(async_graphql::Value::String(name.clone()))).map_err(|error| {
        let message = error.into_server_error(async_graphql::Pos::default()).message;
        refused(format!("`orderBy`: {message}"))
    })
}

/// What somebody looks for again and again. Of the lists, the one that it looks through is not null.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct SavedSearch {
    /// The global id, for `node`.
    pub(crate) id: ID,
    /// Its name.
    name: String,
    /// What it looks through.
    list: SearchList,
    /// Which entries are wanted.
    filter: Json,
    /// In which order they come; null is the usual one.
    order_by: Option<String>,
    /// Whether the order is turned around.
    reversed: bool,
    /// The words that are looked for in `TEXTS`.
    words: String,
    /// When it was saved first.
    created_at: DateTime,
    /// When it was saved last.
    saved_at: DateTime,
    #[graphql(skip)]
    kept: Arc<Kept>,
}

impl SavedSearch {
    fn of(owner: SearchesId, kept: Arc<Kept>) -> Self {
        let search = &kept.search;
        Self {
            id: GlobalId::Search(owner.as_uuid(), search.name.clone()).into(),
            name: search.name.clone(),
            list: SearchList::of_domain(search.list),
            filter: async_graphql::Json((*search.filter).clone()),
            order_by: search.order.clone(),
            reversed: search.reversed,
            words: search.words.clone(),
            created_at: kept.created_at.into(),
            saved_at: kept.saved_at.into(),
            kept,
        }
    }

    /// What the caller has saved under a name.
    pub(crate) async fn find(context: &Context<'_>, name: &str) -> Result<Option<Self>> {
        Ok(Self::all(context).await?.into_iter().find(|search| search.name == name))
    }

    /// What the caller has saved, by name.
    async fn all(context: &Context<'_>) -> Result<Vec<Self>> {
        let actor = &Caller::of(context)?.actor;
        let known = context.data::<Commands>()?.searches(actor).await;
        let known = known.map_err(|error| failure::command(context, error))?;
        let owner = SearchesId::of(commands::TENANT, actor);
        Ok(known.into_iter().map(|kept| Self::of(owner, kept)).collect())
    }
}

/// Makes the fields that ask a list what a search asks.
macro_rules! found {
    ($($(#[$doc:meta])* $name:ident: $list:ident of $node:ty, $filter:ty, $usual:expr =>
        $source:ident.$ask:ident($($past:expr)?);)*) => {
        #[ComplexObject]
        impl SavedSearch {
            $(
                $(#[$doc])*
                #[graphql(complexity = "cost(first, last, child_complexity)")]
                async fn $name(
                    &self,
                    context: &Context<'_>,
                    #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
                    #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
                    #[graphql(desc = "At most so many from the start, 0 to 200; 50 when nothing is said.")]
                    first: Option<i32>,
                    #[graphql(desc = "At most so many from the end, 0 to 200.")] last: Option<i32>,
                    #[graphql(desc = "Reflect at least this position, as a mutation gave it.")]
                    min_position: Option<Position>,
                ) -> Result<Option<Pages<Cursor, $node>>> {
                    let search = &self.kept.search;
                    if search.list != List::$list {
                        return Ok(None);
                    }
                    let (filter, order) = (read::<$filter>(search)?, order(search, $usual)?);
                    let found = $source.$ask(
                        context, Some(filter), after, before, first, last, order, search.reversed, min_position
                        $(, $past)?
                    );
                    found.await.map(Some)
                }
            )*

            /// What is found in texts; null unless it looks through them.
            #[graphql(complexity = "cost(first, None, child_complexity)")]
            async fn hits(
                &self,
                context: &Context<'_>,
                #[graphql(desc = "At most so many, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
                #[graphql(desc = "Reflect at least this position, as a mutation gave it.")]
                min_position: Option<Position>,
            ) -> Result<Option<SearchResult>> {
                let search = &self.kept.search;
                if search.list != List::Texts {
                    return Ok(None);
                }
                let kinds = read::<TextFilter>(search)?.kinds;
                Insight.search(context, search.words.clone(), kinds, first, min_position).await.map(Some)
            }
        }
    };
}

found! {
    /// The runs that it finds.
    runs: Runs of Run, RunFilter, RunOrder::Started => Entities.runs(None);
    /// The tasks that it finds.
    tasks: Tasks of Task, TaskFilter, TaskOrder::Created => Work.tasks(None);
    /// The attempts that it finds.
    attempts: Attempts of Attempt, AttemptFilter, AttemptOrder::Started => Work.attempts(None);
    /// The workflows that it finds.
    workflows: Workflows of Workflow, WorkflowFilter, CatalogOrder::Key => Entities.workflows(None);
    /// The agents that it finds.
    agents: Agents of Agent, AgentFilter, CatalogOrder::Key => Entities.agents(None);
    /// The templates that it finds.
    templates: Templates of Template, TemplateFilter, CatalogOrder::Key => Entities.templates(None);
    /// The open approvals that it finds.
    approvals: Approvals of Approval, ApprovalFilter, ApprovalOrder::Requested => Steering.approvals(None);
}

/// Saved searches.
#[derive(Default)]
pub(super) struct Searches;

#[Object]
impl Searches {
    /// What you have saved under this name; null when there is nothing.
    async fn saved_search(&self, context: &Context<'_>, name: String) -> Result<Option<SavedSearch>> {
        SavedSearch::find(context, &name).await
    }

    /// What you have saved, by name unless said otherwise.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    async fn saved_searches(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only these.")] filter: Option<SavedSearchFilter>,
        #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
        #[graphql(desc = "At most so many from the start, 0 to 200; 50 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "At most so many from the end, 0 to 200.")] last: Option<i32>,
        #[graphql(desc = "In which order.", default_with = "SearchOrder::Name")] order_by: SearchOrder,
        #[graphql(desc = "In the opposite order; cursors are the same.", default)] reversed: bool,
    ) -> Result<Pages<Cursor, SavedSearch>> {
        let window: Window<Cursor> = Arguments { after, before, first, last }.window()?;
        let position = head(context).await?;
        let filter = filter.unwrap_or_default();
        let mut searches = SavedSearch::all(context).await?;
        searches.retain(|search| filter.wants(search));
        let name = |search: &SavedSearch| search.name.clone();
        let page = match order_by {
            SearchOrder::Name => held(searches, &window, reversed, "name", name),
            SearchOrder::Saved => held(searches, &window, reversed, "saved", |search| {
                (Reverse(search.kept.saved_at.as_micros()), name(search))
            }),
        };
        connection(page?, &window, position, Ok)
    }
}
