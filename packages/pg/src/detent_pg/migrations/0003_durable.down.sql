-- Instances stay; their runs, what was sent to them and what they published go.

DROP TABLE {schema}"{prefix}throttles";
DROP TABLE {schema}"{prefix}outbox";
DROP TABLE {schema}"{prefix}inbox";
DROP TABLE {schema}"{prefix}runs";
ALTER TABLE {schema}"{prefix}instances"
    DROP COLUMN parent_link,
    DROP COLUMN run_id;
