//! The enums of the API, each the edge form of the stable names that the read models hold.

use async_graphql::Enum;

use crate::failure;

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
        pub(crate) enum $name {
            $($(#[$variant_doc])* $variant),*
        }

        impl $name {
            /// From the name that the read models hold.
            #[allow(dead_code, reason = "not every name is read back")]
            pub(crate) fn of(text: &str) -> async_graphql::Result<Self> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    other => Err(failure::unreadable(concat!(stringify!($name), " in a read model"), other)),
                }
            }

            /// The name that the read models hold.
            #[allow(dead_code, reason = "not every name is a filter")]
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),*
                }
            }
        }
    )*};
}

named! {
    /// Where a run stands.
    RunStatus {
        /// Under way.
        Running = "running",
        /// Nothing new starts until somebody resumes it.
        Paused = "paused",
        /// Somebody wants it to stop, and what runs is being ended.
        Cancelling = "cancelling",
        /// Its time is over or its output cannot be made, and what runs is being cut.
        Failing = "failing",
        /// It will fail or be cancelled, and what had been done is being undone.
        Compensating = "compensating",
        /// All steps completed or were skipped.
        Completed = "completed",
        /// A step failed for good, or its time was over.
        Failed = "failed",
        /// Stopped on request.
        Cancelled = "cancelled",
    }

    /// Where the cost of an attempt comes from.
    CostSource {
        /// The platform said what it charged.
        Reported = "reported",
        /// It was computed from a list of prices: one that came with the program, or one that was imported.
        Listed = "listed",
        /// Nobody knows it, which is not free.
        Unpriced = "unpriced",
        /// Nobody is paid.
        Free = "free",
    }

    /// Where a step of a run stands.
    StepStatus {
        /// It waits for other steps.
        Pending = "pending",
        /// It is under way: an agent works, people are asked, time passes.
        Running = "running",
        /// Its output is there.
        Completed = "completed",
        /// Its condition was not met.
        Skipped = "skipped",
        /// It failed for good.
        Failed = "failed",
        /// It was cut.
        Cancelled = "cancelled",
    }

    /// What happens in a step.
    StepKind {
        /// A template, carried out by an agent.
        Task = "task",
        /// A template, carried out once for each element of a list.
        ForEach = "for_each",
        /// People decide.
        Approval = "approval",
        /// Time passes.
        Wait = "wait",
        /// Something outside says that it may go on.
        Signal = "signal",
        /// Another workflow runs.
        Run = "run",
    }

    /// Why a run takes over another's history.
    LineageKind {
        /// A failed or cancelled run is tried again from where it failed.
        Retry = "retry",
        /// It is run again from chosen steps on.
        Rerun = "rerun",
        /// It branches off at an event.
        Fork = "fork",
    }

    /// What a pause does to timers, deadlines and expiries.
    PauseClock {
        /// Time stands still: all of them move by the length of the pause.
        Frozen = "frozen",
        /// Time goes on; what became due takes effect when the run is resumed.
        Running = "running",
    }

    /// What a limit counts.
    LimitScope {
        /// Runs of a workflow, from their first step to their end.
        Workflow = "workflow",
        /// Attempts of an agent's tasks.
        Agent = "agent",
        /// Attempts on a platform.
        Platform = "platform",
    }

    /// What the end of an approval without the wanted decisions means for the step.
    Verdict {
        /// The step fails.
        Fail = "fail",
        /// The step completes with `approved: false`.
        Reject = "reject",
        /// The step completes with `approved: true`.
        Approve = "approve",
    }

    /// What becomes of a run when the run that started it ends first.
    ParentClose {
        /// It is asked to stop, like by a person.
        Cancel = "cancel",
        /// It goes on alone.
        Abandon = "abandon",
    }

    /// Where a task stands.
    TaskStatus {
        /// No agent has it yet.
        Created = "created",
        /// An agent has it; no platform is being called.
        Assigned = "assigned",
        /// A platform is being called.
        Running = "running",
        /// An attempt failed, and the next one waits for its time.
        Waiting = "waiting",
        /// Done.
        Completed = "completed",
        /// Failed for good.
        Failed = "failed",
        /// Stopped on request.
        Cancelled = "cancelled",
    }

    /// How an attempt stands.
    AttemptStatus {
        /// The platform is being called.
        Running = "running",
        /// It answered.
        Succeeded = "succeeded",
        /// It failed.
        Failed = "failed",
        /// The process died between calling and recording; its cost is unknown.
        Lost = "lost",
        /// It was cut because the task was cancelled.
        Cancelled = "cancelled",
    }

    /// Where a workflow stands.
    WorkflowStatus {
        /// No version takes runs yet.
        Draft = "draft",
        /// One version takes new runs.
        Active = "active",
    }

    /// How an attempt can fail.
    ErrorKind {
        /// No answer in time.
        Timeout = "timeout",
        /// The platform could not be reached, or the connection broke.
        Unreachable = "unreachable",
        /// The platform asks for a pause.
        RateLimited = "rate_limited",
        /// The platform failed on its side.
        PlatformFailure = "platform_failure",
        /// The answer could not be understood, or ended in the middle.
        MalformedReply = "malformed_reply",
        /// The credentials were refused or are missing.
        Unauthorized = "unauthorized",
        /// The platform says that the request is wrong.
        InvalidRequest = "invalid_request",
        /// Prompt and answer do not fit the model's context.
        ContextTooLong = "context_too_long",
        /// The platform refuses the content.
        ContentRefused = "content_refused",
        /// Nothing of that name is configured.
        UnknownPlatform = "unknown_platform",
        /// The prompt could not be made: a parameter is missing or a template is wrong.
        InvalidInput = "invalid_input",
        /// The process died between sending and recording; whether the platform was paid is unknown.
        Lost = "lost",
        /// HishamOS was stopped while the platform was being called; it does not count against the retry policy.
        Interrupted = "interrupted",
        /// People said no, or did not say yes in time.
        Rejected = "rejected",
        /// A run that the step started did not complete.
        RunFailed = "run_failed",
        /// What the call may cost is not left in a budget.
        BudgetExhausted = "budget_exhausted",
        /// No platform that the agent may use has the tags that are demanded, such as that of a region.
        TagMissing = "tag_missing",
    }

    /// The kind of aggregate that a stream belongs to.
    Category {
        /// Streams of workflow definitions.
        Workflow = "workflow",
        /// Streams of runs.
        Run = "run",
        /// Streams of tasks.
        Task = "task",
        /// Streams of agents.
        Agent = "agent",
        /// Streams of templates.
        Template = "template",
        /// Streams of limits.
        Limit = "limit",
        /// Streams of the slots of limits.
        Slots = "slots",
        /// Streams of holds.
        Hold = "hold",
        /// Streams of triggers.
        Trigger = "trigger",
        /// Streams of external events.
        External = "external",
        /// The stream of the budgets.
        Budget = "budget",
        /// Streams of what is spent of budgets.
        Purse = "purse",
        /// The stream of the seals.
        Seal = "seal",
        /// Streams of webhooks.
        Webhook = "webhook",
        /// Streams of deliveries to webhooks.
        Delivery = "delivery",
        /// Streams of what was refused, one a day.
        Denial = "denial",
        /// Streams of saved searches.
        Search = "search",
        /// Streams of the people whom runs are about.
        Subject = "subject",
        /// Streams of action items that somebody has changed.
        Action = "action",
    }

    /// Where the delivery of an event to a webhook stands.
    DeliveryStatus {
        /// Somebody asked for it, and an attempt is due.
        Requested = "requested",
        /// It failed, and waits for its next attempt.
        Waiting = "waiting",
        /// The webhook took it.
        Delivered = "delivered",
        /// It failed for good, or the webhook was disabled or deleted.
        GivenUp = "given_up",
    }

    /// Whose attempts a budget counts.
    BudgetScope {
        /// All of them.
        Organisation = "organisation",
        /// Those of the runs of a department's workflows.
        Department = "department",
        /// Those of the runs that a person has started.
        Person = "person",
        /// Those of the runs that a program with an API key has started.
        ApiKey = "api_key",
        /// Those of a workflow's runs, and of what these start.
        Workflow = "workflow",
        /// Those of each run of a workflow by itself; the runs that it starts get what remains.
        EachRun = "each_run",
        /// Those of an agent.
        Agent = "agent",
        /// Those on a platform.
        Platform = "platform",
    }

    /// Within which time a budget holds. Windows begin at round moments in UTC.
    BudgetWindow {
        /// An hour, from minute 0.
        Hour = "hour",
        /// A day, from midnight.
        Day = "day",
        /// A week, from Monday.
        Week = "week",
        /// A calendar month.
        Month = "month",
        /// For ever.
        Ever = "ever",
    }

    /// What something waits for.
    CauseKind {
        /// No node has taken the run yet.
        Unclaimed = "unclaimed",
        /// Somebody paused it.
        Paused = "paused",
        /// Limits make it wait.
        Limit = "limit",
        /// A platform is being called.
        Attempt = "attempt",
        /// An attempt failed, and the next one waits for its time.
        Retry = "retry",
        /// Every platform that may be asked is resting after failures, or cannot do it.
        Resting = "resting",
        /// Elements of a list are being worked on.
        Items = "items",
        /// People are asked to decide.
        Approval = "approval",
        /// It waits for its time.
        Timer = "timer",
        /// It waits for a signal.
        Signal = "signal",
        /// It waits for another run.
        Child = "child",
        /// What ran is given time to end before it is cut.
        Grace = "grace",
        /// A step is being undone.
        Undo = "undo",
        /// The owner is about to go on; seen only between two appends or after a crash.
        Engine = "engine",
        /// Other steps have to complete first.
        Needs = "needs",
        /// The step failed.
        Failed = "failed",
        /// The step's condition was not met.
        Skipped = "skipped",
        /// The run ended or is ending before the step's turn came.
        NotReached = "not_reached",
    }
}

