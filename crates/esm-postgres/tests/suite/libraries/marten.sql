-- the tables of Marten with conjoined tenancy and stream ids of text
CREATE TABLE mt_streams (
    id varchar NOT NULL,
    type varchar NULL,
    version bigint NULL,
    timestamp timestamptz NOT NULL DEFAULT now(),
    snapshot jsonb NULL,
    snapshot_version integer NULL,
    created timestamptz NOT NULL DEFAULT now(),
    tenant_id varchar NOT NULL DEFAULT '*DEFAULT*',
    is_archived bool NULL DEFAULT false,
    PRIMARY KEY (tenant_id, id)
);
CREATE TABLE mt_events (
    seq_id bigint NOT NULL PRIMARY KEY,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    stream_id varchar NULL,
    version bigint NOT NULL,
    data jsonb NOT NULL,
    type varchar(500) NOT NULL,
    timestamp timestamptz NOT NULL DEFAULT '2024-05-01 12:00:00+02',
    tenant_id varchar NOT NULL DEFAULT '*DEFAULT*',
    mt_dotnet_type varchar NULL,
    headers jsonb NULL,
    is_archived bool NULL DEFAULT false,
    FOREIGN KEY (tenant_id, stream_id) REFERENCES mt_streams (tenant_id, id)
);
CREATE UNIQUE INDEX pk_mt_events_stream_and_version ON mt_events (tenant_id, stream_id, version);
INSERT INTO mt_streams (id, type, version, tenant_id) VALUES
    ('1', 'order', 3, '*DEFAULT*'), ('1', 'order', 1, 'acme'), ('2', NULL, 1, '*DEFAULT*');
INSERT INTO mt_events (seq_id, stream_id, version, data, type, tenant_id) VALUES
    (1, '1', 1, '{"cents": 42}', 'placed', '*DEFAULT*'),
    (2, '1', 1, '{"cents": 7}', 'placed', 'acme'),
    -- version 2 was removed
    (4, '1', 3, '{}', 'paid', '*DEFAULT*'),
    (5, '2', 1, '{}', 'begun', '*DEFAULT*');
