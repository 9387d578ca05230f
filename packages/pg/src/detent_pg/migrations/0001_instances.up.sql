-- Instances, their history, definitions and receipts.

CREATE TABLE {schema}"{prefix}instances" (
    id UUID NOT NULL,
    workflow TEXT NOT NULL,
    definition_version TEXT NOT NULL,
    state TEXT NOT NULL,
    status TEXT NOT NULL,
    version INTEGER NOT NULL,
    context JSONB NOT NULL,
    metadata JSONB NOT NULL,
    timers JSONB NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE,
    entered_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT "{prefix}instances_pkey" PRIMARY KEY (id),
    CONSTRAINT "{prefix}instances_status_check" CHECK (status IN ('active', 'paused', 'completed', 'failed', 'cancelled')),
    CONSTRAINT "{prefix}instances_version_check" CHECK (version >= 1)
) WITH (fillfactor = 85);
CREATE INDEX "{prefix}instances_due_at_idx" ON {schema}"{prefix}instances" (due_at) WHERE due_at IS NOT NULL AND status = 'active';

COMMENT ON TABLE {schema}"{prefix}instances" IS 'One row per business object: the state it is in now';
COMMENT ON COLUMN {schema}"{prefix}instances".id IS 'Made by the application; time-ordered (UUID version 7)';
COMMENT ON COLUMN {schema}"{prefix}instances".workflow IS 'Name of its definition';
COMMENT ON COLUMN {schema}"{prefix}instances".definition_version IS 'Version of the definition it is pinned to';
COMMENT ON COLUMN {schema}"{prefix}instances".state IS 'The one state it is in';
COMMENT ON COLUMN {schema}"{prefix}instances".status IS 'Where it stands in its life';
COMMENT ON COLUMN {schema}"{prefix}instances".version IS 'Sequence of its last history entry; fences every write';
COMMENT ON COLUMN {schema}"{prefix}instances".context IS 'Mutable JSON of the instance';
COMMENT ON COLUMN {schema}"{prefix}instances".metadata IS 'Labels given at creation, never changed';
COMMENT ON COLUMN {schema}"{prefix}instances".timers IS 'Deadlines of the current state: event, due, attempts, parked, reason';
COMMENT ON COLUMN {schema}"{prefix}instances".due_at IS 'The earliest timer that is not parked';
COMMENT ON COLUMN {schema}"{prefix}instances".entered_at IS 'When the current state was entered';
COMMENT ON COLUMN {schema}"{prefix}instances".created_at IS 'When it was created';
COMMENT ON COLUMN {schema}"{prefix}instances".updated_at IS 'When it was last written';

CREATE TABLE {schema}"{prefix}history" (
    instance_id UUID NOT NULL,
    sequence INTEGER NOT NULL,
    event TEXT NOT NULL,
    from_state TEXT,
    to_state TEXT NOT NULL,
    outcome TEXT NOT NULL,
    commands JSONB NOT NULL,
    reason TEXT,
    error JSONB,
    payload JSONB,
    trigger_metadata JSONB NOT NULL,
    transition_id UUID NOT NULL,
    definition_version TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT "{prefix}history_pkey" PRIMARY KEY (instance_id, sequence),
    CONSTRAINT "{prefix}history_outcome_check" CHECK (outcome IN ('success', 'failure', 'refused', 'failed', 'accepted')),
    CONSTRAINT "{prefix}history_sequence_check" CHECK (sequence >= 1),
    CONSTRAINT "{prefix}history_instance_id_fkey" FOREIGN KEY (instance_id) REFERENCES {schema}"{prefix}instances" (id) ON DELETE CASCADE
);

