//! Batched reads: what many entries of one answer need is asked for in one query per kind.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use async_graphql::dataloader::{DataLoader, Loader};
use async_graphql::{Context, Result};
use domain::Key;
use projections::{
    AgentMetricsRow, AgentRow, AgentVersionRow, AttemptRow, Error, Queries, RunRow, StepRow, TaskRow, TemplateRow,
    TemplateVersionRow, WorkflowRow, WorkflowVersionRow,
};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::agent::{Agent, AgentMetrics, AgentVersion};
use crate::failure;
use crate::run::{Run, Step};
use crate::task::{Attempt, Task};
use crate::template::{Template, TemplateVersion};
use crate::workflow::{Workflow, WorkflowVersion};

/// A failed batch. It was logged once under this id, however many fields wait for it.
#[derive(Debug, Clone)]
pub(crate) struct Failed(Uuid);

struct Reader {
    queries: Queries,
}

/// Declares a key, and how the rows behind many of them are read and sorted to their keys.
macro_rules! one {
    ($key:ident => $row:ty, $read:ident by $field:ident) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        struct $key(Uuid);

        impl Loader<$key> for Reader {
            type Value = $row;
            type Error = Failed;

            async fn load(&self, keys: &[$key]) -> Result<HashMap<$key, Self::Value>, Self::Error> {
                let ids: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
                let rows = self.queries.$read(&ids).await.map_err(logged)?;
                Ok(rows.into_iter().map(|row| ($key(row.$field), row)).collect())
            }
        }
    };
}

macro_rules! many {
    ($key:ident => $row:ty, $read:ident by $field:ident) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        struct $key(Uuid);

        impl Loader<$key> for Reader {
            type Value = Arc<Vec<$row>>;
            type Error = Failed;

            async fn load(&self, keys: &[$key]) -> Result<HashMap<$key, Self::Value>, Self::Error> {
                let ids: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
                let mut groups: HashMap<$key, Vec<$row>> = HashMap::new();
                for row in self.queries.$read(&ids).await.map_err(logged)? {
                    groups.entry($key(row.$field)).or_default().push(row);
                }
                Ok(groups.into_iter().map(|(key, rows)| (key, Arc::new(rows))).collect())
            }
        }
    };
}

one!(RunById => RunRow, runs_by_ids by id);
one!(TaskById => TaskRow, tasks_by_ids by id);
one!(AgentById => AgentRow, agents_by_ids by id);
one!(TemplateById => TemplateRow, templates_by_ids by id);
one!(WorkflowById => WorkflowRow, workflows_by_ids by id);
one!(MetricsOfAgent => AgentMetricsRow, agent_metrics by agent_id);
many!(StepsOfRun => StepRow, steps_of_runs by run_id);
many!(AttemptsOfTask => AttemptRow, attempts_of_tasks by task_id);
many!(VersionsOfAgent => AgentVersionRow, agent_versions by agent_id);
many!(VersionsOfTemplate => TemplateVersionRow, template_versions by template_id);
many!(VersionsOfWorkflow => WorkflowVersionRow, workflow_versions by workflow_id);

fn logged(error: Error) -> Failed {
    let id = Uuid::now_v7();
    tracing::error!(correlation = %id, error = &error as &dyn std::error::Error, "a read model could not be read");
    Failed(id)
}

/// The batched reads of the whole schema. Nothing is cached: each answer reads the rows anew.
pub(crate) struct Loaders {
    loader: DataLoader<Reader>,
}

impl Loaders {
    pub(crate) fn new(queries: Queries) -> Self {
        let tracker = TaskTracker::new();
        Self { loader: DataLoader::new(Reader { queries }, move |batch| tracker.spawn(batch)) }
    }

    pub(crate) fn of<'a>(context: &Context<'a>) -> Result<&'a Self> {
        context.data::<Self>()
    }

    async fn one<K>(&self, key: K) -> Result<Option<<Reader as Loader<K>>::Value>>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        Reader: Loader<K, Error = Failed>,
    {
        self.loader.load_one(key).await.map_err(|Failed(id)| failure::opaque(id))
    }

    pub(crate) async fn run(&self, id: Uuid) -> Result<Option<Run>> {
        self.one(RunById(id)).await?.map(Run::of).transpose()
    }

    pub(crate) async fn steps(&self, run: Uuid) -> Result<Vec<Step>> {
        rows(self.one(StepsOfRun(run)).await?).map(Step::of).collect()
    }

    pub(crate) async fn task(&self, id: Uuid) -> Result<Option<Task>> {
        self.one(TaskById(id)).await?.map(Task::of).transpose()
    }

    pub(crate) async fn attempts(&self, task: Uuid) -> Result<Vec<Attempt>> {
        rows(self.one(AttemptsOfTask(task)).await?).map(Attempt::of).collect()
    }

    pub(crate) async fn agent(&self, key: &str) -> Result<Option<Agent>> {
        match id_of(key, domain::AgentId::from_key) {
            Some(id) => self.agent_by_id(id.as_uuid()).await,
            None => Ok(None),
        }
    }

    pub(crate) async fn agent_by_id(&self, id: Uuid) -> Result<Option<Agent>> {
        Ok(self.one(AgentById(id)).await?.map(Agent::from))
    }

    pub(crate) async fn agent_versions(&self, agent: Uuid) -> Result<Vec<AgentVersion>> {
        Ok(rows(self.one(VersionsOfAgent(agent)).await?).map(AgentVersion::from).collect())
    }

    pub(crate) async fn agent_metrics(&self, agent: Uuid) -> Result<Option<AgentMetrics>> {
        Ok(self.one(MetricsOfAgent(agent)).await?.map(AgentMetrics::from))
    }

    pub(crate) async fn template(&self, key: &str) -> Result<Option<Template>> {
        match id_of(key, domain::TemplateId::from_key) {
            Some(id) => self.template_by_id(id.as_uuid()).await,
            None => Ok(None),
        }
    }

    pub(crate) async fn template_by_id(&self, id: Uuid) -> Result<Option<Template>> {
        Ok(self.one(TemplateById(id)).await?.map(Template::from))
    }

    pub(crate) async fn template_versions(&self, template: Uuid) -> Result<Vec<TemplateVersion>> {
        Ok(rows(self.one(VersionsOfTemplate(template)).await?).map(TemplateVersion::from).collect())
    }

    pub(crate) async fn workflow(&self, key: &str) -> Result<Option<Workflow>> {
        match id_of(key, domain::WorkflowId::from_key) {
            Some(id) => self.workflow_by_id(id.as_uuid()).await,
            None => Ok(None),
        }
    }

    pub(crate) async fn workflow_by_id(&self, id: Uuid) -> Result<Option<Workflow>> {
        self.one(WorkflowById(id)).await?.map(Workflow::of).transpose()
    }

    pub(crate) async fn workflow_versions(&self, workflow: Uuid) -> Result<Vec<WorkflowVersion>> {
        Ok(rows(self.one(VersionsOfWorkflow(workflow)).await?).map(WorkflowVersion::from).collect())
    }
}

/// The id that belongs to a key; nothing when the text is no key, because then nothing can be registered under it.
fn id_of<T>(key: &str, of: impl Fn(&Key) -> T) -> Option<T> {
    key.parse().ok().map(|key| of(&key))
}

fn rows<R: Clone>(rows: Option<Arc<Vec<R>>>) -> impl Iterator<Item = R> {
    rows.map(Arc::unwrap_or_clone).unwrap_or_default().into_iter()
}
