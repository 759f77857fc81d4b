-- What a run has asked for, to be gathered when it ends.
CREATE INDEX asking_tasks_by_run ON asking_tasks (run_id);
-- The list in its usual order, and those of one owner and of one run. What is indexed must be short, and models write owners
-- as they please.
CREATE INDEX action_items_by_opening ON action_items (opened_at, task_id, number);
CREATE INDEX action_items_by_owner ON action_items (left(lower(owner), 200), opened_at);
CREATE INDEX action_items_by_run ON action_items (run_id);
-- What has to be done by when.
CREATE INDEX action_items_due ON action_items (due_day) WHERE state IN ('open', 'in_progress');
CREATE INDEX action_items_by_words ON action_items USING gin (words);
