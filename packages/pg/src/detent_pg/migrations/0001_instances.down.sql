-- Everything goes, the data included. A schema that was created stays.

DROP TABLE {schema}"{prefix}receipts";
DROP TABLE {schema}"{prefix}definitions";
DROP TABLE {schema}"{prefix}history";
DROP TABLE {schema}"{prefix}instances";
DROP TABLE {schema}"{prefix}schema_version";