impl From<domain::run::StepStatus> for StepStatus {
    fn from(status: domain::run::StepStatus) -> Self {
        match status {
            domain::run::StepStatus::Pending => Self::Pending,
            domain::run::StepStatus::Running => Self::Running,
            domain::run::StepStatus::Completed => Self::Completed,
            domain::run::StepStatus::Skipped => Self::Skipped,
            domain::run::StepStatus::Failed => Self::Failed,
            domain::run::StepStatus::Cancelled => Self::Cancelled,
        }
    }
}

impl PauseClock {
    /// The domain's own.
    pub(crate) const fn domain(self) -> domain::run::PauseClock {
        match self {
            Self::Frozen => domain::run::PauseClock::Frozen,
            Self::Running => domain::run::PauseClock::Running,
        }
    }

    /// From the domain's own.
    pub(crate) const fn of_domain(clock: domain::run::PauseClock) -> Self {
        match clock {
            domain::run::PauseClock::Frozen => Self::Frozen,
            domain::run::PauseClock::Running => Self::Running,
        }
    }
}

impl Verdict {
    /// The domain's own.
    pub(crate) const fn domain(self) -> domain::workflow::Verdict {
        match self {
            Self::Fail => domain::workflow::Verdict::Fail,
            Self::Reject => domain::workflow::Verdict::Reject,
            Self::Approve => domain::workflow::Verdict::Approve,
        }
    }

