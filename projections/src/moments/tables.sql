-- Where each second began: the first event that was recorded in this second or a later one. Seconds in which nothing
-- was recorded first have no row.
CREATE TABLE seconds (
    -- Since the Unix epoch.
    second bigint PRIMARY KEY,
    position bigint NOT NULL
);
