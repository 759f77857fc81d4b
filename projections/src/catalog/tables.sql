-- Workflows, agents and templates: the newest of each, and every version. Moments are microseconds since the Unix
-- epoch; documents are `json`, so that they come back as they were recorded.
CREATE TABLE workflows (
    id uuid PRIMARY KEY,
    key text NOT NULL UNIQUE,
    name text NOT NULL,
    name_ar text,
    description text NOT NULL,
    description_ar text,
    department text NOT NULL,
    tags text[] NOT NULL,
    newest_version integer NOT NULL,
    active_version integer,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    position bigint NOT NULL
);

CREATE TABLE workflow_versions (
    workflow_id uuid NOT NULL,
    version integer NOT NULL,
    definition json NOT NULL,
    drafted_by text NOT NULL,
    drafted_at bigint NOT NULL,
    activated_at bigint,
    PRIMARY KEY (workflow_id, version)
);

CREATE TABLE agents (
    id uuid PRIMARY KEY,
    key text NOT NULL UNIQUE,
    name text NOT NULL,
    name_ar text,
    department text NOT NULL,
    tags text[] NOT NULL,
    capabilities text[] NOT NULL,
    version integer NOT NULL,
    enabled boolean NOT NULL,
    disabled_reason text,
    profile json NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    position bigint NOT NULL
);

CREATE TABLE agent_versions (
    agent_id uuid NOT NULL,
    version integer NOT NULL,
    profile json NOT NULL,
    revised_by text NOT NULL,
    revised_at bigint NOT NULL,
    PRIMARY KEY (agent_id, version)
);

CREATE TABLE templates (
    id uuid PRIMARY KEY,
    key text NOT NULL UNIQUE,
    title text NOT NULL,
    title_ar text,
    department text NOT NULL,
    capability text,
    tags text[] NOT NULL,
    version integer NOT NULL,
    body json NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    position bigint NOT NULL
);

CREATE TABLE template_versions (
    template_id uuid NOT NULL,
    version integer NOT NULL,
    body json NOT NULL,
    revised_by text NOT NULL,
    revised_at bigint NOT NULL,
    PRIMARY KEY (template_id, version)
);
