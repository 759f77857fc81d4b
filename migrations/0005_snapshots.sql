-- States of long streams as they were after an event, so that they need not be folded from their first. A cache: every
-- row follows from events and may be dropped at any time. `schema` says which rules folded it; `hash` covers it, the
-- state and the hash of the last event.
CREATE TABLE journal.snapshots (
    category text COLLATE "C" NOT NULL,
    stream uuid NOT NULL,
    schema text COLLATE "C" NOT NULL,
    revision bigint NOT NULL CHECK (revision >= 0),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    state bytea NOT NULL,
    PRIMARY KEY (stream, category)
);
