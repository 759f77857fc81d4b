-- The order of every list of runs.
CREATE INDEX runs_by_time ON runs (started_at, id);
CREATE INDEX runs_by_workflow ON runs (workflow_key, started_at, id);
-- Lists by status, and counting.
CREATE INDEX runs_by_status ON runs (status, started_at, id);
-- What an agent has done.
CREATE INDEX tasks_by_agent ON tasks (agent_id);
