//! Frozen events of tasks.

use std::sync::Arc;
use std::time::Duration;

use domain::task::{Choice, Kept, Masked, PassedOver, Purpose, Reserved, Why};
use domain::{Event, NanoUsd, PurseId, RunId, StepName, TaskEvent, TemplateId, Timestamp};
use postcard_schema::Schema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::assigned::AssignedV2;
use super::attempt_failed;
use super::budget::UnitV1;
use super::failure::{AttemptErrorV3, AttemptErrorV4};
use super::output::{OutputV1, QualityV1};
use super::values::{
    AttemptErrorV1, AttemptErrorV2, ErrorKindV2, Id, JsonV1, ReplyV1, ReplyV2, ReplyV3, RetryPolicyV1, RetryPolicyV2,
    SlotsNeedV1, UsageV1, checked, micros, moment,
};
use super::verdict::{self, CompletedV3, ReviewV1};
use super::{Encoded, Thaw, write};

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct CreatedV1<'a> {
    run: Option<Id>,
    #[serde(borrow)]
    step: Option<&'a str>,
    template: Id,
    template_version: u32,
    #[serde(borrow)]
    parameters: JsonV1<'a>,
    retry: RetryPolicyV1,
    attempt_timeout_micros: u64,
}

/// Says when it was created, and until when it may wait for its first attempt.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct CreatedV2<'a> {
    run: Option<Id>,
    #[serde(borrow)]
    step: Option<&'a str>,
    template: Id,
    template_version: u32,
    #[serde(borrow)]
    parameters: JsonV1<'a>,
    retry: RetryPolicyV2,
    attempt_timeout_micros: u64,
    at_micros: i64,
    start_by_micros: Option<i64>,
}

impl<'a> From<CreatedV1<'a>> for CreatedV2<'a> {
    fn from(old: CreatedV1<'a>) -> Self {
        Self {
            run: old.run,
            step: old.step,
            template: old.template,
            template_version: old.template_version,
            parameters: old.parameters,
            retry: old.retry.into(),
            attempt_timeout_micros: old.attempt_timeout_micros,
            at_micros: 0,
            start_by_micros: None,
        }
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct QueuedV1<'a> {
    #[serde(borrow)]
    slots: Vec<SlotsNeedV1<'a>>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct AttemptStartedV1<'a> {
    attempt: u32,
    platform: &'a str,
    #[serde(borrow)]
    model: Option<&'a str>,
    request_hash: [u8; 32],
}

/// Says why it goes there.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct AttemptStartedV2<'a> {
    attempt: u32,
    platform: &'a str,
    #[serde(borrow)]
    model: Option<&'a str>,
    request_hash: [u8; 32],
    #[serde(borrow)]
    choice: Option<ChoiceV1<'a>>,
    reserved: Vec<ReservedV1>,
}

/// Says what was masked, and whether a kept answer serves.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct AttemptStartedV3<'a> {
    attempt: u32,
    platform: &'a str,
    #[serde(borrow)]
    model: Option<&'a str>,
    request_hash: [u8; 32],
    #[serde(borrow)]
    choice: Option<ChoiceV1<'a>>,
    reserved: Vec<ReservedV1>,
    #[serde(borrow)]
    masked: Vec<MaskedV1<'a>>,
    kept: Option<KeptV1>,
}

/// Says what it is for.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct AttemptStartedV4<'a> {
    attempt: u32,
    purpose: PurposeV1,
    platform: &'a str,
    #[serde(borrow)]
    model: Option<&'a str>,
    request_hash: [u8; 32],
    #[serde(borrow)]
    choice: Option<ChoiceV1<'a>>,
    reserved: Vec<ReservedV1>,
    #[serde(borrow)]
    masked: Vec<MaskedV1<'a>>,
    kept: Option<KeptV1>,
}

