-- Runs, steps, tasks and attempts. Moments are microseconds since the Unix epoch. Documents are `json`, not `jsonb`:
-- they come back byte for byte as they were recorded, and may hold "\u0000".

-- What is the same for every run of a workflow version; the pending steps of a run are read from here, so that
-- starting a run writes one row and not one per step.
CREATE TABLE plans (
    workflow_id uuid NOT NULL,
    version integer NOT NULL,
    ordinal integer NOT NULL,
    step text NOT NULL,
    -- `task`, `for_each`, `approval`, `wait`, `signal` or `run`.
    kind text NOT NULL,
    -- Of steps that an agent carries out.
    agent_key text,
    template_key text,
    needs text[] NOT NULL,
    -- Of approvals: who may decide, as `anyone`, `person:NAME` or `role:NAME`.
    approvers text[] NOT NULL,
    -- The whole step.
    definition json NOT NULL,
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
    priority integer NOT NULL,
    started_at bigint NOT NULL,
    -- Of its first event: whether there was such a run as of some position.
    started_position bigint NOT NULL,
    ended_at bigint,
    -- When it fails if it has not ended.
    deadline bigint,
    -- When what runs is cut, once somebody wants it to stop.
    cut_at bigint,
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
    skip_reason text,
    deadline bigint,
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
    -- When it fails if no attempt has started by then.
    start_by bigint,
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
    -- Where the cost comes from, of an answer or of what a failed attempt had used: `reported`, `listed`, `unpriced` or
    -- `free`; of which list.
    cost_source text,
    price_list text,
    duration_ms bigint,
    -- From asking to the first piece of text; of an answer that came in pieces.
    first_piece_ms bigint,
    request_hash bytea NOT NULL,
    -- When the kept answer was given that served instead of a call, and what that call had cost.
    kept_at bigint,
    saved_nano_usd bigint,
    started_at bigint NOT NULL,
    ended_at bigint,
    late boolean NOT NULL,
    PRIMARY KEY (task_id, number)
) WITH (fillfactor = 80);

-- What few runs have stands in tables of its own, so that an ordinary run costs no more for it.

-- Runs that a step of another run started.
CREATE TABLE parents (
    run_id uuid PRIMARY KEY,
    parent_id uuid NOT NULL,
    parent_step text NOT NULL,
    depth integer NOT NULL
);

-- Runs that took over another run's history.
CREATE TABLE lineages (
    run_id uuid PRIMARY KEY,
    source_id uuid NOT NULL,
    source_revision bigint NOT NULL,
    lineage_kind text NOT NULL,
    kept text[] NOT NULL,
    overrides json NOT NULL
);

-- Runs that a trigger started.
CREATE TABLE firings (
    run_id uuid PRIMARY KEY,
    trigger_id uuid NOT NULL,
    cause text NOT NULL
);

-- Runs that do a task again.
CREATE TABLE repeats (
    run_id uuid PRIMARY KEY,
    task_id uuid NOT NULL
);

-- Runs that had to wait for limits before their first step.
CREATE TABLE queues (
    run_id uuid PRIMARY KEY,
    queued_at bigint NOT NULL,
    admitted_at bigint
);

-- Every pause; `number` is the revision of its event.
CREATE TABLE pauses (
    run_id uuid NOT NULL,
    number bigint NOT NULL,
    paused_by text NOT NULL,
    pause_reason text NOT NULL,
    since bigint NOT NULL,
    clock text NOT NULL,
    hold_id uuid,
    until bigint,
    -- Nobody when the run was cancelled while it was paused.
    resumed_by text,
    PRIMARY KEY (run_id, number)
);

-- Runs that were found with nothing to wait for.
CREATE TABLE stalls (
    run_id uuid NOT NULL,
    number bigint NOT NULL,
    what text NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (run_id, number)
);

-- Every signal that came.
CREATE TABLE signals (
    run_id uuid NOT NULL,
    number bigint NOT NULL,
    signal text NOT NULL,
    payload json NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (run_id, number)
);

-- What steps wait for that are neither tasks nor approvals.
CREATE TABLE activities (
    run_id uuid NOT NULL,
    step text NOT NULL,
    fires_at bigint,
    signal text,
    child_id uuid,
    abandoned boolean NOT NULL,
    PRIMARY KEY (run_id, step)
);

CREATE TABLE approvals (
    run_id uuid NOT NULL,
    step text NOT NULL,
    content json NOT NULL,
    content_hash bytea NOT NULL,
    expires_at bigint,
    expired boolean NOT NULL,
    PRIMARY KEY (run_id, step)
);

CREATE TABLE decisions (
    run_id uuid NOT NULL,
    step text NOT NULL,
    number bigint NOT NULL,
    decided_by text NOT NULL,
    approved boolean NOT NULL,
    comment text NOT NULL,
    content_hash bytea NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (run_id, step, number)
);

-- The lists of steps that work through one. Elements that have not started are read from here.
CREATE TABLE lists (
    run_id uuid NOT NULL,
    step text NOT NULL,
    elements json NOT NULL,
    length integer NOT NULL,
    PRIMARY KEY (run_id, step)
);

CREATE TABLE items (
    run_id uuid NOT NULL,
    step text NOT NULL,
    item integer NOT NULL,
    status text NOT NULL,
    task_id uuid,
    result json,
    simulated boolean NOT NULL,
    error_kind text,
    error_message text,
    started_at bigint,
    ended_at bigint,
    PRIMARY KEY (run_id, step, item)
) WITH (fillfactor = 80);

-- Completed steps that are, or were, undone.
CREATE TABLE undos (
    run_id uuid NOT NULL,
    step text NOT NULL,
    task_id uuid,
    status text NOT NULL,
    simulated boolean NOT NULL,
    error_kind text,
    error_message text,
    started_at bigint,
    ended_at bigint,
    PRIMARY KEY (run_id, step)
);
