-- What a step changed in the context, where a runtime records it. Old entries are not rewritten: the column is null there.

ALTER TABLE {schema}"{prefix}history" ADD COLUMN changes JSONB;

COMMENT ON COLUMN {schema}"{prefix}history".changes IS 'What changed in the context; null where that was not recorded';