impl<'a> From<AttemptStartedV3<'a>> for AttemptStartedV4<'a> {
    /// What was asked for once more for its form did not say so.
    fn from(old: AttemptStartedV3<'a>) -> Self {
        let AttemptStartedV3 { attempt, platform, model, request_hash, choice, reserved, masked, kept } = old;
        Self { attempt, purpose: PurposeV1::Answer, platform, model, request_hash, choice, reserved, masked, kept }
    }
}

/// What an attempt is for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, Schema)]
enum PurposeV1 {
    Answer,
    Form,
    Revision,
}

impl PurposeV1 {
    fn freeze(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Answer => Self::Answer,
            Purpose::Form => Self::Form,
            Purpose::Revision => Self::Revision,
        }
    }

    fn thaw(self) -> Purpose {
        match self {
            Self::Answer => Purpose::Answer,
            Self::Form => Purpose::Form,
            Self::Revision => Purpose::Revision,
        }
    }
}

/// An answer that was given before.
#[derive(Debug, Serialize, Deserialize, Schema)]
struct KeptV1 {
    at_micros: i64,
    usage: UsageV1,
    cost_nano_usd: Option<i64>,
}

/// How much of what was masked.
#[derive(Debug, Serialize, Deserialize, Schema)]
struct MaskedV1<'a> {
    kind: &'a str,
    count: u32,
}

impl<'a> From<AttemptStartedV2<'a>> for AttemptStartedV3<'a> {
    fn from(old: AttemptStartedV2<'a>) -> Self {
        let AttemptStartedV2 { attempt, platform, model, request_hash, choice, reserved } = old;
        Self { attempt, platform, model, request_hash, choice, reserved, masked: Vec::new(), kept: None }
    }
}

/// What is set aside in a purse.
#[derive(Debug, Serialize, Deserialize, Schema)]
struct ReservedV1 {
    purse: Id,
    unit: UnitV1,
    amount: u64,
}

impl<'a> From<AttemptStartedV1<'a>> for AttemptStartedV2<'a> {
    fn from(old: AttemptStartedV1<'a>) -> Self {
        let AttemptStartedV1 { attempt, platform, model, request_hash } = old;
        Self { attempt, platform, model, request_hash, choice: None, reserved: Vec::new() }
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
struct ChoiceV1<'a> {
    #[serde(borrow)]
    why: WhyV1<'a>,
    #[serde(borrow)]
    passed_over: Vec<PassedOverV1<'a>>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
enum WhyV1<'a> {
    First,
    Again,
    Fallback { from: &'a str, after: ErrorKindV2 },
}

#[derive(Debug, Serialize, Deserialize, Schema)]
struct PassedOverV1<'a> {
    platform: &'a str,
    #[serde(borrow)]
    model: Option<&'a str>,
    reason: &'a str,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct PostponedV1<'a> {
    until_micros: i64,
    #[serde(borrow)]
    passed_over: Vec<PassedOverV1<'a>>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct AttemptSucceededV1<'a> {
    attempt: u32,
    #[serde(borrow)]
    reply: ReplyV1<'a>,
}

/// Says when the first piece of the answer was there.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct AttemptSucceededV2<'a> {
    attempt: u32,
    #[serde(borrow)]
    reply: ReplyV2<'a>,
}

/// Says how its cost came about.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct AttemptSucceededV3<'a> {
    attempt: u32,
    #[serde(borrow)]
    reply: ReplyV3<'a>,
}

impl<'a> From<AttemptSucceededV2<'a>> for AttemptSucceededV3<'a> {
    fn from(old: AttemptSucceededV2<'a>) -> Self {
        Self { attempt: old.attempt, reply: old.reply.into() }
    }
}

impl<'a> From<AttemptSucceededV1<'a>> for AttemptSucceededV2<'a> {
    fn from(old: AttemptSucceededV1<'a>) -> Self {
        Self { attempt: old.attempt, reply: old.reply.into() }
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct AttemptLostV1 {
    attempt: u32,
    retry_at_micros: Option<i64>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct AttemptLateV1<'a> {
    attempt: u32,
    #[serde(borrow)]
    reply: ReplyV1<'a>,
}

/// Says when the first piece of the answer was there.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct AttemptLateV2<'a> {
    attempt: u32,
    #[serde(borrow)]
    reply: ReplyV2<'a>,
}

