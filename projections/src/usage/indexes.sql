-- Every roll-up is of a time.
CREATE INDEX costs_by_time ON costs (started_at);
