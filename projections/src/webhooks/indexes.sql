-- The log of one webhook, and what waits for it.
CREATE INDEX deliveries_by_webhook ON deliveries (webhook_id, event_position, id);
CREATE INDEX deliveries_by_position ON deliveries (event_position, id);
CREATE INDEX deliveries_open ON deliveries (webhook_id) WHERE status IN ('requested', 'waiting');
-- The log in the order in which something happened to it.
CREATE INDEX deliveries_by_change ON deliveries (changed_at, id);
