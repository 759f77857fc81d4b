-- What attempts have cost, each with everything by which it is rolled up. Moments are microseconds since the Unix epoch.
-- No table is called as one of another read model, because statements are checked with all of them on the search path.

-- Agents and templates by id, for their keys.
CREATE TABLE names (
    id uuid PRIMARY KEY,
    key text NOT NULL
);

-- What is the same for all attempts of a run.
CREATE TABLE run_origins (
    id uuid PRIMARY KEY,
    workflow_key text NOT NULL,
    department text NOT NULL,
    -- Who started it, as `kind:id`.
    person text NOT NULL,
    -- What its own tasks are known to have cost.
    cost_nano_usd bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 80);

-- What is the same for all attempts of a task.
CREATE TABLE task_origins (
    id uuid PRIMARY KEY,
    run_id uuid,
    template_id uuid NOT NULL,
    agent_id uuid
) WITH (fillfactor = 80);

CREATE TABLE costs (
    task_id uuid NOT NULL,
    number integer NOT NULL,
    platform text NOT NULL,
    -- The one that answered, else the one that was asked for; empty when the platform's default was.
    model text NOT NULL,
    started_at bigint NOT NULL,
    -- `running`, `succeeded`, `failed`, `lost` or `cancelled`.
    status text NOT NULL,
    simulated boolean NOT NULL,
    cost_nano_usd bigint,
    input_tokens bigint,
    cached_input_tokens bigint,
    output_tokens bigint,
    reasoning_tokens bigint,
    -- Whether a kept answer served instead of a call, and what that call had cost.
    kept boolean NOT NULL,
    saved_nano_usd bigint,
    PRIMARY KEY (task_id, number)
) WITH (fillfactor = 80);
