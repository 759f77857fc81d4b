-- How far each reactor has come, and what it wants to remember; all of it follows from events.
CREATE TABLE journal.checkpoints (
    name text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL CHECK (position >= 0),
    state bytea NOT NULL
);
