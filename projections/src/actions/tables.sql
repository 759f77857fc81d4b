-- Action items that are tracked. Moments are microseconds since the Unix epoch.
-- No table is called as one of another read model, because statements are checked with all of them on the search path.

-- Runs under way whose tasks are asked for every part of their output; others ask nobody to do anything.
CREATE TABLE asking_runs (
    id uuid PRIMARY KEY,
    workflow_key text NOT NULL
);

-- The tasks of those runs.
CREATE TABLE asking_tasks (
    id uuid PRIMARY KEY,
    run_id uuid NOT NULL,
    step text NOT NULL
);

-- What those tasks have asked for so far; it is tracked when the run has ended. What a task says after that stays here.
CREATE TABLE asked_for (
    task_id uuid NOT NULL,
    number integer NOT NULL,
    position bigint NOT NULL,
    what text NOT NULL,
    owner text,
    due text,
    priority text,
    PRIMARY KEY (task_id, number)
);

CREATE TABLE action_items (
    task_id uuid NOT NULL,
    number integer NOT NULL,
    run_id uuid NOT NULL,
    workflow_key text NOT NULL,
    -- The steps that ask for it.
    steps text[] NOT NULL,
    what text NOT NULL,
    -- `high`, `medium`, `low` or nothing, and by what that is sorted: 0 is the most pressing.
    priority text,
    urgency integer NOT NULL,
    -- `open`, `in_progress`, `done` or `dismissed`.
    state text NOT NULL,
    owner text,
    due text,
    -- The day of a due date, counted from 1970-01-01; nothing when what stands there is no date.
    due_day bigint,
    note text,
    opened_at bigint NOT NULL,
    changed_at bigint NOT NULL,
    -- Who changed it last, as `kind:id`; nothing when nobody has.
    changed_by text,
    position bigint NOT NULL,
    -- How it was when the run ended, and where that end stands; whoever asks about the past begins there.
    asked_owner text,
    asked_due text,
    opened_position bigint NOT NULL,
    -- The words of what has to be done (weight A), and of the owner and the note (weight B), made by the projector. Of what
    -- models wrote at length the beginning is enough.
    words tsvector NOT NULL,
    PRIMARY KEY (task_id, number)
) WITH (fillfactor = 80);
