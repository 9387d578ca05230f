-- Instances stay; what was kept of removed ones goes, and so do tenants and parents.

DROP TABLE {schema}"{prefix}archive";
ALTER TABLE {schema}"{prefix}definitions" DROP COLUMN place;
DROP INDEX {schema}"{prefix}instances_workflow_idx";
DROP INDEX {schema}"{prefix}instances_metadata_idx";
DROP INDEX {schema}"{prefix}instances_live_idx";
DROP INDEX {schema}"{prefix}instances_created_at_idx";
ALTER TABLE {schema}"{prefix}instances"
    DROP COLUMN parent_id,
    DROP COLUMN tenant,
    DROP COLUMN parked_at,
    DROP COLUMN finished_at;
