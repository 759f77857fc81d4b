-- The people whom runs are about, with the keys under which what is personal is sealed in the journal. The journal holds
-- their ids and nothing else of this. What is erased keeps its id, so that it is known that it was.
CREATE SCHEMA privacy;

CREATE TABLE privacy.subjects (
    id uuid PRIMARY KEY,
    name text UNIQUE,
    -- Wrapped under the installation's master key; NULL once it is destroyed.
    key bytea,
    made_at timestamptz NOT NULL DEFAULT now(),
    erased_at timestamptz
);
