//! The plans of workflow versions. A version never changes, so what has been read of one is kept.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use domain::Step;
use lru::LruCache;
use parking_lot::Mutex;
use sqlx::types::Json;
use uuid::Uuid;

use super::Queries;
use crate::{Error, StepRow};

/// Of how many versions the plans are kept at most: those that were asked for last.
const KEPT: NonZeroUsize = NonZeroUsize::new(512).unwrap();

/// A version of a workflow: the workflow's id and the number.
pub(super) type Version = (Uuid, i32);

/// What a version says of one step.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) ordinal: i32,
    pub(super) step: String,
    pub(super) kind: String,
    pub(super) agent_key: Option<String>,
    pub(super) template_key: Option<String>,
    pub(super) needs: Vec<String>,
    pub(super) definition: Arc<Step>,
}

impl Planned {
    /// The step in a run that has not reached it.
    pub(super) fn pending(&self, run_id: Uuid) -> StepRow {
        StepRow {
            run_id,
            name: self.step.clone(),
            ordinal: self.ordinal,
            kind: self.kind.clone(),
            status: "pending".to_owned(),
            task_id: None,
            agent_key: self.agent_key.clone(),
            template_key: self.template_key.clone(),
            needs: self.needs.clone(),
            definition: Arc::clone(&self.definition),
            output: None,
            simulated: false,
            error_kind: None,
            error_message: None,
            skip_reason: None,
            deadline: None,
            started_at: None,
            ended_at: None,
            fires_at: None,
            signal: None,
            child_id: None,
            abandoned: false,
            items: None,
            items_running: 0,
            items_completed: 0,
            items_failed: 0,
            undo_task_id: None,
            undo_status: None,
            undo_error_kind: None,
            undo_error_message: None,
            undo_started_at: None,
            undo_ended_at: None,
            position: None,
        }
    }
}

/// The plans that are kept; cheap to clone, and shared by the clones.
#[derive(Debug, Clone)]
pub(super) struct Plans(Arc<Mutex<LruCache<Version, Arc<[Planned]>>>>);

impl Default for Plans {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(LruCache::new(KEPT))))
    }
}

impl Queries {
    /// The steps of versions in the order of their definitions; unknown versions are left out.
    pub(super) async fn plans(
        &self,
        versions: impl IntoIterator<Item = Version>,
    ) -> Result<HashMap<Version, Arc<[Planned]>>, Error> {
        let mut found = HashMap::new();
        let mut missing = Vec::new();
        {
            let mut kept = self.plans.0.lock();
            for version in versions {
                if found.contains_key(&version) || missing.contains(&version) {
                    continue;
                }
                match kept.get(&version) {
                    Some(plan) => drop(found.insert(version, Arc::clone(plan))),
                    None => missing.push(version),
                }
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let (workflows, numbers): (Vec<Uuid>, Vec<i32>) = missing.into_iter().unzip();
        let rows = sqlx::query!(
            r#"SELECT p.workflow_id, p.version, p.ordinal, p.step, p.kind, p.agent_key, p.template_key, p.needs,
                p.definition AS "definition: Json<Step>"
            FROM read_runs.plans p
            JOIN unnest($1::uuid[], $2::integer[]) AS wanted (workflow_id, version) USING (workflow_id, version)
            ORDER BY p.workflow_id, p.version, p.ordinal"#,
            &workflows,
            &numbers
        );
        let mut read: HashMap<Version, Vec<Planned>> = HashMap::new();
        for row in rows.fetch_all(&self.pool).await? {
            read.entry((row.workflow_id, row.version)).or_default().push(Planned {
                ordinal: row.ordinal,
                step: row.step,
                kind: row.kind,
                agent_key: row.agent_key,
                template_key: row.template_key,
                needs: row.needs,
                definition: Arc::new(row.definition.0),
            });
        }
        let mut kept = self.plans.0.lock();
        for (version, plan) in read {
            let plan: Arc<[Planned]> = plan.into();
            kept.put(version, Arc::clone(&plan));
            found.insert(version, plan);
        }
        Ok(found)
    }
}
