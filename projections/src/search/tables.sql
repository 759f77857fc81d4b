-- What can be found by its words, in English and in Arabic. Moments are microseconds since the Unix epoch.
CREATE TABLE documents (
    -- `workflow`, `agent`, `template`, `run`, `task`, `run_output` or `task_output`.
    kind text NOT NULL,
    -- Of the workflow, agent, template, run or task.
    id uuid NOT NULL,
    -- The name that people read, or the key.
    label text NOT NULL,
    -- Of tasks and their outputs.
    run_id uuid,
    step text,
    -- When it was last written.
    at bigint NOT NULL,
    body text NOT NULL,
    -- The words of label and body, by both languages' rules.
    words tsvector NOT NULL,
    PRIMARY KEY (kind, id)
);
