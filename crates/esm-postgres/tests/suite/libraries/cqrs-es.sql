-- the table that postgres-es needs, with two orders and an invoice
CREATE TABLE events (
    aggregate_type text NOT NULL,
    aggregate_id text NOT NULL,
    sequence bigint NOT NULL CHECK (sequence >= 0),
    event_type text NOT NULL,
    event_version text NOT NULL,
    payload json NOT NULL,
    metadata json NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
);
INSERT INTO events VALUES
    ('order', '1', 1, 'Placed', '1.0', '{"Placed": {"cents":  42.00}}', '{"user": "eva"}'),
    ('order', '1', 2, 'Paid', '2.1', '{"Paid": {}}', '{}'),
    ('order', '2/b', 1, 'Placed', '1.0', '{"Placed": {"cents": 7}}', '{}'),
    ('invoice', '1', 1, 'Sent', '1.0', '{"Sent": {}}', '{}');
