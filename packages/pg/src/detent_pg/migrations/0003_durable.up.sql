-- Runs, inbox and outbox, and what was taken of throttled queues.

ALTER TABLE {schema}"{prefix}instances"
    ADD COLUMN run_id UUID,
    ADD COLUMN parent_link JSONB;

COMMENT ON COLUMN {schema}"{prefix}instances".run_id IS 'The run that is under way';
COMMENT ON COLUMN {schema}"{prefix}instances".parent_link IS 'How its parent hears of its end: event, wait_for, group, since';

CREATE TABLE {schema}"{prefix}runs" (
    id UUID NOT NULL,
    instance_id UUID NOT NULL,
    workflow TEXT NOT NULL,
    definition_version TEXT NOT NULL,
    tenant TEXT NOT NULL,
    event TEXT NOT NULL,
    state TEXT NOT NULL,
    target TEXT,
    payload JSONB,
    subject JSONB,
    trigger_metadata JSONB NOT NULL,
    by_timer BOOLEAN NOT NULL,
    status TEXT NOT NULL,
    command TEXT NOT NULL,
    queue TEXT NOT NULL,
    priority INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    crashes INTEGER NOT NULL,
    journal JSONB NOT NULL,
    kept JSONB NOT NULL,
    progress JSONB,
    available_at TIMESTAMP WITH TIME ZONE NOT NULL,
    lease_token UUID,
    lease_until TIMESTAMP WITH TIME ZONE,
    worker TEXT,
    error JSONB,
    reason TEXT,
    trace JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT "{prefix}runs_pkey" PRIMARY KEY (id),
    CONSTRAINT "{prefix}runs_status_check" CHECK (status IN ('pending', 'running', 'parked', 'completed', 'cancelled')),
    CONSTRAINT "{prefix}runs_instance_id_fkey" FOREIGN KEY (instance_id) REFERENCES {schema}"{prefix}instances" (id) ON DELETE CASCADE
) WITH (fillfactor = 85);
CREATE UNIQUE INDEX "{prefix}runs_active_idx" ON {schema}"{prefix}runs" (instance_id) WHERE status IN ('pending', 'running', 'parked');
CREATE INDEX "{prefix}runs_finished_at_idx" ON {schema}"{prefix}runs" (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX "{prefix}runs_instance_id_idx" ON {schema}"{prefix}runs" (instance_id);
CREATE INDEX "{prefix}runs_turn_idx" ON {schema}"{prefix}runs" (priority DESC, available_at, id, queue) WHERE status IN ('pending', 'running');

COMMENT ON TABLE {schema}"{prefix}runs" IS 'One row per durable transition: how far it came, and who holds it';
COMMENT ON COLUMN {schema}"{prefix}runs".id IS 'Also the transition id of what it ends with';
COMMENT ON COLUMN {schema}"{prefix}runs".instance_id IS 'The instance it is a transition of';
COMMENT ON COLUMN {schema}"{prefix}runs".workflow IS 'Name of the instance''s definition';
COMMENT ON COLUMN {schema}"{prefix}runs".definition_version IS 'Version of the definition it was accepted under';
COMMENT ON COLUMN {schema}"{prefix}runs".tenant IS 'Whose it is; empty without tenants';
COMMENT ON COLUMN {schema}"{prefix}runs".event IS 'The event that is taken';
COMMENT ON COLUMN {schema}"{prefix}runs".state IS 'The state the instance is in until it ends';
COMMENT ON COLUMN {schema}"{prefix}runs".target IS 'The state that is entered when no command fails; null stays';
COMMENT ON COLUMN {schema}"{prefix}runs".payload IS 'What came with the event';
COMMENT ON COLUMN {schema}"{prefix}runs".subject IS 'What the caller passed along';
COMMENT ON COLUMN {schema}"{prefix}runs".trigger_metadata IS 'Who and why';
COMMENT ON COLUMN {schema}"{prefix}runs".by_timer IS 'Whether its deadline fired it';
COMMENT ON COLUMN {schema}"{prefix}runs".status IS 'Where it stands';
COMMENT ON COLUMN {schema}"{prefix}runs".command IS 'The next command; empty when only the end is left to commit';
COMMENT ON COLUMN {schema}"{prefix}runs".queue IS 'Whose workers take the next command';
COMMENT ON COLUMN {schema}"{prefix}runs".priority IS 'Higher ones are claimed first';
COMMENT ON COLUMN {schema}"{prefix}runs".attempts IS 'Attempts of the next command, counted when they start';
COMMENT ON COLUMN {schema}"{prefix}runs".crashes IS 'Of these, those that ended with the lease';
COMMENT ON COLUMN {schema}"{prefix}runs".journal IS 'What commands and guards answered, in the order they were asked';
COMMENT ON COLUMN {schema}"{prefix}runs".kept IS 'What the command under way has kept';
COMMENT ON COLUMN {schema}"{prefix}runs".progress IS 'What it said of its progress';
COMMENT ON COLUMN {schema}"{prefix}runs".available_at IS 'When it may be claimed next';
COMMENT ON COLUMN {schema}"{prefix}runs".lease_token IS 'What its worker has to name; replaced by every claim';
COMMENT ON COLUMN {schema}"{prefix}runs".lease_until IS 'From when any worker may take it over';
COMMENT ON COLUMN {schema}"{prefix}runs".worker IS 'Who holds it, or held it last';
COMMENT ON COLUMN {schema}"{prefix}runs".error IS 'Code and message of the last attempt that failed';
COMMENT ON COLUMN {schema}"{prefix}runs".reason IS 'Why it is parked or was cancelled';
COMMENT ON COLUMN {schema}"{prefix}runs".trace IS 'Trace context of whoever asked for it';
COMMENT ON COLUMN {schema}"{prefix}runs".created_at IS 'When it was accepted';
COMMENT ON COLUMN {schema}"{prefix}runs".updated_at IS 'When it was last written; heartbeats count';
COMMENT ON COLUMN {schema}"{prefix}runs".finished_at IS 'When it was completed or cancelled';

CREATE TABLE {schema}"{prefix}inbox" (
    number BIGINT GENERATED BY DEFAULT AS IDENTITY,
    id UUID NOT NULL,
    instance_id UUID NOT NULL,
    tenant TEXT NOT NULL,
    event TEXT NOT NULL,
    payload JSONB,
    trigger_metadata JSONB NOT NULL,
    key TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    available_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    attempts INTEGER NOT NULL,
    seen_version INTEGER NOT NULL,
    dead_at TIMESTAMP WITH TIME ZONE,
    reason TEXT,
    trace JSONB NOT NULL,
    CONSTRAINT "{prefix}inbox_pkey" PRIMARY KEY (number),
    CONSTRAINT "{prefix}inbox_instance_id_fkey" FOREIGN KEY (instance_id) REFERENCES {schema}"{prefix}instances" (id) ON DELETE CASCADE
);
CREATE INDEX "{prefix}inbox_dead_at_idx" ON {schema}"{prefix}inbox" (dead_at) WHERE dead_at IS NOT NULL;
CREATE UNIQUE INDEX "{prefix}inbox_id_idx" ON {schema}"{prefix}inbox" (id);
CREATE INDEX "{prefix}inbox_instance_id_idx" ON {schema}"{prefix}inbox" (instance_id, number);

COMMENT ON TABLE {schema}"{prefix}inbox" IS 'One row per event that was sent to an instance and is not applied yet';
COMMENT ON COLUMN {schema}"{prefix}inbox".number IS 'Its place in the order of arrival';
COMMENT ON COLUMN {schema}"{prefix}inbox".id IS 'Made by the application';
COMMENT ON COLUMN {schema}"{prefix}inbox".instance_id IS 'The instance it was sent to';
COMMENT ON COLUMN {schema}"{prefix}inbox".tenant IS 'Whose it is; empty without tenants';
COMMENT ON COLUMN {schema}"{prefix}inbox".event IS 'Name of the event; names that start with $ are Detent''s own';
COMMENT ON COLUMN {schema}"{prefix}inbox".payload IS 'What came with the event';
COMMENT ON COLUMN {schema}"{prefix}inbox".trigger_metadata IS 'Who and why';
COMMENT ON COLUMN {schema}"{prefix}inbox".key IS 'The idempotency key under which the event is taken';
COMMENT ON COLUMN {schema}"{prefix}inbox".created_at IS 'When it was sent';
COMMENT ON COLUMN {schema}"{prefix}inbox".available_at IS 'Before this it is not tried';
COMMENT ON COLUMN {schema}"{prefix}inbox".expires_at IS 'From when it is not taken any more';
COMMENT ON COLUMN {schema}"{prefix}inbox".attempts IS 'How often it was refused or failed';
COMMENT ON COLUMN {schema}"{prefix}inbox".seen_version IS 'Version at which the state did not declare the event';
COMMENT ON COLUMN {schema}"{prefix}inbox".dead_at IS 'Since when it waits for an operator';
COMMENT ON COLUMN {schema}"{prefix}inbox".reason IS 'Why it was not taken so far';
COMMENT ON COLUMN {schema}"{prefix}inbox".trace IS 'Trace context of whoever sent it';

CREATE TABLE {schema}"{prefix}outbox" (
    number BIGINT GENERATED BY DEFAULT AS IDENTITY,
    id UUID NOT NULL,
    message_id UUID NOT NULL,
    subscriber TEXT NOT NULL,
    instance_id UUID NOT NULL,
    workflow TEXT NOT NULL,
    tenant TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    topic TEXT NOT NULL,
    key TEXT,
    payload JSONB,
    headers JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    available_at TIMESTAMP WITH TIME ZONE NOT NULL,
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    lease_token UUID,
    lease_until TIMESTAMP WITH TIME ZONE,
    error JSONB,
    finished_at TIMESTAMP WITH TIME ZONE,
    trace JSONB NOT NULL,
    CONSTRAINT "{prefix}outbox_pkey" PRIMARY KEY (number),
    CONSTRAINT "{prefix}outbox_status_check" CHECK (status IN ('pending', 'delivered', 'dead'))
);
CREATE INDEX "{prefix}outbox_finished_at_idx" ON {schema}"{prefix}outbox" (finished_at) WHERE status = 'delivered';
CREATE INDEX "{prefix}outbox_head_idx" ON {schema}"{prefix}outbox" (instance_id, subscriber, number) WHERE status = 'pending';
CREATE UNIQUE INDEX "{prefix}outbox_id_idx" ON {schema}"{prefix}outbox" (id);
CREATE INDEX "{prefix}outbox_undelivered_idx" ON {schema}"{prefix}outbox" (number) WHERE status <> 'delivered';

COMMENT ON TABLE {schema}"{prefix}outbox" IS 'One row per message and subscriber';
COMMENT ON COLUMN {schema}"{prefix}outbox".number IS 'Its place in the order of writing; for one instance that of its commits';
COMMENT ON COLUMN {schema}"{prefix}outbox".id IS 'The same on every attempt';
COMMENT ON COLUMN {schema}"{prefix}outbox".message_id IS 'The same for every subscriber of one message';
COMMENT ON COLUMN {schema}"{prefix}outbox".subscriber IS 'Who gets it';
COMMENT ON COLUMN {schema}"{prefix}outbox".instance_id IS 'The instance that published it';
COMMENT ON COLUMN {schema}"{prefix}outbox".workflow IS 'Name of the instance''s definition';
COMMENT ON COLUMN {schema}"{prefix}outbox".tenant IS 'Whose it is; empty without tenants';
COMMENT ON COLUMN {schema}"{prefix}outbox".sequence IS 'The history entry it was published with';
COMMENT ON COLUMN {schema}"{prefix}outbox".topic IS 'What it is about';
COMMENT ON COLUMN {schema}"{prefix}outbox".key IS 'What its receiver may sort by';
COMMENT ON COLUMN {schema}"{prefix}outbox".payload IS 'What it says';
COMMENT ON COLUMN {schema}"{prefix}outbox".headers IS 'What it says about itself';
COMMENT ON COLUMN {schema}"{prefix}outbox".created_at IS 'When it was published';
COMMENT ON COLUMN {schema}"{prefix}outbox".available_at IS 'Before this it is not tried';
COMMENT ON COLUMN {schema}"{prefix}outbox".status IS 'Where it stands';
COMMENT ON COLUMN {schema}"{prefix}outbox".attempts IS 'How many were started';
COMMENT ON COLUMN {schema}"{prefix}outbox".lease_token IS 'What whoever delivers it has to name; replaced by every claim';
COMMENT ON COLUMN {schema}"{prefix}outbox".lease_until IS 'From when anybody else may deliver it';
COMMENT ON COLUMN {schema}"{prefix}outbox".error IS 'Code and message of the last attempt that failed';
COMMENT ON COLUMN {schema}"{prefix}outbox".finished_at IS 'When it was delivered or given up';
COMMENT ON COLUMN {schema}"{prefix}outbox".trace IS 'Trace context of the transition';

CREATE TABLE {schema}"{prefix}throttles" (
    queue TEXT COLLATE "C" NOT NULL,
    taken JSONB NOT NULL,
    CONSTRAINT "{prefix}throttles_pkey" PRIMARY KEY (queue)
);

COMMENT ON TABLE {schema}"{prefix}throttles" IS 'What was taken of throttled queues, over all processes';
COMMENT ON COLUMN {schema}"{prefix}throttles".queue IS 'The queue; its row is held while its runs are claimed';
COMMENT ON COLUMN {schema}"{prefix}throttles".taken IS 'When how many runs were claimed lately: pairs of instant and number';