    /// From the domain's own.
    pub(crate) const fn of_domain(verdict: domain::workflow::Verdict) -> Self {
        match verdict {
            domain::workflow::Verdict::Fail => Self::Fail,
            domain::workflow::Verdict::Reject => Self::Reject,
            domain::workflow::Verdict::Approve => Self::Approve,
        }
    }
}

impl ParentClose {
    /// The domain's own.
    pub(crate) const fn domain(self) -> domain::workflow::ParentClose {
        match self {
            Self::Cancel => domain::workflow::ParentClose::Cancel,
            Self::Abandon => domain::workflow::ParentClose::Abandon,
        }
    }

    /// From the domain's own.
    pub(crate) const fn of_domain(policy: domain::workflow::ParentClose) -> Self {
        match policy {
            domain::workflow::ParentClose::Cancel => Self::Cancel,
            domain::workflow::ParentClose::Abandon => Self::Abandon,
        }
    }
}

impl ErrorKind {
    /// The domain's own.
    pub(crate) const fn domain(self) -> domain::ErrorKind {
        match self {
            Self::Timeout => domain::ErrorKind::Timeout,
            Self::Unreachable => domain::ErrorKind::Unreachable,
            Self::RateLimited => domain::ErrorKind::RateLimited,
            Self::PlatformFailure => domain::ErrorKind::PlatformFailure,
            Self::MalformedReply => domain::ErrorKind::MalformedReply,
            Self::Unauthorized => domain::ErrorKind::Unauthorized,
            Self::InvalidRequest => domain::ErrorKind::InvalidRequest,
            Self::ContextTooLong => domain::ErrorKind::ContextTooLong,
            Self::ContentRefused => domain::ErrorKind::ContentRefused,
            Self::UnknownPlatform => domain::ErrorKind::UnknownPlatform,
            Self::InvalidInput => domain::ErrorKind::InvalidInput,
            Self::Lost => domain::ErrorKind::Lost,
            Self::Interrupted => domain::ErrorKind::Interrupted,
            Self::Rejected => domain::ErrorKind::Rejected,
            Self::RunFailed => domain::ErrorKind::RunFailed,
            Self::BudgetExhausted => domain::ErrorKind::BudgetExhausted,
            Self::TagMissing => domain::ErrorKind::TagMissing,
        }
    }

