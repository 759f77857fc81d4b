//! What was found by its words.

use async_graphql::{ComplexObject, Context, Enum, ID, Result, SimpleObject};
use domain::Category;
use projections::FoundRow;
use uuid::Uuid;

use crate::action::TrackedAction;
use crate::failure;
use crate::loader::Loaders;
use crate::node::{Node, global_id};
use crate::run::{Run, moment};
use crate::scalar::{DateTime, Position};

/// What has texts that are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum SearchKind {
    /// Workflows: key, name, description, department, tags and the titles of their steps, of the newest version.
    Workflow,
    /// Agents: key, name, description, department, tags and prompt, of the newest version.
    Agent,
    /// Templates: key, title, description, department, tags and instructions, of the newest version.
    Template,
    /// Runs: the workflow and the input.
    Run,
    /// Tasks: the step and the parameters.
    Task,
    /// The outputs of runs that completed.
    RunOutput,
    /// What platforms have answered.
    TaskOutput,
    /// Action items: what has to be done, their owner and their note, as they are now.
    ActionItem,
}

impl SearchKind {
    /// The name in the read model.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Workflow => "workflow",
            Self::Agent => "agent",
            Self::Template => "template",
            Self::Run => "run",
            Self::Task => "task",
            Self::RunOutput => "run_output",
            Self::TaskOutput => "task_output",
            Self::ActionItem => "action_item",
        }
    }

    fn of(name: &str) -> Result<Self> {
        const ALL: [SearchKind; 8] = [
            SearchKind::Workflow,
            SearchKind::Agent,
            SearchKind::Template,
            SearchKind::Run,
            SearchKind::Task,
            SearchKind::RunOutput,
            SearchKind::TaskOutput,
            SearchKind::ActionItem,
        ];
        ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| failure::unreadable("kind of document", name))
    }

    /// Of what the id is.
    fn category(self) -> Category {
        match self {
            Self::Workflow => Category::Workflow,
            Self::Agent => Category::Agent,
            Self::Template => Category::Template,
            Self::Run | Self::RunOutput => Category::Run,
            Self::Task | Self::TaskOutput | Self::ActionItem => Category::Task,
        }
    }
}

/// What was found.
#[derive(Debug, SimpleObject)]
pub(crate) struct SearchResult {
    /// What fits, the best first.
    pub(crate) hits: Vec<SearchHit>,
    /// Whether there is more, which was left out; look for more words, or for fewer kinds.
    pub(crate) has_more: bool,
    /// The journal's position that this reflects at least.
    pub(crate) position: Position,
}

/// Something that was found.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(crate) struct SearchHit {
    /// What it is.
    kind: SearchKind,
    /// The global id of the workflow, agent, template, run, task or action item, for `node`.
    node_id: ID,
    /// The name that people read, or a key; of an action item, what has to be done.
    label: String,
    /// Of tasks, what was answered and action items: the id of the run.
    run_id: Option<Uuid>,
    /// Of tasks, what was answered and action items: the step.
    step: Option<String>,
    /// When it was last written.
    at: DateTime,
    /// How well it fits; only for comparing within one answer.
    rank: f64,
    /// Where the words stand, each between `«` and `»`.
    excerpt: String,
    #[graphql(skip)]
    id: Uuid,
    #[graphql(skip)]
    number: Option<i32>,
}

impl SearchHit {
    pub(crate) fn of(row: FoundRow) -> Result<Self> {
        let kind = SearchKind::of(&row.kind)?;
        Ok(Self {
            kind,
            node_id: match row.number {
                Some(number) => TrackedAction::global_id(row.id, number)?,
                None => global_id(kind.category(), row.id),
            },
            label: row.label,
            run_id: row.run_id,
            step: row.step,
            at: moment(row.at),
            rank: row.rank.into(),
            excerpt: row.excerpt,
            id: row.id,
            number: row.number,
        })
    }
}

#[ComplexObject]
impl SearchHit {
    /// The workflow, agent, template, run, task or action item.
    async fn node(&self, context: &Context<'_>) -> Result<Option<Node>> {
        let loaders = Loaders::of(context)?;
        Ok(match self.kind {
            SearchKind::Workflow => loaders.workflow_by_id(self.id).await?.map(Node::Workflow),
            SearchKind::Agent => loaders.agent_by_id(self.id).await?.map(Node::Agent),
            SearchKind::Template => loaders.template_by_id(self.id).await?.map(Node::Template),
            SearchKind::Run | SearchKind::RunOutput => loaders.run(self.id).await?.map(Node::Run),
            SearchKind::Task | SearchKind::TaskOutput => loaders.task(self.id).await?.map(Node::Task),
            SearchKind::ActionItem => match self.number {
                Some(number) => loaders.action(self.id, number).await?.map(Node::Action),
                None => None,
            },
        })
    }

    /// The action item, when it is one.
    async fn action_item(&self, context: &Context<'_>) -> Result<Option<TrackedAction>> {
        match self.number {
            Some(number) => Loaders::of(context)?.action(self.id, number).await,
            None => Ok(None),
        }
    }

    /// The run, of runs, tasks, what was answered and action items.
    async fn run(&self, context: &Context<'_>) -> Result<Option<Run>> {
        let id = if self.kind.category() == Category::Run { Some(self.id) } else { self.run_id };
        match id {
            Some(id) => Loaders::of(context)?.run(id).await,
            None => Ok(None),
        }
    }
}
