-- Runs, steps, tasks and attempts. Moments are microseconds since the Unix epoch. Documents are `json`, not `jsonb`:
-- they come back byte for byte as they were recorded, and may hold "\u0000".

-- What is the same for every run of a workflow version; the pending steps of a run are read from here, so that
-- starting a run writes one row and not one per step.
CREATE TABLE plans (
    workflow_id uuid NOT NULL,
    version integer NOT NULL,
    ordinal integer NOT NULL,
    step text NOT NULL,
    title text NOT NULL,
    agent_key text NOT NULL,
    template_key text NOT NULL,
    needs text[] NOT NULL,
    PRIMARY KEY (workflow_id, version, ordinal)
);

-- The lower fill factors leave room for the updates that follow an insert, in the same page and without touching
-- an index.
CREATE TABLE runs (
    id uuid PRIMARY KEY,
    workflow_id uuid NOT NULL,
    workflow_key text NOT NULL,
    version integer NOT NULL,
    status text NOT NULL,
    input json NOT NULL,
    output json,
    simulated boolean NOT NULL,
    error_kind text,
    error_message text,
    failed_step text,
    cancel_reason text,
    node uuid,
    epoch bigint,
    actor text NOT NULL,
    correlation uuid NOT NULL,
    started_at bigint NOT NULL,
    ended_at bigint,
    -- Of the last event that changed this row; events of single steps are counted in `steps`.
    position bigint NOT NULL
) WITH (fillfactor = 80);

CREATE TABLE steps (
    run_id uuid NOT NULL,
    step text NOT NULL,
    status text NOT NULL,
    task_id uuid,
    output json,
    simulated boolean NOT NULL,
    error_kind text,
    error_message text,
    started_at bigint,
    ended_at bigint,
    position bigint NOT NULL,
    PRIMARY KEY (run_id, step)
) WITH (fillfactor = 80);

CREATE TABLE tasks (
    id uuid PRIMARY KEY,
    run_id uuid,
    step text,
    template_id uuid NOT NULL,
    template_version integer NOT NULL,
    agent_id uuid,
    agent_version integer,
    assign_reason text,
    parameters json NOT NULL,
    status text NOT NULL,
    retry_at bigint,
    error_kind text,
    error_message text,
    cancel_reason text,
    created_at bigint NOT NULL,
    ended_at bigint,
    attempts integer NOT NULL,
    position bigint NOT NULL
) WITH (fillfactor = 80);

CREATE TABLE attempts (
    task_id uuid NOT NULL,
    number integer NOT NULL,
    platform text NOT NULL,
    model text,
    answered_by text,
    status text NOT NULL,
    error_kind text,
    error_message text,
    finish_reason text,
    text text,
    simulated boolean NOT NULL,
    input_tokens bigint,
    cached_input_tokens bigint,
    output_tokens bigint,
    reasoning_tokens bigint,
    cost_nano_usd bigint,
    duration_ms bigint,
    request_hash bytea NOT NULL,
    started_at bigint NOT NULL,
    ended_at bigint,
    late boolean NOT NULL,
    PRIMARY KEY (task_id, number)
) WITH (fillfactor = 80);
