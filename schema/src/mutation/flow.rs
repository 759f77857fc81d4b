//! Limits and holds.

use async_graphql::{Context, Object, Result};

use super::{HoldPayload, LimitPayload, commands, request};
use crate::failure;
use crate::input::{LiftHoldInput, PlaceHoldInput, RemoveLimitInput, SetLimitInput, hold_scope, key};

/// Limits and holds.
#[derive(Default)]
pub(super) struct Flow;

#[Object]
impl Flow {
    /// Sets a limit, or changes it; it counts at once, also for what waits already.
    async fn set_limit(&self, context: &Context<'_>, input: SetLimitInput) -> Result<LimitPayload> {
        let request = request(context, input.client_mutation_id)?;
        let settings = input.into_settings()?;
        let key = settings.key.to_string();
        let outcome = commands(context)?.set_limit(request.clone(), settings).await;
        LimitPayload::of(context, &request, key, outcome.map_err(|error| failure::command(context, error))?)
    }

    /// Takes a limit away; who waited for it goes on.
    async fn remove_limit(&self, context: &Context<'_>, input: RemoveLimitInput) -> Result<LimitPayload> {
        let request = request(context, input.client_mutation_id)?;
        let outcome = commands(context)?.remove_limit(request.clone(), &key(&input.key)?, input.reason).await;
        LimitPayload::of(context, &request, input.key, outcome.map_err(|error| failure::command(context, error))?)
    }

    /// Pauses every run of a workflow, or everything, runs that start later included. A hold that is in force already
    /// stays as it is.
    async fn place_hold(&self, context: &Context<'_>, input: PlaceHoldInput) -> Result<HoldPayload> {
        let request = request(context, input.client_mutation_id)?;
        let scope = hold_scope(input.workflow.as_deref())?;
        let id = scope.id().as_uuid();
        let outcome = commands(context)?.place_hold(request.clone(), scope, input.reason, input.clock.domain()).await;
        HoldPayload::of(context, &request, id, outcome.map_err(|error| failure::command(context, error))?)
    }

    /// Lets what a hold paused go on; runs that were paused one by one stay paused.
    async fn lift_hold(&self, context: &Context<'_>, input: LiftHoldInput) -> Result<HoldPayload> {
        let request = request(context, input.client_mutation_id)?;
        let scope = hold_scope(input.workflow.as_deref())?;
        let outcome = commands(context)?.lift_hold(request.clone(), &scope).await;
        HoldPayload::of(
            context,
            &request,
            scope.id().as_uuid(),
            outcome.map_err(|error| failure::command(context, error))?,
        )
    }
}