/// Says how its cost came about.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct AttemptLateV3<'a> {
    attempt: u32,
    #[serde(borrow)]
    reply: ReplyV3<'a>,
}

impl<'a> From<AttemptLateV2<'a>> for AttemptLateV3<'a> {
    fn from(old: AttemptLateV2<'a>) -> Self {
        Self { attempt: old.attempt, reply: old.reply.into() }
    }
}

impl<'a> From<AttemptLateV1<'a>> for AttemptLateV2<'a> {
    fn from(old: AttemptLateV1<'a>) -> Self {
        Self { attempt: old.attempt, reply: old.reply.into() }
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct DeferredV1 {
    retry_at_micros: Option<i64>,
    start_by_micros: Option<i64>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct CompletedV1 {
    attempt: u32,
}

/// Says what the output consists of, and how good it is.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct CompletedV2<'a> {
    pub(super) attempt: u32,
    #[serde(borrow)]
    pub(super) output: Option<OutputV1<'a>>,
    #[serde(borrow)]
    pub(super) quality: Option<QualityV1<'a>>,
}

impl From<CompletedV1> for CompletedV2<'_> {
    fn from(old: CompletedV1) -> Self {
        Self { attempt: old.attempt, output: None, quality: None }
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct FailedV1<'a> {
    #[serde(borrow)]
    error: AttemptErrorV1<'a>,
}

/// The error is of one of more kinds.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct FailedV2<'a> {
    #[serde(borrow)]
    error: AttemptErrorV2<'a>,
}

/// The error is of one of more kinds again.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct FailedV3<'a> {
    #[serde(borrow)]
    error: AttemptErrorV3<'a>,
}

impl<'a> From<FailedV2<'a>> for FailedV3<'a> {
    fn from(old: FailedV2<'a>) -> Self {
        Self { error: old.error.into() }
    }
}

impl<'a> From<FailedV1<'a>> for FailedV2<'a> {
    fn from(old: FailedV1<'a>) -> Self {
        Self { error: old.error.into() }
    }
}

#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct CancelledV1<'a> {
    reason: &'a str,
}

