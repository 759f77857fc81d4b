//! Writes the changes of a batch. Columns are bound `as _` for the reason given at `column!`; lists of
//! words travel as JSON, because `unnest` would flatten an array of arrays.

use domain::Capability;
use sqlx::PgConnection;
use uuid::Uuid;

use super::fold::{Entries, Fold};
use crate::projector::{ApplyError, storable};

pub(super) async fn write(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    workflows(connection, fold).await?;
    activations(connection, fold).await?;
    agents(connection, fold).await?;
    switches(connection, fold).await?;
    templates(connection, fold).await
}

/// A list of words as a JSON array.
fn words(words: &[String]) -> String {
    let words = words.iter().map(|word| serde_json::Value::String(storable(word).into_owned()));
    serde_json::Value::Array(words.collect()).to_string()
}

async fn workflows(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    let Entries { newest, versions } = &fold.workflows;
    if newest.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO workflows AS e (id, key, name, name_ar, description, description_ar, department, tags, newest_version,
            created_at, updated_at, position)
        SELECT id, key, name, name_ar, description, description_ar, department,
            ARRAY(SELECT json_array_elements_text(tags::json)), newest_version, created_at, updated_at, position
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::integer[], $10::bigint[], $11::bigint[], $12::bigint[])
            AS u (id, key, name, name_ar, description, description_ar, department, tags, newest_version, created_at,
                updated_at, position)
        ON CONFLICT (id) DO UPDATE SET key = excluded.key, name = excluded.name, name_ar = excluded.name_ar,
            description = excluded.description, description_ar = excluded.description_ar,
            department = excluded.department, tags = excluded.tags, newest_version = excluded.newest_version,
            updated_at = greatest(excluded.updated_at, e.updated_at),
            position = greatest(excluded.position, e.position)",
        column!(newest, (id, _) => *id) as _,
        column!(newest, (_, entry) => entry.body.key.as_str()) as _,
        column!(newest, (_, entry) => storable(&entry.body.name.en)) as _,
        column!(newest, (_, entry) => entry.body.name.ar.as_deref().map(storable)) as _,
        column!(newest, (_, entry) => storable(&entry.body.description.en)) as _,
        column!(newest, (_, entry) => entry.body.description.ar.as_deref().map(storable)) as _,
        column!(newest, (_, entry) => storable(&entry.body.department)) as _,
        column!(newest, (_, entry) => words(&entry.body.tags)) as _,
        column!(newest, (_, entry) => entry.version) as _,
        column!(newest, (_, entry) => entry.created_at) as _,
        column!(newest, (_, entry) => entry.updated_at) as _,
        column!(newest, (_, entry) => entry.position) as _
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO workflow_versions (workflow_id, version, definition, drafted_by, drafted_at)
        SELECT unnest($1::uuid[]), unnest($2::integer[]), unnest($3::text[])::json, unnest($4::text[]),
            unnest($5::bigint[])",
        column!(versions, version => version.id) as _,
        column!(versions, version => version.version) as _,
        column!(versions, version => version.document.as_str()) as _,
        column!(versions, version => version.by.as_str()) as _,
        column!(versions, version => version.at) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn activations(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    let rows: Vec<(&Uuid, _)> = fold.activations.iter().collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE workflows w SET active_version = u.version, updated_at = greatest(u.at, w.updated_at),
            position = greatest(u.position, w.position)
        FROM unnest($1::uuid[], $2::integer[], $3::bigint[], $4::bigint[]) AS u (id, version, at, position)
        WHERE w.id = u.id",
        column!(rows, (id, _) => **id) as _,
        column!(rows, (_, activation) => activation.version) as _,
        column!(rows, (_, activation) => activation.at) as _,
        column!(rows, (_, activation) => activation.position) as _
    )
    .execute(&mut *connection)
    .await?;
    let activated: Vec<_> = fold.activated.iter().collect();
    sqlx::query!(
        "UPDATE workflow_versions v SET activated_at = u.at
        FROM unnest($1::uuid[], $2::integer[], $3::bigint[]) AS u (id, version, at)
        WHERE v.workflow_id = u.id AND v.version = u.version",
        column!(activated, ((id, _), _) => *id) as _,
        column!(activated, ((_, version), _) => *version) as _,
        column!(activated, (_, at) => **at) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn agents(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    let Entries { newest, versions } = &fold.agents;
    if newest.is_empty() {
        return Ok(());
    }
    let names = |capabilities: &[Capability]| capabilities.iter().map(ToString::to_string).collect::<Vec<_>>();
    sqlx::query!(
        "INSERT INTO agents AS e (id, key, name, name_ar, department, tags, capabilities, version, enabled, profile,
            created_at, updated_at, position)
        SELECT id, key, name, name_ar, department, ARRAY(SELECT json_array_elements_text(tags::json)),
            ARRAY(SELECT json_array_elements_text(capabilities::json)), version, true, profile::json, created_at,
            updated_at, position
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::integer[],
            $9::text[], $10::bigint[], $11::bigint[], $12::bigint[])
            AS u (id, key, name, name_ar, department, tags, capabilities, version, profile, created_at, updated_at,
                position)
        ON CONFLICT (id) DO UPDATE SET key = excluded.key, name = excluded.name, name_ar = excluded.name_ar,
            department = excluded.department, tags = excluded.tags, capabilities = excluded.capabilities,
            version = excluded.version, profile = excluded.profile,
            updated_at = greatest(excluded.updated_at, e.updated_at),
            position = greatest(excluded.position, e.position)",
        column!(newest, (id, _) => *id) as _,
        column!(newest, (_, entry) => entry.body.key.as_str()) as _,
        column!(newest, (_, entry) => storable(&entry.body.name.en)) as _,
        column!(newest, (_, entry) => entry.body.name.ar.as_deref().map(storable)) as _,
        column!(newest, (_, entry) => storable(&entry.body.department)) as _,
        column!(newest, (_, entry) => words(&entry.body.tags)) as _,
        column!(newest, (_, entry) => words(&names(&entry.body.capabilities))) as _,
        column!(newest, (_, entry) => entry.version) as _,
        column!(newest, (_, entry) => entry.document.as_str()) as _,
        column!(newest, (_, entry) => entry.created_at) as _,
        column!(newest, (_, entry) => entry.updated_at) as _,
        column!(newest, (_, entry) => entry.position) as _
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO agent_versions (agent_id, version, profile, revised_by, revised_at)
        SELECT unnest($1::uuid[]), unnest($2::integer[]), unnest($3::text[])::json, unnest($4::text[]),
            unnest($5::bigint[])",
        column!(versions, version => version.id) as _,
        column!(versions, version => version.version) as _,
        column!(versions, version => version.document.as_str()) as _,
        column!(versions, version => version.by.as_str()) as _,
        column!(versions, version => version.at) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn switches(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    let rows: Vec<(&Uuid, _)> = fold.switches.iter().collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE agents a SET enabled = u.enabled, disabled_reason = u.reason,
            updated_at = greatest(u.at, a.updated_at), position = greatest(u.position, a.position)
        FROM unnest($1::uuid[], $2::boolean[], $3::text[], $4::bigint[], $5::bigint[])
            AS u (id, enabled, reason, at, position)
        WHERE a.id = u.id",
        column!(rows, (id, _) => **id) as _,
        column!(rows, (_, switch) => switch.enabled) as _,
        column!(rows, (_, switch) => switch.reason.as_deref()) as _,
        column!(rows, (_, switch) => switch.at) as _,
        column!(rows, (_, switch) => switch.position) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn templates(connection: &mut PgConnection, fold: &Fold<'_>) -> Result<(), ApplyError> {
    let Entries { newest, versions } = &fold.templates;
    if newest.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO templates AS e (id, key, title, title_ar, department, capability, tags, version, body, created_at,
            updated_at, position)
        SELECT id, key, title, title_ar, department, capability, ARRAY(SELECT json_array_elements_text(tags::json)),
            version, body::json, created_at, updated_at, position
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::integer[],
            $9::text[], $10::bigint[], $11::bigint[], $12::bigint[])
            AS u (id, key, title, title_ar, department, capability, tags, version, body, created_at, updated_at, position)
        ON CONFLICT (id) DO UPDATE SET key = excluded.key, title = excluded.title, title_ar = excluded.title_ar,
            department = excluded.department, capability = excluded.capability, tags = excluded.tags,
            version = excluded.version, body = excluded.body, updated_at = greatest(excluded.updated_at, e.updated_at),
            position = greatest(excluded.position, e.position)",
        column!(newest, (id, _) => *id) as _,
        column!(newest, (_, entry) => entry.body.key.as_str()) as _,
        column!(newest, (_, entry) => storable(&entry.body.title.en)) as _,
        column!(newest, (_, entry) => entry.body.title.ar.as_deref().map(storable)) as _,
        column!(newest, (_, entry) => storable(&entry.body.department)) as _,
        column!(newest, (_, entry) => entry.body.capability.map(Capability::name)) as _,
        column!(newest, (_, entry) => words(&entry.body.tags)) as _,
        column!(newest, (_, entry) => entry.version) as _,
        column!(newest, (_, entry) => entry.document.as_str()) as _,
        column!(newest, (_, entry) => entry.created_at) as _,
        column!(newest, (_, entry) => entry.updated_at) as _,
        column!(newest, (_, entry) => entry.position) as _
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO template_versions (template_id, version, body, revised_by, revised_at)
        SELECT unnest($1::uuid[]), unnest($2::integer[]), unnest($3::text[])::json, unnest($4::text[]),
            unnest($5::bigint[])",
        column!(versions, version => version.id) as _,
        column!(versions, version => version.version) as _,
        column!(versions, version => version.document.as_str()) as _,
        column!(versions, version => version.by.as_str()) as _,
        column!(versions, version => version.at) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}
