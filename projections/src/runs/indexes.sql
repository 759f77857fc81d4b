-- The order of every list of runs.
CREATE INDEX runs_by_time ON runs (started_at, id);
CREATE INDEX runs_by_workflow ON runs (workflow_key, started_at, id);
-- Lists by status, and counting.
CREATE INDEX runs_by_status ON runs (status, started_at, id);
-- What an agent has done.
CREATE INDEX tasks_by_agent ON tasks (agent_id);
-- What hangs on a run.
CREATE INDEX parents_by_parent ON parents (parent_id);
CREATE INDEX lineages_by_source ON lineages (source_id);
CREATE INDEX firings_by_trigger ON firings (trigger_id);
-- Where a task belongs.
CREATE INDEX items_by_task ON items (task_id);
CREATE INDEX undos_by_task ON undos (task_id);
