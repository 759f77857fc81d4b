-- The journal keeps one row for each part of an append, and no longer one for each event. A part is what one append
-- brings to one stream; what its events have in common is stored once (docs/decisions/0026-one-row-per-part.md).

-- Nobody appends between the copy and the end of the old table: the whole migration is one transaction.
DO $$
BEGIN
    LOCK TABLE journal.head, journal.events IN ACCESS EXCLUSIVE MODE;
END $$;

-- No CHECK constraints: the server parses each of them anew for every statement, and the hash chain says more.
CREATE TABLE journal.parts (
    -- The place of its last event in the whole journal. Positions go from 1, without gaps, in the order of commits; those
    -- of a part follow on one another.
    position bigint NOT NULL,
    -- The place of its first event in the stream, from 0, without gaps.
    revision bigint NOT NULL,
    -- How many events it has, at least one.
    events integer NOT NULL,
    -- Microseconds since the Unix epoch, by the clock of the node that decided.
    recorded_at bigint NOT NULL,
    stream uuid NOT NULL,
    -- The command that led to the append, on its last part, when a repetition must find it.
    command uuid,
    category text COLLATE "C" NOT NULL,
    -- The names of the types of its events, in order, with a space between two of them.
    event_types text COLLATE "C" NOT NULL,
    -- Of the first event: the hash of the stream's event before it.
    previous_hash bytea NOT NULL,
    -- Of the last event.
    hash bytea NOT NULL,
    -- The same for all events of an append.
    metadata bytea NOT NULL,
    -- The events, one after the other. Of each: its id (16 bytes), the version of its schema (2), its codec (1), the
    -- length of its payload (4), the payload; then its hash (32), which the next one follows. The last event's hash is
    -- not here, because it has a column. Numbers are big-endian.
    body bytea NOT NULL
);

-- Hashes and metadata are small and read with every event: keep them in the row. Bodies are compressed only when
-- they are moved out of it, by the fast method where the server has it.
ALTER TABLE journal.parts ALTER COLUMN previous_hash SET STORAGE PLAIN;
ALTER TABLE journal.parts ALTER COLUMN hash SET STORAGE PLAIN;
ALTER TABLE journal.parts ALTER COLUMN metadata SET STORAGE MAIN;
DO $$
BEGIN
    ALTER TABLE journal.parts ALTER COLUMN body SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    RAISE NOTICE 'this server has no lz4; bodies are compressed with pglz';
END $$;

-- Which of the old events came by one append is no longer known, so each becomes a part of its own.
INSERT INTO journal.parts (position, revision, events, recorded_at, stream, command, category, event_types,
    previous_hash, hash, metadata, body)
SELECT position, revision, 1, recorded_at, stream, command, category, event_type, previous_hash, hash, metadata,
    uuid_send(event_id) || int2send(schema_version) || substring(int2send(codec) FROM 2)
        || int4send(octet_length(payload)) || payload
FROM journal.events ORDER BY position;

ALTER TABLE journal.parts ADD CONSTRAINT parts_position PRIMARY KEY (position);
-- What makes two appends to one stream with one expectation impossible, whatever the processes believe: both would
-- begin at the same revision.
CREATE UNIQUE INDEX parts_stream ON journal.parts (stream, category, revision);
CREATE UNIQUE INDEX parts_command ON journal.parts (command) WHERE command IS NOT NULL;

CREATE TRIGGER parts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal.parts
    FOR EACH STATEMENT EXECUTE FUNCTION journal.refuse_change();
-- Also when rows come in by replication.
ALTER TABLE journal.parts ENABLE ALWAYS TRIGGER parts_append_only;

DROP TABLE journal.events;

-- The events of a part, in order.
CREATE FUNCTION journal.events_of(part journal.parts)
RETURNS TABLE (
    -- Which of the part's events, from 1.
    number integer, event_id uuid, schema_version integer, codec integer, event_type text, previous_hash bytea,
    hash bytea, payload bytea
) LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    types CONSTANT text[] := string_to_array(part.event_types, ' ');
    -- Joined with nothing, so that it is fetched and unpacked once and not for every event.
    body CONSTANT bytea := part.body || ''::bytea;
    -- How much of the body is behind us.
    behind integer := 0;
    size integer;
BEGIN
    hash := part.previous_hash;
    FOR place IN 1 .. part.events LOOP
        number := place;
        previous_hash := hash;
        event_type := types[place];
        event_id := encode(substring(body FROM behind + 1 FOR 16), 'hex')::uuid;
        schema_version := (get_byte(body, behind + 16) << 8) + get_byte(body, behind + 17);
        codec := get_byte(body, behind + 18);
        size := (get_byte(body, behind + 19) << 24) + (get_byte(body, behind + 20) << 16)
            + (get_byte(body, behind + 21) << 8) + get_byte(body, behind + 22);
        payload := substring(body FROM behind + 24 FOR size);
        behind := behind + 23 + size;
        IF place = part.events THEN
            hash := part.hash;
        ELSE
            hash := substring(body FROM behind + 1 FOR 32);
            behind := behind + 32;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;

-- The journal event by event, for people and their questions. The program does not read it: it finds streams by an
-- index, but whoever asks for positions or types has every body taken apart.
CREATE VIEW journal.events AS
SELECT
    part.position - part.events + event.number AS position,
    part.revision + event.number - 1 AS revision,
    part.recorded_at,
    part.stream,
    event.event_id,
    CASE WHEN event.number = part.events THEN part.command END AS command,
    event.schema_version,
    event.codec,
    part.category,
    event.event_type COLLATE "C" AS event_type,
    event.previous_hash,
    event.hash,
    part.metadata,
    event.payload
FROM journal.parts AS part CROSS JOIN LATERAL journal.events_of(part) AS event;
