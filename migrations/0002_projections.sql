-- Where each read model stands. The tables of the read models themselves are made by their projectors
-- (projections/src/*/tables.sql), because a rebuild makes them anew beside the live ones.
CREATE SCHEMA projections;

CREATE TABLE projections.checkpoints (
    name text NOT NULL,
    -- 'live' is what queries read; 'next' is being rebuilt beside it.
    slot text NOT NULL CHECK (slot IN ('live', 'next')),
    -- The rows reflect the journal up to and including this position.
    position bigint NOT NULL CHECK (position >= 0),
    -- Counts the owners. A batch moves the checkpoint only with its owner's own number, so that who was replaced
    -- can write no more.
    fence bigint NOT NULL,
    -- The version of the projector that made the rows.
    version integer NOT NULL,
    status text NOT NULL CHECK (status IN ('running', 'rebuilding', 'poisoned')),
    error text,
    -- Microseconds since the Unix epoch.
    updated_at bigint NOT NULL,
    PRIMARY KEY (name, slot)
) WITH (fillfactor = 50);
