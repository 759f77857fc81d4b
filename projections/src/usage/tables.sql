-- What attempts have cost, each with everything by which it is rolled up. Moments are microseconds since the Unix epoch.
-- No table is called as one of another read model, because statements are checked with all of them on the search path.

-- Agents and templates by id, for their keys.
CREATE TABLE names (
    id uuid PRIMARY KEY,
    key text NOT NULL,
    -- `agent` or `template`.
    kind text NOT NULL
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
    agent_id uuid,
    created_at bigint NOT NULL,
    -- `open`, `completed`, `failed` or `cancelled`.
    status text NOT NULL DEFAULT 'open',
    ended_at bigint,
    -- How good its answer is by what a program can decide, in hundredths.
    quality integer
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
    -- How long the platform took for an answer that counts.
    duration_ms bigint,
    PRIMARY KEY (task_id, number)
) WITH (fillfactor = 80);

-- What became of the tasks that were created on a day (in UTC, counted from 1970-01-01), for each agent and each template.
-- Any window is a sum of days. Always the sum over the tables above, to which it is kept by what a batch changes there.
CREATE TABLE performance_days (
    -- The agent's or the template's id.
    subject uuid NOT NULL,
    day bigint NOT NULL,
    tasks bigint NOT NULL,
    completed bigint NOT NULL,
    failed bigint NOT NULL,
    cancelled bigint NOT NULL,
    -- Of completed tasks: from creation to end, in microseconds.
    elapsed bigint NOT NULL,
    -- Hundredths of marks, and of how many tasks.
    quality bigint NOT NULL,
    rated bigint NOT NULL,
    -- Attempts that brought an answer: how many, how long they took in milliseconds, what those cost of which it is known.
    answers bigint NOT NULL,
    simulated bigint NOT NULL,
    duration_ms bigint NOT NULL,
    answer_cost_nano_usd bigint NOT NULL,
    priced_answers bigint NOT NULL,
    -- Of all attempts.
    cost_nano_usd bigint NOT NULL,
    unknown_costs bigint NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    -- When its last task was created.
    last_at bigint NOT NULL,
    PRIMARY KEY (subject, day)
) WITH (fillfactor = 70);
