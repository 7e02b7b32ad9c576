-- the tables of Eventuous
CREATE SCHEMA eventuous;
CREATE TABLE eventuous.streams (
    stream_name varchar(1000) NOT NULL CONSTRAINT uq_streams_stream_name UNIQUE,
    stream_id integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    version integer NOT NULL DEFAULT -1
);
CREATE TABLE eventuous.messages (
    message_id uuid NOT NULL,
    message_type varchar NOT NULL,
    stream_id integer NOT NULL REFERENCES eventuous.streams,
    stream_position integer NOT NULL,
    global_position bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    json_data jsonb NOT NULL,
    json_metadata jsonb,
    created timestamp NOT NULL,
    CONSTRAINT uq_messages_stream_id_and_stream_position UNIQUE (stream_id, stream_position)
);
INSERT INTO eventuous.streams (stream_name, version) VALUES ('Booking-7', 1), ('Payment-7', 0);
INSERT INTO eventuous.messages
    (message_id, message_type, stream_id, stream_position, json_data, json_metadata, created) VALUES
    ('00000000-0000-0000-0000-000000000001', 'V1.Booked', 1, 0, '{"room": 7}', NULL, '2024-05-01'),
    ('00000000-0000-0000-0000-000000000002', 'V1.Paid', 2, 0, '{}', '{"trace": "x"}', '2024-05-01'),
    ('00000000-0000-0000-0000-000000000003', 'V1.Left', 1, 1, '{}', NULL, '2024-05-01');
