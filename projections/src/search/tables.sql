-- What can be found by its words. Moments are microseconds since the Unix epoch.
CREATE TABLE documents (
    -- `workflow`, `agent`, `template`, `run`, `task`, `run_output` or `task_output`.
    kind text NOT NULL,
    -- Of the workflow, agent, template, run or task.
    id uuid NOT NULL,
    -- The name that people read, or the key; empty for outputs, which are called as what they are outputs of.
    label text NOT NULL,
    -- Of tasks.
    run_id uuid,
    step text,
    -- When it was last written.
    at bigint NOT NULL,
    body text NOT NULL,
    -- The words of label (weight A) and body (weight B), made by the projector.
    words tsvector NOT NULL,
    PRIMARY KEY (id, kind)
);