    /// From the domain's own.
    pub(crate) const fn of_domain(kind: domain::ErrorKind) -> Self {
        match kind {
            domain::ErrorKind::Timeout => Self::Timeout,
            domain::ErrorKind::Unreachable => Self::Unreachable,
            domain::ErrorKind::RateLimited => Self::RateLimited,
            domain::ErrorKind::PlatformFailure => Self::PlatformFailure,
            domain::ErrorKind::MalformedReply => Self::MalformedReply,
            domain::ErrorKind::Unauthorized => Self::Unauthorized,
            domain::ErrorKind::InvalidRequest => Self::InvalidRequest,
            domain::ErrorKind::ContextTooLong => Self::ContextTooLong,
            domain::ErrorKind::ContentRefused => Self::ContentRefused,
            domain::ErrorKind::UnknownPlatform => Self::UnknownPlatform,
            domain::ErrorKind::InvalidInput => Self::InvalidInput,
            domain::ErrorKind::Lost => Self::Lost,
            domain::ErrorKind::Interrupted => Self::Interrupted,
            domain::ErrorKind::Rejected => Self::Rejected,
            domain::ErrorKind::RunFailed => Self::RunFailed,
            domain::ErrorKind::BudgetExhausted => Self::BudgetExhausted,
            domain::ErrorKind::TagMissing => Self::TagMissing,
        }
    }
}

impl Category {
    /// The domain's own.
    pub(crate) const fn domain(self) -> domain::Category {
        match self {
            Self::Workflow => domain::Category::Workflow,
            Self::Run => domain::Category::Run,
            Self::Task => domain::Category::Task,
            Self::Agent => domain::Category::Agent,
            Self::Template => domain::Category::Template,
            Self::Limit => domain::Category::Limit,
            Self::Slots => domain::Category::Slots,
            Self::Hold => domain::Category::Hold,
            Self::Trigger => domain::Category::Trigger,
            Self::External => domain::Category::External,
            Self::Budget => domain::Category::Budget,
            Self::Purse => domain::Category::Purse,
            Self::Seal => domain::Category::Seal,
            Self::Webhook => domain::Category::Webhook,
            Self::Delivery => domain::Category::Delivery,
            Self::Denial => domain::Category::Denial,
            Self::Search => domain::Category::Search,
            Self::Subject => domain::Category::Subject,
            Self::Action => domain::Category::Action,
        }
    }

    /// From the domain's own.
    pub(crate) const fn of_domain(category: domain::Category) -> Self {
        match category {
            domain::Category::Workflow => Self::Workflow,
            domain::Category::Run => Self::Run,
            domain::Category::Task => Self::Task,
            domain::Category::Agent => Self::Agent,
            domain::Category::Template => Self::Template,
            domain::Category::Limit => Self::Limit,
            domain::Category::Slots => Self::Slots,
            domain::Category::Hold => Self::Hold,
            domain::Category::Trigger => Self::Trigger,
            domain::Category::External => Self::External,
            domain::Category::Budget => Self::Budget,
            domain::Category::Purse => Self::Purse,
            domain::Category::Seal => Self::Seal,
            domain::Category::Webhook => Self::Webhook,
            domain::Category::Delivery => Self::Delivery,
            domain::Category::Denial => Self::Denial,
            domain::Category::Search => Self::Search,
            domain::Category::Subject => Self::Subject,
            domain::Category::Action => Self::Action,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_domain_is_known() {
        for kind in domain::ErrorKind::ALL {
            assert_eq!(ErrorKind::of(kind.name()).unwrap().domain(), kind);
            assert_eq!(ErrorKind::of_domain(kind).name(), kind.name());
        }
        for status in domain::run::RunStatus::ALL {
            assert_eq!(RunStatus::of(status.name()).unwrap().name(), status.name());
        }
        for status in domain::run::StepStatus::ALL {
            assert_eq!(StepStatus::of(status.name()).unwrap().name(), status.name());
        }
        for kind in domain::run::LineageKind::ALL {
            assert_eq!(LineageKind::of(kind.name()).unwrap().name(), kind.name());
        }
        for clock in domain::run::PauseClock::ALL {
            assert_eq!(PauseClock::of(clock.name()).unwrap().domain(), clock);
        }
        for verdict in domain::workflow::Verdict::ALL {
            assert_eq!(Verdict::of_domain(verdict).domain(), verdict);
            assert_eq!(Verdict::of_domain(verdict).name(), verdict.name());
        }
        for policy in domain::workflow::ParentClose::ALL {
            assert_eq!(ParentClose::of_domain(policy).domain(), policy);
            assert_eq!(ParentClose::of_domain(policy).name(), policy.name());
        }
        for category in domain::Category::ALL {
            assert_eq!(Category::of_domain(category).domain(), category);
            assert_eq!(Category::of_domain(category).name(), category.name());
        }
    }
}
