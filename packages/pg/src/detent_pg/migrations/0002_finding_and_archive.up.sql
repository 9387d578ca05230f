-- Finding instances, tenants and parents, and what remains of instances that were removed.

ALTER TABLE {schema}"{prefix}instances"
    ADD COLUMN finished_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN parked_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN tenant TEXT DEFAULT '' NOT NULL,
    ADD COLUMN parent_id UUID,
    ADD CONSTRAINT "{prefix}instances_tenant_check" CHECK (octet_length(tenant) <= 256);

-- Nobody wrote down when; the last write is the nearest that is known.
UPDATE {schema}"{prefix}instances" SET finished_at = updated_at WHERE status IN ('completed', 'failed', 'cancelled');
UPDATE {schema}"{prefix}instances" SET parked_at = updated_at WHERE timers @> '[{"parked": true}]';

CREATE INDEX "{prefix}instances_created_at_idx" ON {schema}"{prefix}instances" (created_at, id);
CREATE INDEX "{prefix}instances_finished_at_idx" ON {schema}"{prefix}instances" (workflow, finished_at, id) WHERE finished_at IS NOT NULL;
CREATE INDEX "{prefix}instances_live_idx" ON {schema}"{prefix}instances" (workflow, definition_version, created_at, id) WHERE status IN ('active', 'paused');
CREATE INDEX "{prefix}instances_metadata_idx" ON {schema}"{prefix}instances" USING gin (metadata jsonb_path_ops);
CREATE INDEX "{prefix}instances_parent_id_idx" ON {schema}"{prefix}instances" (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX "{prefix}instances_parked_at_idx" ON {schema}"{prefix}instances" (parked_at, id) WHERE parked_at IS NOT NULL;
CREATE INDEX "{prefix}instances_tenant_idx" ON {schema}"{prefix}instances" (tenant, created_at, id) WHERE tenant <> '';
CREATE INDEX "{prefix}instances_workflow_idx" ON {schema}"{prefix}instances" (workflow, created_at, id);

COMMENT ON COLUMN {schema}"{prefix}instances".finished_at IS 'When it was completed, failed or was cancelled';
COMMENT ON COLUMN {schema}"{prefix}instances".parked_at IS 'Since when one of its timers waits for an operator';
COMMENT ON COLUMN {schema}"{prefix}instances".tenant IS 'Whose it is; empty without tenants';
COMMENT ON COLUMN {schema}"{prefix}instances".parent_id IS 'The instance that it was created for';

ALTER TABLE {schema}"{prefix}definitions" ADD COLUMN place INTEGER DEFAULT 0 NOT NULL;

UPDATE {schema}"{prefix}definitions" AS stored SET place = sorted.place
FROM (
    SELECT workflow, version, row_number() OVER (PARTITION BY workflow ORDER BY created_at, version) AS place
    FROM {schema}"{prefix}definitions"
) AS sorted
WHERE stored.workflow = sorted.workflow AND stored.version = sorted.version;

COMMENT ON COLUMN {schema}"{prefix}definitions".place IS 'Sorts the versions of a workflow in the order they were stored';

CREATE TABLE {schema}"{prefix}archive" (
    instance_id UUID NOT NULL,
    workflow TEXT NOT NULL,
    definition_version TEXT NOT NULL,
    tenant TEXT NOT NULL,
    state TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    removed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    reason TEXT,
    trigger_metadata JSONB NOT NULL,
    document JSONB,
    CONSTRAINT "{prefix}archive_pkey" PRIMARY KEY (instance_id),
    CONSTRAINT "{prefix}archive_status_check" CHECK (status IN ('active', 'paused', 'completed', 'failed', 'cancelled'))
);

COMMENT ON TABLE {schema}"{prefix}archive" IS 'What remains of instances that were removed';
COMMENT ON COLUMN {schema}"{prefix}archive".instance_id IS 'The instance that was removed';
COMMENT ON COLUMN {schema}"{prefix}archive".workflow IS 'Name of its definition';
COMMENT ON COLUMN {schema}"{prefix}archive".definition_version IS 'Version of the definition it was pinned to';
COMMENT ON COLUMN {schema}"{prefix}archive".tenant IS 'Whose it was; empty without tenants';
COMMENT ON COLUMN {schema}"{prefix}archive".state IS 'The state it was in';
COMMENT ON COLUMN {schema}"{prefix}archive".status IS 'Where it stood in its life';
COMMENT ON COLUMN {schema}"{prefix}archive".created_at IS 'When it was created';
COMMENT ON COLUMN {schema}"{prefix}archive".finished_at IS 'When it was completed, failed or was cancelled';
COMMENT ON COLUMN {schema}"{prefix}archive".removed_at IS 'When it was removed';
COMMENT ON COLUMN {schema}"{prefix}archive".reason IS 'Why it was removed';
COMMENT ON COLUMN {schema}"{prefix}archive".trigger_metadata IS 'Who removed it';
COMMENT ON COLUMN {schema}"{prefix}archive".document IS 'The whole instance and its history; null when it was deleted for good';
