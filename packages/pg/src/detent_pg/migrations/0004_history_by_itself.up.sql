-- History without its foreign key: every write paid for a look that its own statement had taken already.

ALTER TABLE {schema}"{prefix}history" DROP CONSTRAINT "{prefix}history_instance_id_fkey";