pub(super) fn freeze(event: &TaskEvent) -> Result<Encoded, String> {
    match event {
        TaskEvent::Created {
            run,
            step,
            template,
            template_version,
            parameters,
            retry,
            attempt_timeout,
            at,
            start_by,
        } => write(&CreatedV2 {
            run: run.map(|run| run.as_uuid().into_bytes()),
            step: step.as_ref().map(StepName::as_str),
            template: template.as_uuid().into_bytes(),
            template_version: *template_version,
            parameters: JsonV1::freeze(parameters)?,
            retry: RetryPolicyV2::freeze(retry)?,
            attempt_timeout_micros: micros(*attempt_timeout)?,
            at_micros: at.as_micros(),
            start_by_micros: start_by.map(Timestamp::as_micros),
        }),
        TaskEvent::Assigned { agent, agent_version, reason, choice } => {
            write(&AssignedV2::freeze(*agent, *agent_version, reason, choice.as_deref()))
        }
        TaskEvent::Queued { slots } => write(&QueuedV1 { slots: SlotsNeedV1::freeze(slots) }),
        TaskEvent::AttemptStarted {
            attempt,
            purpose,
            platform,
            model,
            request_hash,
            choice,
            reserved,
            masked,
            kept,
        } => write(&AttemptStartedV4 {
            attempt: *attempt,
            purpose: PurposeV1::freeze(*purpose),
            platform: platform.as_str(),
            model: model.as_deref(),
            request_hash: *request_hash,
            choice: choice.as_ref().map(ChoiceV1::freeze).transpose()?,
            reserved: reserved
                .iter()
                .map(|Reserved { purse, unit, amount }| ReservedV1 {
                    purse: purse.as_uuid().into_bytes(),
                    unit: UnitV1::freeze(*unit),
                    amount: *amount,
                })
                .collect(),
            masked: masked.iter().map(|Masked { kind, count }| MaskedV1 { kind, count: *count }).collect(),
            kept: kept.as_ref().map(|Kept { at, usage, cost }| KeptV1 {
                at_micros: at.as_micros(),
                usage: UsageV1::freeze(usage),
                cost_nano_usd: cost.map(|cost| cost.0),
            }),
        }),
        TaskEvent::Postponed { until, passed_over } => {
            write(&PostponedV1 { until_micros: until.as_micros(), passed_over: PassedOverV1::freeze(passed_over) })
        }
        TaskEvent::AttemptSucceeded { attempt, reply } => {
            write(&AttemptSucceededV3 { attempt: *attempt, reply: ReplyV3::freeze(reply)? })
        }
        TaskEvent::AttemptFailed { attempt, error, retry_at, consumed } => {
            attempt_failed::freeze(*attempt, error, *retry_at, consumed.as_ref())
        }
        TaskEvent::AttemptLost { attempt, retry_at } => {
            write(&AttemptLostV1 { attempt: *attempt, retry_at_micros: retry_at.map(Timestamp::as_micros) })
        }
        TaskEvent::AttemptLate { attempt, reply } => {
            write(&AttemptLateV3 { attempt: *attempt, reply: ReplyV3::freeze(reply)? })
        }
        TaskEvent::Deferred { retry_at, start_by } => write(&DeferredV1 {
            retry_at_micros: retry_at.map(Timestamp::as_micros),
            start_by_micros: start_by.map(Timestamp::as_micros),
        }),
        TaskEvent::Completed { attempt, output, quality, review } => write(&CompletedV3 {
            attempt: *attempt,
            output: output.as_deref().map(OutputV1::freeze).transpose()?,
            quality: quality.as_deref().map(QualityV1::freeze),
            review: review.as_deref().map(ReviewV1::freeze),
        }),
        TaskEvent::Failed { error } => write(&FailedV4 { error: AttemptErrorV4::freeze(error)? }),
        TaskEvent::Cancelled { reason } => write(&CancelledV1 { reason }),
        TaskEvent::Rated { by, mark, comment, at, shift } => {
            verdict::freeze_rated(by, *mark, comment, *at, shift.as_ref())
        }
        TaskEvent::Judged { judgement, reason, shift } => verdict::freeze_judged(judgement, reason, shift.as_ref()),
        TaskEvent::JudgingFailed { run, reason, at } => verdict::freeze_failed(*run, reason, *at),
    }
}

impl Thaw for CreatedV2<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(TaskEvent::Created {
            run: self.run.map(|run| RunId::from_uuid(Uuid::from_bytes(run))),
            step: self.step.map(checked).transpose()?,
            template: TemplateId::from_uuid(Uuid::from_bytes(self.template)),
            template_version: self.template_version,
            parameters: Arc::new(self.parameters.thaw()?),
            retry: self.retry.thaw(),
            attempt_timeout: Duration::from_micros(self.attempt_timeout_micros),
            at: moment(self.at_micros),
            start_by: self.start_by_micros.map(moment),
        }
        .into())
    }
}

impl Thaw for QueuedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(TaskEvent::Queued { slots: SlotsNeedV1::thaw(&self.slots)? }.into())
    }
}

impl<'a> ChoiceV1<'a> {
    fn freeze(choice: &'a Choice) -> Result<Self, String> {
        let why = match &choice.why {
            Why::First => WhyV1::First,
            Why::Again => WhyV1::Again,
            Why::Fallback { from, after } => {
                WhyV1::Fallback { from: from.as_str(), after: ErrorKindV2::named(*after)? }
            }
        };
        Ok(Self { why, passed_over: PassedOverV1::freeze(&choice.passed_over) })
    }

