-- Every roll-up is of a time.
CREATE INDEX costs_by_time ON costs (started_at);
-- Runs, the dearest first.
CREATE INDEX run_origins_by_cost ON run_origins (cost_nano_usd, id);
