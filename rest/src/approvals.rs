//! Approvals: what waits for people, and their decisions.

use actix_web::web::{self, Path, ServiceConfig};
use commands::DecideApproval;
use domain::RunId;
use projections::{ApprovalFilter, ApprovalRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::problem::{Details, only};
use crate::run::{Run, moment, text};
use crate::start::Accepted;
use crate::steer::{step, told};
use crate::{Answer, Call, Cursor, Json, Params, Problem, page};

pub(crate) fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/approvals").route(web::get().to(list)).default_service(only("GET")));
    let approve = web::resource("/approvals/{run}/{step}/approve").route(web::post().to(approve));
    let reject = web::resource("/approvals/{run}/{step}/reject").route(web::post().to(reject));
    config.service(approve.default_service(only("POST"))).service(reject.default_service(only("POST")));
}

/// What people are asked in a step.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Approval {
    /// The run.
    run: Uuid,
    /// The step that asks.
    step: String,
    /// The key of the workflow.
    workflow: String,
    /// Who started the run, as `kind:id`.
    actor: String,
    /// What is shown to those who decide.
    content: Value,
    /// The hash of the content, in hexadecimal: a decision names what it is about.
    content_hash: String,
    /// When it was asked.
    #[schema(format = DateTime)]
    requested_at: Option<String>,
    /// When it ends without the wanted decisions.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// How many have agreed.
    agreed: i64,
}

/// A page of approvals.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApprovalPage {
    /// The approvals of this page.
    items: Vec<Approval>,
    /// Pass it as `after` for the next page; null when this is the last one.
    next: Option<String>,
}

/// Which approvals are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListApprovals {
    /// Only those that one of these may decide on, separated by commas: `anyone`, `person:NAME` or `role:NAME`.
    approver: Option<String>,
    /// Only of the workflow with this key.
    workflow: Option<String>,
    /// Only in this run.
    run: Option<Uuid>,
    /// How many, 50 when nothing is said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
    /// The position that the answer has to reflect.
    min_position: Option<u64>,
}

/// Lists the approvals that wait for decisions, the one that was asked longest ago first.
#[utoipa::path(
    get, path = "/api/v1/approvals", tag = "approvals", params(ListApprovals),
    responses(
        (status = 200, description = "A page of approvals.", body = ApprovalPage),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(call: Call, params: Params<ListApprovals>) -> Result<Answer, Problem> {
    let Params(params) = params;
    let approvers = text("approver", params.approver)?.unwrap_or_default();
    let filter = ApprovalFilter {
        approvers: approvers.split(',').filter(|approver| !approver.is_empty()).map(str::to_owned).collect(),
        workflow_key: text("workflow", params.workflow)?,
        run_id: params.run,
    };
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let call = within;
            let cursor = Cursor { limit: params.limit, after: params.after.as_deref(), reversed: false };
            let window = cursor.window::<(i64, Uuid, String)>()?;
            // What a cursor holds comes from outside.
            text("after", window.after.as_ref().map(|(_, _, step)| step.clone()))?;
            let position = call.fresh(params.min_position).await?;
            let found = call.api.queries().open_approvals(&filter, &window).await;
            let found = found.map_err(|error| Problem::query(call.correlation, &error))?;
            page(&call, cursor, found, position, |row: ApprovalRow| {
                let key = (row.requested_at, row.run_id, row.step.clone());
                let approval = Approval {
                    run: row.run_id,
                    step: row.step,
                    workflow: row.workflow_key,
                    actor: row.actor,
                    content: row.content,
                    content_hash: row.content_hash.iter().map(|byte| format!("{byte:02x}")).collect(),
                    requested_at: moment(row.requested_at),
                    expires_at: row.expires_at.and_then(moment),
                    agreed: row.agreed,
                };
                (key, approval)
            })
        })
        .await
}

/// A decision.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DecisionBody {
    /// The `contentHash` of the approval as it was seen: the decision is refused when the content is another by now.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    content_hash: String,
    /// In the words of who decides.
    #[serde(default)]
    comment: String,
    /// The roles of who decides. Until there is access control the server believes them.
    #[serde(default)]
    roles: Vec<String>,
}

/// Agrees.
#[utoipa::path(
    post, path = "/api/v1/approvals/{run}/{step}/approve", tag = "approvals", request_body = DecisionBody,
    params(("run" = Uuid, Path, description = "Which run."), ("step" = String, Path, description = "Which step of it."),
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$")),
    responses(
        (status = 200, description = "The run.", body = Run),
        (status = 202, description = "It is done and will show in a moment.", body = Accepted),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn approve(call: Call, at: Path<(Uuid, String)>, body: Json<DecisionBody>) -> Result<Answer, Problem> {
    decided(call, at.into_inner(), body, true).await
}

/// Disagrees.
#[utoipa::path(
    post, path = "/api/v1/approvals/{run}/{step}/reject", tag = "approvals", request_body = DecisionBody,
    params(("run" = Uuid, Path, description = "Which run."), ("step" = String, Path, description = "Which step of it."),
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this request.",
            min_length = 1, max_length = 255, pattern = "^[ -~]+$")),
    responses(
        (status = 200, description = "The run.", body = Run),
        (status = 202, description = "It is done and will show in a moment.", body = Accepted),
        (status = "default", description = "A problem.", body = Details, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn reject(call: Call, at: Path<(Uuid, String)>, body: Json<DecisionBody>) -> Result<Answer, Problem> {
    decided(call, at.into_inner(), body, false).await
}

async fn decided(
    call: Call,
    (run, name): (Uuid, String),
    body: Json<DecisionBody>,
    approved: bool,
) -> Result<Answer, Problem> {
    let Json { value, bytes } = body;
    let DecisionBody { content_hash, comment, roles } = value;
    let decision = DecideApproval {
        run: RunId::from_uuid(run),
        step: step("step", &name)?,
        approved,
        comment,
        content_hash: Some(hash(&content_hash)?),
        roles,
    };
    let within = call.clone();
    call.api
        .run(call.correlation, async move {
            let request = within.begin(&bytes).await?;
            let done = within.commands().decide_approval(request.clone(), decision).await;
            let done = done.map_err(|error| within.refused(error))?;
            if done.repeated {
                within.same(&request).await?;
            }
            told(&within, run, &done).await
        })
        .await
}

/// The 32 bytes behind 64 hexadecimal digits.
fn hash(text: &str) -> Result<[u8; 32], Problem> {
    let wrong = || Problem::invalid("`contentHash` must be the 64 hexadecimal digits that the approval shows");
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
    }
    Ok(bytes)
}