    fn thaw(self) -> Result<Choice, String> {
        let why = match self.why {
            WhyV1::First => Why::First,
            WhyV1::Again => Why::Again,
            WhyV1::Fallback { from, after } => Why::Fallback { from: checked(from)?, after: after.thaw() },
        };
        Ok(Choice { why, passed_over: PassedOverV1::thaw(&self.passed_over)? })
    }
}

impl<'a> PassedOverV1<'a> {
    fn freeze(passed_over: &'a [PassedOver]) -> Vec<Self> {
        let freeze = |PassedOver { platform, model, reason }: &'a PassedOver| Self {
            platform: platform.as_str(),
            model: model.as_deref(),
            reason,
        };
        passed_over.iter().map(freeze).collect()
    }

    fn thaw(passed_over: &[Self]) -> Result<Vec<PassedOver>, String> {
        let thaw = |one: &Self| {
            let (model, reason) = (one.model.map(str::to_owned), one.reason.to_owned());
            Ok(PassedOver { platform: checked(one.platform)?, model, reason })
        };
        passed_over.iter().map(thaw).collect()
    }
}

impl Thaw for AttemptStartedV4<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(TaskEvent::AttemptStarted {
            attempt: self.attempt,
            purpose: self.purpose.thaw(),
            platform: checked(self.platform)?,
            model: self.model.map(str::to_owned),
            request_hash: self.request_hash,
            choice: self.choice.map(ChoiceV1::thaw).transpose()?,
            reserved: self
                .reserved
                .into_iter()
                .map(|reserved| Reserved {
                    purse: PurseId::from_uuid(Uuid::from_bytes(reserved.purse)),
                    unit: reserved.unit.thaw(),
                    amount: reserved.amount,
                })
                .collect(),
            masked: self
                .masked
                .into_iter()
                .map(|masked| Masked { kind: masked.kind.to_owned(), count: masked.count })
                .collect(),
            kept: self.kept.map(|kept| Kept {
                at: moment(kept.at_micros),
                usage: kept.usage.thaw(),
                cost: kept.cost_nano_usd.map(NanoUsd),
            }),
        }
        .into())
    }
}

impl Thaw for PostponedV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        let passed_over = PassedOverV1::thaw(&self.passed_over)?;
        Ok(TaskEvent::Postponed { until: moment(self.until_micros), passed_over }.into())
    }
}

impl Thaw for AttemptSucceededV3<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(TaskEvent::AttemptSucceeded { attempt: self.attempt, reply: Box::new(self.reply.thaw()?) }.into())
    }
}

impl Thaw for AttemptLostV1 {
    fn thaw(self) -> Result<Event, String> {
        let retry_at = self.retry_at_micros.map(moment);
        Ok(TaskEvent::AttemptLost { attempt: self.attempt, retry_at }.into())
    }
}

impl Thaw for AttemptLateV3<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(TaskEvent::AttemptLate { attempt: self.attempt, reply: Box::new(self.reply.thaw()?) }.into())
    }
}

impl Thaw for DeferredV1 {
    fn thaw(self) -> Result<Event, String> {
        let (retry_at, start_by) = (self.retry_at_micros.map(moment), self.start_by_micros.map(moment));
        Ok(TaskEvent::Deferred { retry_at, start_by }.into())
    }
}

/// The error is of one of more kinds again.
#[derive(Debug, Serialize, Deserialize, Schema)]
pub(super) struct FailedV4<'a> {
    #[serde(borrow)]
    error: AttemptErrorV4<'a>,
}

impl<'a> From<FailedV3<'a>> for FailedV4<'a> {
    fn from(old: FailedV3<'a>) -> Self {
        Self { error: old.error.into() }
    }
}

impl Thaw for FailedV4<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(TaskEvent::Failed { error: self.error.thaw() }.into())
    }
}

impl Thaw for CancelledV1<'_> {
    fn thaw(self) -> Result<Event, String> {
        Ok(TaskEvent::Cancelled { reason: self.reason.to_owned() }.into())
    }
}
