use uuid::Uuid;

/// What a webhook was told, or is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// The delivery's id.
    pub id: Uuid,
    /// The webhook.
    pub webhook_id: Uuid,
    /// The type of event, as the webhook sees it.
    pub topic: String,
    /// The event that is told.
    pub event_id: Uuid,
    /// Its place in the journal.
    pub event_position: i64,
    /// When it was recorded.
    pub event_at: i64,
    /// `requested`, `waiting`, `delivered` or `given_up`.
    pub status: String,
    /// How many attempts were made since it was last asked for.
    pub attempts: i64,
    /// The HTTP status of the last attempt, when there was an answer.
    pub http_status: Option<i32>,
    /// What went wrong with the last attempt.
    pub trouble: Option<String>,
    /// When the next attempt is made.
    pub next_at: Option<i64>,
    /// When something last happened to it.
    pub changed_at: i64,
    /// The position of the last event that the row reflects.
    pub position: i64,
}

/// One attempt of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryAttemptRow {
    /// The delivery's id.
    pub delivery_id: Uuid,
    /// Orders the attempts of a delivery.
    pub number: i64,
    /// Which attempt, from 1; counts anew after a request.
    pub attempt: i64,
    /// Whether the webhook took it.
    pub succeeded: bool,
    /// The HTTP status, when there was an answer.
    pub http_status: Option<i32>,
    /// What went wrong.
    pub trouble: Option<String>,
    /// How long it took, in microseconds.
    pub took_micros: i64,
    /// When it had ended.
    pub ended_at: i64,
}
