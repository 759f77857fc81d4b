//! What people are asked, and what they said.

use async_graphql::{ComplexObject, Context, ID, InputObject, Result, SimpleObject};
use domain::Bilingual;
use domain::workflow::Work;
use projections::{ApprovalFilter as Filter, ApprovalRow, DecisionRow};
use uuid::Uuid;

use crate::loader::Loaders;
use crate::node::GlobalId;
use crate::order::some_of;
use crate::run::{Run, moment};
use crate::scalar::{Count, DateTime, Json};
use crate::status::{StepStatus, Verdict};
use crate::task::hex;
use crate::words::Language;

/// People decide whether a run goes on.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Approval {
    /// The global id, for `node`.
    pub(crate) id: ID,
    /// The id of the run.
    run_id: Uuid,
    /// The key of the run's workflow.
    workflow_key: String,
    /// Who started the run, as `kind:id`.
    run_actor: String,
    /// The name of the step that asks.
    pub(crate) step: String,
    #[graphql(skip)]
    title: Bilingual,
    /// Where that step stands; while it is `RUNNING`, decisions are waited for.
    status: StepStatus,
    #[graphql(skip)]
    question: Bilingual,
    /// Who may decide, each as `anyone`, `person:NAME` or `role:NAME`.
    approvers: Vec<String>,
    /// How many of them must agree.
    quorum: u32,
    /// Whether who started the run may decide too.
    own_run: bool,
    /// What a rejection means.
    on_rejection: Verdict,
    /// What it means when nobody has decided in time.
    on_expiry: Verdict,
    /// What is shown to those who decide.
    content: Json,
    /// BLAKE3 over the content as compact JSON, in hexadecimal; a decision names the content that it is about.
    content_hash: String,
    /// When it was asked.
    requested_at: DateTime,
    /// When it ends without the wanted decisions.
    expires_at: Option<DateTime>,
    /// Whether it has.
    expired: bool,
    /// How many have agreed so far.
    agreed: Count,
}

impl Approval {
    pub(crate) fn of(row: ApprovalRow) -> Result<Self> {
        let Work::Approval(asked) = row.definition.work else {
            return Err(crate::failure::unreadable("step with an approval", row.definition.work.kind()));
        };
        Ok(Self {
            id: GlobalId::Approval(row.run_id, row.step.clone()).into(),
            run_id: row.run_id,
            workflow_key: row.workflow_key,
            run_actor: row.actor,
            step: row.step,
            title: row.definition.title,
            status: StepStatus::of(&row.status)?,
            question: asked.question,
            approvers: asked.approvers.iter().map(ToString::to_string).collect(),
            quorum: asked.quorum,
            own_run: asked.own_run,
            on_rejection: Verdict::of_domain(asked.on_rejection),
            on_expiry: Verdict::of_domain(asked.on_expiry),
            content: async_graphql::Json(row.content),
            content_hash: hex(&row.content_hash),
            requested_at: moment(row.requested_at),
            expires_at: row.expires_at.map(moment),
            expired: row.expired,
            agreed: Count::of(row.agreed),
        })
    }
}

#[ComplexObject]
impl Approval {
    /// The title of that step.
    async fn title(&self, #[graphql(default)] language: Language) -> String {
        language.of(&self.title)
    }

    /// What is asked.
    async fn question(&self, #[graphql(default)] language: Language) -> String {
        language.of(&self.question)
    }

    /// The run.
    async fn run(&self, context: &Context<'_>) -> Result<Option<Run>> {
        Loaders::of(context)?.run(self.run_id).await
    }

    /// What was said so far, oldest first.
    #[graphql(complexity = "3 * child_complexity")]
    async fn decisions(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only those that agree, or only those that do not.")] approved: Option<bool>,
        #[graphql(desc = "The last one first.", default)] reversed: bool,
    ) -> Result<Vec<Decision>> {
        let decisions = Loaders::of(context)?.decisions(self.run_id, &self.step).await?;
        Ok(some_of(decisions, reversed, |decision| approved.is_none_or(|approved| approved == decision.approved)))
    }
}

/// What one person said.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Decision {
    /// Who, as `kind:id`.
    by: String,
    /// Yes or no.
    approved: bool,
    /// In their words.
    comment: String,
    /// BLAKE3 over what they saw, in hexadecimal.
    content_hash: String,
    /// When they decided.
    decided_at: DateTime,
}

impl From<DecisionRow> for Decision {
    fn from(row: DecisionRow) -> Self {
        Self {
            by: row.decided_by,
            approved: row.approved,
            comment: row.comment,
            content_hash: hex(&row.content_hash),
            decided_at: moment(row.at),
        }
    }
}

/// Which approvals are wanted; an empty filter wants all that wait for decisions.
#[derive(Debug, Clone, Default, InputObject)]
pub(crate) struct ApprovalFilter {
    /// Only those on which this person may decide by name, or because everybody may.
    person: Option<String>,
    /// Only those on which somebody with one of these roles may decide; together with `person`, either is enough.
    #[graphql(default)]
    roles: Vec<String>,
    /// Only of the workflow with this key.
    workflow: Option<String>,
    /// Only in this run.
    run_id: Option<Uuid>,
}

impl From<ApprovalFilter> for Filter {
    fn from(filter: ApprovalFilter) -> Self {
        let mut approvers: Vec<String> = filter.roles.iter().map(|role| format!("role:{role}")).collect();
        approvers.extend(filter.person.map(|person| format!("person:{person}")));
        if !approvers.is_empty() {
            approvers.push("anyone".to_owned());
        }
        Self { approvers, workflow_key: filter.workflow, run_id: filter.run_id }
    }
}
