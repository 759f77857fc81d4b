-- What a run or a task waits for.
CREATE INDEX seats_by_run ON seats (run_id);
CREATE INDEX seats_by_limit ON seats (limit_key);
-- Where a limit's slots were given as of some position.
CREATE INDEX slots_by_limit ON slots (limit_key);