COMMENT ON TABLE {schema}"{prefix}history" IS 'One row per thing that happened to an instance; never changed once written';
COMMENT ON COLUMN {schema}"{prefix}history".instance_id IS 'The instance it happened to';
COMMENT ON COLUMN {schema}"{prefix}history".sequence IS '1 for the creation, then dense';
COMMENT ON COLUMN {schema}"{prefix}history".event IS 'Name of the event; names that start with $ are Detent''s own';
COMMENT ON COLUMN {schema}"{prefix}history".from_state IS 'The state before; null for the creation';
COMMENT ON COLUMN {schema}"{prefix}history".to_state IS 'The state after';
COMMENT ON COLUMN {schema}"{prefix}history".outcome IS 'How the attempt ended';
COMMENT ON COLUMN {schema}"{prefix}history".commands IS 'What the commands answered, in the order they ran';
COMMENT ON COLUMN {schema}"{prefix}history".reason IS 'Why a guard refused or a command failed';
COMMENT ON COLUMN {schema}"{prefix}history".error IS 'Code and message of what was raised';
COMMENT ON COLUMN {schema}"{prefix}history".payload IS 'What came with the event';
COMMENT ON COLUMN {schema}"{prefix}history".trigger_metadata IS 'Who and why; the same on all entries of one commit';
COMMENT ON COLUMN {schema}"{prefix}history".transition_id IS 'The same on all entries of one commit';
COMMENT ON COLUMN {schema}"{prefix}history".definition_version IS 'Version of the definition that decided';
COMMENT ON COLUMN {schema}"{prefix}history".created_at IS 'When it happened';

CREATE TABLE {schema}"{prefix}definitions" (
    workflow TEXT NOT NULL,
    version TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    definition JSON NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT "{prefix}definitions_pkey" PRIMARY KEY (workflow, version)
);

COMMENT ON TABLE {schema}"{prefix}definitions" IS 'Snapshots of definitions, so that instances pinned to a version outlive the code';
COMMENT ON COLUMN {schema}"{prefix}definitions".workflow IS 'Name of the workflow';
COMMENT ON COLUMN {schema}"{prefix}definitions".version IS 'Version of the definition';
COMMENT ON COLUMN {schema}"{prefix}definitions".fingerprint IS 'Hash of its canonical form; guards against editing a version in place';
COMMENT ON COLUMN {schema}"{prefix}definitions".definition IS 'The definition, its keys in order';
COMMENT ON COLUMN {schema}"{prefix}definitions".created_at IS 'When it was stored';

CREATE TABLE {schema}"{prefix}receipts" (
    tenant TEXT COLLATE "C" NOT NULL,
    scope TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    instance_id UUID NOT NULL,
    fingerprint TEXT,
    answer JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT "{prefix}receipts_pkey" PRIMARY KEY (tenant, scope, key),
    CONSTRAINT "{prefix}receipts_tenant_check" CHECK (octet_length(tenant) <= 256),
    CONSTRAINT "{prefix}receipts_scope_check" CHECK (scope <> '' AND octet_length(scope) <= 512),
    CONSTRAINT "{prefix}receipts_key_check" CHECK (key <> '' AND octet_length(key) <= 256),
    CONSTRAINT "{prefix}receipts_instance_id_fkey" FOREIGN KEY (instance_id) REFERENCES {schema}"{prefix}instances" (id) ON DELETE CASCADE
);
CREATE INDEX "{prefix}receipts_expires_at_idx" ON {schema}"{prefix}receipts" (expires_at);
CREATE INDEX "{prefix}receipts_instance_id_idx" ON {schema}"{prefix}receipts" (instance_id);

COMMENT ON TABLE {schema}"{prefix}receipts" IS 'What idempotency keys were answered';
COMMENT ON COLUMN {schema}"{prefix}receipts".tenant IS 'Whose key it is; empty without tenants';
COMMENT ON COLUMN {schema}"{prefix}receipts".scope IS 'workflow:NAME for creations, the instance''s id for its events';
COMMENT ON COLUMN {schema}"{prefix}receipts".key IS 'The idempotency key';
COMMENT ON COLUMN {schema}"{prefix}receipts".instance_id IS 'The instance that answered';
COMMENT ON COLUMN {schema}"{prefix}receipts".fingerprint IS 'What the caller said identifies the request';
COMMENT ON COLUMN {schema}"{prefix}receipts".answer IS 'The stored answer';
COMMENT ON COLUMN {schema}"{prefix}receipts".created_at IS 'When it was answered';
COMMENT ON COLUMN {schema}"{prefix}receipts".expires_at IS 'From when the key counts as new';

CREATE TABLE {schema}"{prefix}schema_version" (
    version INTEGER NOT NULL,
    applied_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT "{prefix}schema_version_pkey" PRIMARY KEY (version)
);

COMMENT ON TABLE {schema}"{prefix}schema_version" IS 'The migrations that were applied';
COMMENT ON COLUMN {schema}"{prefix}schema_version".version IS 'Number of the migration';
COMMENT ON COLUMN {schema}"{prefix}schema_version".applied_at IS 'When it was applied';
