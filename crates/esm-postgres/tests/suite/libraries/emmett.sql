-- the tables of Emmett
CREATE TABLE emt_streams (
    stream_id text NOT NULL,
    stream_position bigint NOT NULL,
    partition text NOT NULL DEFAULT 'emt:default',
    stream_type text NOT NULL,
    stream_metadata jsonb NOT NULL,
    is_archived boolean NOT NULL DEFAULT false,
    PRIMARY KEY (stream_id, partition, is_archived)
) PARTITION BY LIST (partition);
CREATE TABLE emt_streams_default PARTITION OF emt_streams DEFAULT PARTITION BY LIST (is_archived);
CREATE TABLE emt_streams_active PARTITION OF emt_streams_default FOR VALUES IN (false);
CREATE TABLE emt_streams_archived PARTITION OF emt_streams_default FOR VALUES IN (true);
CREATE SEQUENCE emt_global_message_position;
CREATE TABLE emt_messages (
    stream_position bigint NOT NULL,
    global_position bigint DEFAULT nextval('emt_global_message_position'),
    transaction_id xid8 NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    is_archived boolean NOT NULL DEFAULT false,
    message_kind char(1) NOT NULL DEFAULT 'E',
    stream_id text NOT NULL,
    partition text NOT NULL DEFAULT 'emt:default',
    message_schema_version text NOT NULL,
    message_id text NOT NULL,
    message_type text NOT NULL,
    message_data jsonb NOT NULL,
    message_metadata jsonb NOT NULL,
    PRIMARY KEY (stream_id, stream_position, partition, is_archived)
) PARTITION BY LIST (partition);
CREATE TABLE emt_messages_default PARTITION OF emt_messages DEFAULT PARTITION BY LIST (is_archived);
CREATE TABLE emt_messages_active PARTITION OF emt_messages_default FOR VALUES IN (false);
CREATE TABLE emt_messages_archived PARTITION OF emt_messages_default FOR VALUES IN (true);
INSERT INTO emt_streams VALUES
    ('cart-1', 2, 'emt:default', 'cart', '{}', false),
    ('cart-1', 1, 'emt:default', 'cart', '{}', true),
    ('cart-1', 1, 'acme', 'cart', '{}', false);
INSERT INTO emt_messages (stream_position, transaction_id, is_archived, stream_id, partition,
    message_schema_version, message_id, message_type, message_data, message_metadata) VALUES
    (1, '100', true, 'cart-1', 'emt:default', '1', 'm1', 'Added', '{"n": 0}', '{}'),
    -- a later transaction id with a lower position: it is later in the global order
    (1, '102', false, 'cart-1', 'emt:default', '1', 'm2', 'Added', '{"n": 1}', '{"messageId": "m2"}'),
    (1, '101', false, 'cart-1', 'acme', '2', 'm3', 'Added', '{"n": 9}', '{}'),
    (2, '102', false, 'cart-1', 'emt:default', '2', 'm4', 'Removed', '{"n": 1}', '{}');
