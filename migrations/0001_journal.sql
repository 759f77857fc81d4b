-- The journal: what happened, in one order, for ever.

CREATE SCHEMA journal;

-- No CHECK constraints: the server parses each of them anew for every statement, and the hash chain says more.
CREATE TABLE journal.events (
    -- The place in the whole journal, from 1, without gaps, in the order of commits.
    position bigint NOT NULL,
    -- The place in the stream, from 0, without gaps.
    revision bigint NOT NULL,
    -- Microseconds since the Unix epoch, by the clock of the node that decided.
    recorded_at bigint NOT NULL,
    stream uuid NOT NULL,
    event_id uuid NOT NULL,
    -- The command that led to the append, on its last event, when a repetition must find it.
    command uuid,
    schema_version smallint NOT NULL,
    codec smallint NOT NULL,
    category text COLLATE "C" NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL,
    metadata bytea NOT NULL,
    payload bytea NOT NULL,
    CONSTRAINT events_position PRIMARY KEY (position)
);

-- What makes two appends to one stream with one expectation impossible, whatever the processes believe.
CREATE UNIQUE INDEX events_stream ON journal.events (stream, category, revision);
CREATE UNIQUE INDEX events_command ON journal.events (command) WHERE command IS NOT NULL;

-- Hashes and metadata are small and read with every event: keep them in the row. Payloads are compressed only when
-- they are moved out of it, by the fast method where the server has it.
ALTER TABLE journal.events ALTER COLUMN previous_hash SET STORAGE PLAIN;
ALTER TABLE journal.events ALTER COLUMN hash SET STORAGE PLAIN;
ALTER TABLE journal.events ALTER COLUMN metadata SET STORAGE MAIN;
DO $$
BEGIN
    ALTER TABLE journal.events ALTER COLUMN payload SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    RAISE NOTICE 'this server has no lz4; payloads are compressed with pglz';
END $$;

-- Where the journal ends. This one row orders all appends: whoever moves it on appends next.
CREATE TABLE journal.head (
    single boolean CONSTRAINT head_single PRIMARY KEY DEFAULT true,
    -- The position of the last event; 0 before the first.
    position bigint NOT NULL,
    -- How many processes listen for new events, at least; nobody is notified while there is only one.
    listeners integer NOT NULL
) WITH (fillfactor = 10);
INSERT INTO journal.head (position, listeners) VALUES (0, 0);

CREATE FUNCTION journal.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on %.% is refused: what happened never changes', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation',
              HINT = 'Record a new event that corrects the old one.';
END $$;

CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal.events
    FOR EACH STATEMENT EXECUTE FUNCTION journal.refuse_change();
CREATE TRIGGER head_stays BEFORE DELETE OR TRUNCATE ON journal.head
    FOR EACH STATEMENT EXECUTE FUNCTION journal.refuse_change();
-- Also when rows come in by replication.
ALTER TABLE journal.events ENABLE ALWAYS TRIGGER events_append_only;
ALTER TABLE journal.head ENABLE ALWAYS TRIGGER head_stays;
