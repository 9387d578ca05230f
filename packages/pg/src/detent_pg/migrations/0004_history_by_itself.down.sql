-- Entries that somebody left behind who took an instance out by hand would break the constraint.

DELETE FROM {schema}"{prefix}history" h WHERE NOT EXISTS (SELECT FROM {schema}"{prefix}instances" i WHERE i.id = h.instance_id);
ALTER TABLE {schema}"{prefix}history"
    ADD CONSTRAINT "{prefix}history_instance_id_fkey" FOREIGN KEY (instance_id) REFERENCES {schema}"{prefix}instances" (id) ON DELETE CASCADE;
