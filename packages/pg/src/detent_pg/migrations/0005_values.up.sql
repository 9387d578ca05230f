-- Values beside instances.

CREATE TABLE {schema}"{prefix}values" (
    instance_id UUID NOT NULL,
    ref TEXT COLLATE "C" NOT NULL,
    data JSON NOT NULL,
    size INTEGER NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT "{prefix}values_pkey" PRIMARY KEY (instance_id, ref),
    CONSTRAINT "{prefix}values_ref_check" CHECK (ref <> '' AND octet_length(ref) <= 512),
    CONSTRAINT "{prefix}values_instance_id_fkey" FOREIGN KEY (instance_id) REFERENCES {schema}"{prefix}instances" (id) ON DELETE CASCADE
);

COMMENT ON TABLE {schema}"{prefix}values" IS 'Values beside instances: too large for a context, or set by the application';
COMMENT ON COLUMN {schema}"{prefix}values".instance_id IS 'The instance it belongs to, and goes with';
COMMENT ON COLUMN {schema}"{prefix}values".ref IS 'What it is found under; made of what it says, or key:NAME where an application set it';
COMMENT ON COLUMN {schema}"{prefix}values".data IS 'The value';
COMMENT ON COLUMN {schema}"{prefix}values".size IS 'Bytes of its JSON';
COMMENT ON COLUMN {schema}"{prefix}values".created_at IS 'When it was put';
