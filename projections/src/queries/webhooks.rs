//! What webhooks were told.

use uuid::Uuid;

use super::order::{DeliveryKey, Place, SortKey, attach, placed};
use super::{Page, Queries, Window};
use crate::{DeliveryAttemptRow, DeliveryRow, Error};

/// Which deliveries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Only to this webhook.
    pub webhook: Option<Uuid>,
    /// Only with this status.
    pub status: Option<String>,
}

impl Queries {
    /// Deliveries, those about the latest events first, by `(event_position, id)`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        window: &Window<(i64, Uuid)>,
    ) -> Result<Page<DeliveryRow>, Error> {
        let (upper, upper_id) = window.after.unwrap_or((i64::MAX, Uuid::max()));
        let (lower, lower_id) = window.before.unwrap_or((i64::MIN, Uuid::nil()));
        macro_rules! page {
            ($order:literal) => {
                sqlx::query_as!(
                    DeliveryRow,
                    "SELECT id, webhook_id, topic, event_id, event_position, event_at, status, attempts, http_status,
                        trouble, next_at, changed_at, position
                    FROM read_webhooks.deliveries
                    WHERE ($1::uuid IS NULL OR webhook_id = $1) AND ($2::text IS NULL OR status = $2)
                        AND (event_position, id) < ($3::bigint, $4::uuid)
                        AND (event_position, id) > ($5::bigint, $6::uuid)
                    ORDER BY "
                        + $order
                        + " LIMIT $7",
                    filter.webhook,
                    filter.status.as_deref(),
                    upper,
                    upper_id,
                    lower,
                    lower_id,
                    window.probe()
                )
            };
        }
        let rows = if window.from_end {
            page!("event_position, id").fetch_all(&self.pool).await?
        } else {
            page!("event_position DESC, id DESC").fetch_all(&self.pool).await?
        };
        Ok(Page::cut(rows, window))
    }

    /// Deliveries in another order than by the events that they are about, each with its place.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn deliveries_by(
        &self,
        key: DeliveryKey,
        filter: &DeliveryFilter,
        window: &Window<Place>,
    ) -> Result<Page<(Place, DeliveryRow)>, Error> {
        let asked = window.turned(true);
        macro_rules! page {
            ($key:literal, $type:literal, $desc:literal, $lower:expr, $upper:expr) => {
                sqlx::query!(
                    "SELECT d.id, "
                        + $key
                        + " AS \"key!\" FROM read_webhooks.deliveries d
                    WHERE ($1::uuid IS NULL OR d.webhook_id = $1) AND ($2::text IS NULL OR d.status = $2)
                        AND ("
                        + $key
                        + ", d.id) > ($3::"
                        + $type
                        + ", $4::uuid)
                        AND ("
                        + $key
                        + ", d.id) < ($5::"
                        + $type
                        + ", $6::uuid)
                    ORDER BY "
                        + $key
                        + $desc
                        + ", d.id"
                        + $desc
                        + " LIMIT $7",
                    filter.webhook,
                    filter.status.as_deref(),
                    $lower.0,
                    $lower.1,
                    $upper.0,
                    $upper.1,
                    asked.probe()
                )
                .map(|row| (SortKey::from(row.key), row.id))
                .fetch_all(&self.pool)
                .await?
            };
        }
        let found = match key {
            DeliveryKey::Changed => placed!(asked, Uuid::nil(), Uuid::max(), page, number "d.changed_at"),
        };
        let found = Page::cut(found, &asked).turned(true);
        let ids: Vec<Uuid> = found.rows.iter().map(|(_, id)| *id).collect();
        Ok(attach(found, self.deliveries_by_id(&ids).await?, |row| row.id))
    }

    /// Deliveries by their ids, in no particular order; unknown ids are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn deliveries_by_id(&self, ids: &[Uuid]) -> Result<Vec<DeliveryRow>, Error> {
        let rows = sqlx::query_as!(
            DeliveryRow,
            "SELECT id, webhook_id, topic, event_id, event_position, event_at, status, attempts, http_status, trouble,
                next_at, changed_at, position
            FROM read_webhooks.deliveries WHERE id = ANY($1)",
            ids
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// The attempts of deliveries, by delivery, the first first; at most 1000 of each.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delivery_attempts(&self, deliveries: &[Uuid]) -> Result<Vec<DeliveryAttemptRow>, Error> {
        let rows = sqlx::query_as!(
            DeliveryAttemptRow,
            r#"SELECT a.delivery_id AS "delivery_id!", a.number AS "number!", a.attempt AS "attempt!",
                a.succeeded AS "succeeded!", a.http_status, a.trouble, a.took_micros AS "took_micros!",
                a.ended_at AS "ended_at!"
            FROM unnest($1::uuid[]) AS u (delivery_id) CROSS JOIN LATERAL (
                SELECT * FROM read_webhooks.delivery_attempts d WHERE d.delivery_id = u.delivery_id
                ORDER BY d.number LIMIT 1000
            ) AS a ORDER BY a.delivery_id, a.number"#,
            deliveries
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }
}
