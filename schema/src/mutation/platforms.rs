//! Tests of AI platforms.

use async_graphql::{ComplexObject, Context, InputObject, Object, Result, SimpleObject};
use domain::CommandId;
use uuid::Uuid;

use crate::failure::{self, Caller};
use crate::platform::{Platform, PlatformFailure, all, known};
use crate::query::journal;
use crate::scalar::Position;
use crate::trial::{PlatformAnswer, Trials, Wish, unknown};

/// Platforms.
#[derive(Default)]
pub(super) struct PlatformCommands;

/// A test of an AI platform.
#[derive(Debug, InputObject)]
pub(crate) struct TestPlatformInput {
    /// The command's own id: a repetition gets the first answer and calls nobody, as long as the node that made the call runs
    /// and has not made 256 others by ids since. Without one, every call is a new command.
    client_mutation_id: Option<Uuid>,
    /// The platform's key.
    key: String,
    /// The model; null takes the platform's own.
    model: Option<String>,
}

/// What a test of an AI platform came to.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(crate) struct PlatformTestPayload {
    /// The command's own id, as the caller gave it.
    client_mutation_id: Option<Uuid>,
    /// How far the answering node knew the journal afterwards. A test is no event, so it has no place there of its own.
    position: Position,
    /// Whether the test had been made before, and this is what it came to.
    repeated: bool,
    /// Whether anything was recorded, which is never so.
    changed: bool,
    /// The platform's key.
    key: String,
    /// What it answered; null when it did not.
    answer: Option<PlatformAnswer>,
    /// Why it did not answer.
    failure: Option<PlatformFailure>,
}

#[ComplexObject]
impl PlatformTestPayload {
    /// The platform, as the answering node sees it; a test changes nothing about that.
    async fn platform(&self, context: &Context<'_>) -> Result<Option<Platform>> {
        Ok(all(&*known(context)?).into_iter().find(|platform| platform.is(&self.key)))
    }
}

#[Object]
impl PlatformCommands {
    /// Tests an AI platform by one short call, as `hishamos platforms test` does: the platform charges for it, no budget counts
    /// it, and it waits for no limit and for no rest. It asks for at most 64 tokens and is given up after 65 s; a platform that
    /// does not answer is no error but a `failure`.
    #[graphql(complexity = "10_000 + child_complexity")]
    async fn test_platform(&self, context: &Context<'_>, input: TestPlatformInput) -> Result<PlatformTestPayload> {
        let platforms = known(context)?;
        let TestPlatformInput { client_mutation_id, key, model } = input;
        // Nothing is remembered of who is not there.
        if !all(&*platforms).iter().any(|platform| platform.is(&key)) {
            return Err(unknown(&key, &*platforms));
        }
        let (command, wish) = (client_mutation_id.map(CommandId::from_uuid), Wish { key: key.clone(), model });
        let (trials, caller) = (context.data::<Trials>()?, Caller::of(context)?);
        let made = trials.make(platforms.clone(), caller, command, wish).await;
        let (outcome, repeated) = made.map_err(|error| failure::command(context, error))?;
        let (answer, failure) = match outcome.ok_or_else(|| unknown(&key, &*platforms))? {
            Ok(answer) => (Some(answer.into()), None),
            Err(failure) => (None, Some(failure.into())),
        };
        let position = journal(context)?.seen().into();
        Ok(PlatformTestPayload { client_mutation_id, position, repeated, changed: false, key, answer, failure })
    }
}
