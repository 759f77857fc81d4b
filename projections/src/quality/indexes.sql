CREATE INDEX judged_tasks_by_time ON judged_tasks (judged_at);
