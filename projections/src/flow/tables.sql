-- What makes runs and tasks wait. Moments are microseconds since the Unix epoch.
CREATE TABLE limits (
    id uuid PRIMARY KEY,
    key text NOT NULL UNIQUE,
    description text NOT NULL,
    -- `workflow`, `agent` or `platform`, and which one.
    scope_kind text NOT NULL,
    scope_key text NOT NULL,
    partition_by text,
    max_running bigint,
    rate_starts bigint,
    rate_micros bigint,
    fairness text,
    set_by text NOT NULL,
    set_at bigint NOT NULL,
    removed_at bigint,
    removed_reason text,
    position bigint NOT NULL
);

-- Slots that somebody has, or waits for. They come and go with every attempt that a limit counts.
CREATE TABLE seats (
    slots_id uuid NOT NULL,
    run_id uuid NOT NULL,
    -- All zeros when the run itself wants the slot.
    task_id uuid NOT NULL,
    limit_key text NOT NULL,
    partition text,
    priority integer NOT NULL,
    fairness text NOT NULL,
    requested_at bigint NOT NULL,
    granted_at bigint,
    PRIMARY KEY (slots_id, run_id, task_id)
) WITH (fillfactor = 50);

-- Where slots of limits are given, or ever were: one row for each value that a limit counts apart. Nothing ever leaves it.
CREATE TABLE slots (
    id uuid PRIMARY KEY,
    limit_key text NOT NULL,
    partition text
);

-- Every time that everything, or a workflow, was held.
CREATE TABLE holds (
    hold_id uuid NOT NULL,
    -- The revision of the event.
    number bigint NOT NULL,
    workflow_key text,
    placed_by text NOT NULL,
    reason text NOT NULL,
    placed_at bigint NOT NULL,
    clock text NOT NULL,
    lifted_by text,
    lifted_at bigint,
    position bigint NOT NULL,
    PRIMARY KEY (hold_id, number)
);
