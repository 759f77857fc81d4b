-- What a run or a task waits for.
CREATE INDEX seats_by_run ON seats (run_id);
CREATE INDEX seats_by_limit ON seats (limit_key);
