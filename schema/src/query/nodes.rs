//! Anything by its global id.

use async_graphql::{Context, ID, Object, Result};
use commands::Commands;
use commands::webhooks::KnownWebhook;
use domain::{Category, SearchesId, StreamId, TriggerId, WebhookId};
use futures_util::future::try_join_all;
use uuid::Uuid;

use super::{correlation, head, journal, queries};
use crate::as_of::{AsOf, View, open};
use crate::budget::Budget;
use crate::event::Event;
use crate::failure::{self, Caller};
use crate::flow::Hold;
use crate::node::{GlobalId, Node};
use crate::page::MAX_PAGE;
use crate::platform::{all, known};
use crate::projector::Projector;
use crate::query::SavedSearch;
use crate::scalar::Position;
use crate::trigger::Trigger;
use crate::webhook::{Webhook, WebhookDelivery};

/// Anything by its global id.
#[derive(Default)]
pub(super) struct Nodes;

#[Object]
impl Nodes {
    /// Anything by its global id, as its field `id` gives it; null when there is nothing of this id. As of the past:
    /// runs, steps, approvals, tasks, attempts, action items, workflows, agents, templates, limits, holds and events.
    async fn node(
        &self,
        context: &Context<'_>,
        id: ID,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Option<Node>> {
        let id = read(&id)?;
        find(context, &open(context, min_position, as_of).await?, id).await
    }

    /// The same for many, in the order of their ids; at most 200.
    #[graphql(complexity = "ids.len().saturating_mul(child_complexity).saturating_add(1)")]
    async fn nodes(
        &self,
        context: &Context<'_>,
        ids: Vec<ID>,
        #[graphql(desc = "Reflect at least this position, as a mutation gave it.")] min_position: Option<Position>,
        #[graphql(desc = "Answer as of this moment, from the journal.")] as_of: Option<AsOf>,
    ) -> Result<Vec<Option<Node>>> {
        if ids.len() > MAX_PAGE as usize {
            return Err(failure::invalid(format!("`ids` may have {MAX_PAGE} entries at most")));
        }
        let ids = ids.iter().map(read).collect::<Result<Vec<_>>>()?;
        let view = open(context, min_position, as_of).await?;
        try_join_all(ids.into_iter().map(|id| find(context, &view, id))).await
    }
}

fn read(id: &ID) -> Result<GlobalId> {
    id.parse().map_err(|_| {
        let given: String = id.chars().take(80).collect();
        failure::invalid(format!("`{given}` names nothing; pass an `id` as the API gave it to you"))
    })
}

async fn find(context: &Context<'_>, view: &View, id: GlobalId) -> Result<Option<Node>> {
    let loaders = &view.loaders;
    Ok(match id {
        GlobalId::Stream(stream) => of_stream(context, view, stream).await?,
        GlobalId::Step(run, name) => {
            let mut steps = loaders.steps(run).await?.into_iter();
            steps.find(|step| step.name == name).map(Node::Step)
        }
        GlobalId::Approval(run, step) => {
            let mut approvals = loaders.approvals(run).await?.into_iter();
            approvals.find(|approval| approval.step == step).map(Node::Approval)
        }
        GlobalId::Attempt(task, number) => {
            let mut attempts = loaders.attempts(task).await?.into_iter();
            attempts.find(|attempt| attempt.number == number).map(Node::Attempt)
        }
        GlobalId::Action(id) => match i32::try_from(id.number) {
            Ok(number) => loaders.action(id.task.as_uuid(), number).await?.map(Node::Action),
            Err(_) => None,
        },
        GlobalId::Event(stream, revision) => event(context, view, stream, revision).await?.map(Node::Event),
        GlobalId::Hold(hold, number) => {
            let rows = match view.past() {
                Some(past) => past.holds_by_ids(&[(hold, number)]).await,
                None => queries(context)?.holds_by_ids(&[(hold, number)]).await,
            };
            let row = rows.map_err(|error| failure::query(context, &error))?.pop();
            row.map(Hold::of).transpose()?.map(Node::Hold)
        }
        GlobalId::Budget(key) => {
            now(view, "Budget")?;
            match key.parse() {
                Ok(key) => Budget::find(context, &key, None).await?.map(Node::Budget),
                Err(_) => None,
            }
        }
        GlobalId::Search(owner, name) => {
            now(view, "SavedSearch")?;
            // Everybody has their own, and sees no others.
            if owner == SearchesId::of(commands::TENANT, &Caller::of(context)?.actor).as_uuid() {
                SavedSearch::find(context, &name).await?.map(Node::Search)
            } else {
                None
            }
        }
        GlobalId::Platform(key) => {
            now(view, "Platform")?;
            all(&*known(context)?).into_iter().find(|platform| platform.is(&key)).map(Node::Platform)
        }
        GlobalId::Projector(name, slot) => {
            now(view, "Projector")?;
            let mut projectors = Projector::all(context, head(context).await?).await?.into_iter();
            projectors.find(|projector| projector.is(&name, &slot)).map(Node::Projector)
        }
    })
}

async fn of_stream(context: &Context<'_>, view: &View, stream: StreamId) -> Result<Option<Node>> {
    let (loaders, id) = (&view.loaders, stream.id);
    Ok(match stream.category {
        Category::Run => loaders.run(id).await?.map(Node::Run),
        Category::Task => loaders.task(id).await?.map(Node::Task),
        Category::Workflow => loaders.workflow_by_id(id).await?.map(Node::Workflow),
        Category::Agent => loaders.agent_by_id(id).await?.map(Node::Agent),
        Category::Template => loaders.template_by_id(id).await?.map(Node::Template),
        Category::Limit => loaders.limit_by_id(id).await?.map(Node::Limit),
        Category::Trigger => {
            now(view, "Trigger")?;
            let trigger = context.data::<Commands>()?.trigger_by_id(TriggerId::from_uuid(id)).await;
            let trigger = trigger.map_err(|error| failure::command(context, error))?;
            trigger.and_then(|trigger| Trigger::of(&trigger)).map(Node::Trigger)
        }
        Category::Webhook => {
            now(view, "Webhook")?;
            webhook(context, WebhookId::from_uuid(id)).await?.map(Node::Webhook)
        }
        Category::Delivery => {
            now(view, "WebhookDelivery")?;
            delivery(context, id).await?.map(Node::Delivery)
        }
        // What is in these streams is part of something else, or has ids of its own.
        Category::Slots
        | Category::Hold
        | Category::External
        | Category::Budget
        | Category::Purse
        | Category::Seal
        | Category::Denial
        | Category::Search
        | Category::Subject
        | Category::Action => None,
    })
}

/// A webhook as it is now.
pub(super) async fn webhook(context: &Context<'_>, id: WebhookId) -> Result<Option<Webhook>> {
    match context.data::<Commands>()?.webhook(id).await {
        Ok(webhook) => Ok(Webhook::of(&KnownWebhook { id, webhook })),
        Err(error) if error.code() == "WEBHOOK_NOT_FOUND" => Ok(None),
        Err(error) => Err(failure::command(context, error)),
    }
}

/// A delivery as the read model has it.
pub(super) async fn delivery(context: &Context<'_>, id: Uuid) -> Result<Option<WebhookDelivery>> {
    let rows = queries(context)?.deliveries_by_id(&[id]).await;
    let rows = rows.map_err(|error| failure::query(context, &error))?;
    rows.into_iter().next().map(WebhookDelivery::of).transpose()
}

/// An event, when it had been recorded by then.
async fn event(context: &Context<'_>, view: &View, stream: StreamId, revision: u64) -> Result<Option<Event>> {
    let found = journal(context)?.read_stream(stream, revision, 1).await;
    let found = found.map_err(|error| failure::read(correlation(context), &error))?.pop();
    let there = |event: &journal::Position| view.past().is_none_or(|past| *event <= past.position());
    Ok(found.filter(|event| event.revision == revision && there(&event.position)).map(Event::from))
}

/// Refuses what cannot be told of the past.
fn now(view: &View, what: &str) -> Result<()> {
    if view.past().is_some() { Err(failure::now_only(what)) } else { Ok(()) }
}
