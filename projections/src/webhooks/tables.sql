-- What webhooks were told. Moments are microseconds since the Unix epoch.
CREATE TABLE deliveries (
    id uuid PRIMARY KEY,
    webhook_id uuid NOT NULL,
    topic text NOT NULL,
    -- The event that is told, and its place in the journal.
    event_id uuid NOT NULL,
    event_position bigint NOT NULL,
    event_at bigint NOT NULL,
    -- `requested`, `waiting`, `delivered` or `given_up`.
    status text NOT NULL,
    -- Since it was last asked for.
    attempts bigint NOT NULL,
    http_status integer,
    trouble text,
    next_at bigint,
    changed_at bigint NOT NULL,
    position bigint NOT NULL
);

-- Webhooks that are disabled or deleted: nothing waits for them.
CREATE TABLE closed_webhooks (
    id uuid PRIMARY KEY
);

CREATE TABLE delivery_attempts (
    delivery_id uuid NOT NULL,
    -- The revision of the event.
    number bigint NOT NULL,
    attempt bigint NOT NULL,
    succeeded boolean NOT NULL,
    http_status integer,
    trouble text,
    took_micros bigint NOT NULL,
    ended_at bigint NOT NULL,
    PRIMARY KEY (delivery_id, number)
);
