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
CREATE INDEX repeats_by_task ON repeats (task_id);
CREATE INDEX firings_by_trigger ON firings (trigger_id);
-- Where a task belongs.
CREATE INDEX items_by_task ON items (task_id);
CREATE INDEX undos_by_task ON undos (task_id);
-- Runs in other orders; what has no value yet stands below all that have one.
CREATE INDEX runs_by_end ON runs (coalesce(ended_at, -1), id);
CREATE INDEX runs_by_duration ON runs (coalesce(ended_at - started_at, -1), id);
CREATE INDEX runs_by_name ON runs (workflow_key COLLATE "C", id);
-- Tasks and attempts by time and by run. None by what is known only at their end: the row of a task would have to be
-- entered in every index a second time when it ends, and there are ten times as many of them. Those orders are sorted.
CREATE INDEX tasks_by_time ON tasks (created_at, id);
CREATE INDEX tasks_by_run ON tasks (run_id);
CREATE INDEX attempts_by_time ON attempts (started_at, task_id, number);
