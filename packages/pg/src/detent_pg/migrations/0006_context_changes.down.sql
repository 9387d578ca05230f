-- Entries stay; what was recorded of the context in them goes.

ALTER TABLE {schema}"{prefix}history" DROP COLUMN changes;
