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
-- Runs, tasks and attempts in other orders; what has no value yet stands below all that have one.
CREATE INDEX runs_by_end ON runs (coalesce(ended_at, -1), id);
CREATE INDEX runs_by_duration ON runs (coalesce(ended_at - started_at, -1), id);
CREATE INDEX runs_by_name ON runs (workflow_key COLLATE "C", id);
CREATE INDEX tasks_by_time ON tasks (created_at, id);
CREATE INDEX tasks_by_end ON tasks (coalesce(ended_at, -1), id);
CREATE INDEX tasks_by_duration ON tasks (coalesce(ended_at - created_at, -1), id);
CREATE INDEX tasks_by_run ON tasks (run_id);
CREATE INDEX attempts_by_time ON attempts (started_at, task_id, number);
CREATE INDEX attempts_by_cost ON attempts (coalesce(cost_nano_usd, -1), task_id, number);
CREATE INDEX attempts_by_duration ON attempts (coalesce(duration_ms, -1), task_id, number);
