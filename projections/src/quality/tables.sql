-- What programs, judges and people give to answers. Marks are hundredths, 100 to 1000; moments are microseconds since the
-- Unix epoch.

-- What a program could decide, when there was anything to decide.
CREATE TABLE checked_tasks (
    task_id uuid PRIMARY KEY,
    mark integer NOT NULL
);

CREATE TABLE judged_tasks (
    task_id uuid PRIMARY KEY,
    agent_id uuid NOT NULL,
    -- The model that judged, and the one whose answer it is.
    model text NOT NULL,
    author text NOT NULL,
    -- The median of the samples, how far they lie apart, how many there are, and how many were asked for.
    mark integer NOT NULL,
    spread integer NOT NULL,
    samples integer NOT NULL,
    asked bigint NOT NULL,
    judged_at bigint NOT NULL
);

-- The last rating of each person.
CREATE TABLE rated_tasks (
    task_id uuid NOT NULL,
    -- As `kind:id`.
    person text NOT NULL,
    mark integer NOT NULL,
    rated_at bigint NOT NULL,
    PRIMARY KEY (task_id, person)
);
