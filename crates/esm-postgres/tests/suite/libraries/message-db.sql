-- the table of Message DB
CREATE SCHEMA message_store;
CREATE TABLE message_store.messages (
    global_position bigserial NOT NULL PRIMARY KEY,
    position bigint NOT NULL,
    time timestamp without time zone DEFAULT (now() AT TIME ZONE 'utc') NOT NULL,
    stream_name varchar NOT NULL,
    type varchar NOT NULL,
    data jsonb,
    metadata jsonb,
    id uuid NOT NULL DEFAULT gen_random_uuid()
);
CREATE UNIQUE INDEX messages_id ON message_store.messages (id);
CREATE UNIQUE INDEX messages_stream ON message_store.messages (stream_name, position);
INSERT INTO message_store.messages (position, time, stream_name, type, data, metadata) VALUES
    (0, '2024-05-01 10:00:00.25', 'account-1', 'Opened', '{"owner": "eva"}', NULL),
    (0, '2024-05-01 10:00:01', 'account', 'Counted', NULL, 'null'),
    (1, '2024-05-01 10:00:02', 'account-1', 'Deposited', '{"cents": 5}', '{"a": {"b": 1}}'),
    (0, '2024-05-01 10:00:03', 'account:command-1', 'Withdraw', '{}', '{"causationMessagePosition": 1}');
