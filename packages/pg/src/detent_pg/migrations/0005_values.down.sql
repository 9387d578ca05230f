-- Instances stay; what is kept beside them goes, whatever refers to it.

DROP TABLE {schema}"{prefix}values";
