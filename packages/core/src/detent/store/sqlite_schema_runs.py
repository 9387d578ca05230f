"""The third step of the SQLite tables: runs, inbox and outbox."""

RUNS_AND_MESSAGES = (
    "ALTER TABLE detent_instances ADD COLUMN run_id TEXT CHECK (run_id <> '')",
    "ALTER TABLE detent_instances ADD COLUMN parent_link TEXT CHECK (parent_link <> '')",
    """
    CREATE TABLE detent_runs (
        id TEXT NOT NULL PRIMARY KEY CHECK (id <> ''),
        instance_id TEXT NOT NULL CHECK (instance_id <> ''),
        workflow TEXT NOT NULL CHECK (workflow <> ''),
        definition_version TEXT NOT NULL CHECK (definition_version <> ''),
        tenant TEXT NOT NULL,
        event TEXT NOT NULL CHECK (event <> ''),
        state TEXT NOT NULL CHECK (state <> ''),
        target TEXT,
        payload TEXT NOT NULL,
        subject TEXT NOT NULL,
        trigger_metadata TEXT NOT NULL,
        by_timer INTEGER NOT NULL CHECK (by_timer IN (0, 1)),
        status TEXT NOT NULL CHECK (status IN ('pending', 'running', 'parked', 'completed', 'cancelled')),
        command TEXT NOT NULL,
        queue TEXT NOT NULL,
        priority INTEGER NOT NULL,
        attempts INTEGER NOT NULL CHECK (attempts >= 0),
        crashes INTEGER NOT NULL CHECK (crashes >= 0),
        journal TEXT NOT NULL,
        kept TEXT NOT NULL,
        progress TEXT,
        available_at TEXT NOT NULL CHECK (available_at <> ''),
        lease_token TEXT,
        lease_until TEXT CHECK (lease_until <> ''),
        worker TEXT,
        error TEXT,
        reason TEXT,
        trace TEXT NOT NULL,
        created_at TEXT NOT NULL CHECK (created_at <> ''),
        updated_at TEXT NOT NULL CHECK (updated_at <> ''),
        finished_at TEXT CHECK (finished_at <> '')
    )
    """,
    # The order in which runs are claimed. Those that are held stand in it too: a claim then writes nothing here, and takes
    # over in the same order what was left behind.
    """
    CREATE INDEX detent_runs_claimable ON detent_runs (priority DESC, available_at, id)
        WHERE status IN ('pending', 'running')
    """,
    # What is held: how many of a queue, and whose lease has ended. As short as there are workers.
    """
    CREATE INDEX detent_runs_held ON detent_runs (lease_until)
        WHERE status = 'running'
    """,
    # What waits for an operator, the newest first.
    """
    CREATE INDEX detent_runs_parked ON detent_runs (id)
        WHERE status = 'parked'
    """,
    # An instance has at most one run that has not ended.
    """
    CREATE UNIQUE INDEX detent_runs_active ON detent_runs (instance_id)
        WHERE status IN ('pending', 'running', 'parked')
    """,
    # The runs of an instance, and what goes with it.
    "CREATE INDEX detent_runs_instance ON detent_runs (instance_id, id)",
    # What is old enough to go.
    """
    CREATE INDEX detent_runs_finished ON detent_runs (finished_at)
        WHERE finished_at IS NOT NULL
    """,
    # One row for each queue whose rate is limited: when it will have rested long enough to give all at once again.
    """
    CREATE TABLE detent_throttles (
        queue TEXT NOT NULL PRIMARY KEY,
        rested_at TEXT NOT NULL CHECK (rested_at <> '')
    )
    """,
    # AUTOINCREMENT, because a number that was given is never given again: who pages by it would miss the second.
    """
    CREATE TABLE detent_inbox (
        number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE CHECK (id <> ''),
        instance_id TEXT NOT NULL CHECK (instance_id <> ''),
        tenant TEXT NOT NULL,
        event TEXT NOT NULL CHECK (event <> ''),
        payload TEXT NOT NULL,
        trigger_metadata TEXT NOT NULL,
        key TEXT,
        created_at TEXT NOT NULL CHECK (created_at <> ''),
        available_at TEXT NOT NULL CHECK (available_at <> ''),
        expires_at TEXT CHECK (expires_at <> ''),
        attempts INTEGER NOT NULL CHECK (attempts >= 0),
        seen_version INTEGER NOT NULL CHECK (seen_version >= 0),
        dead_at TEXT CHECK (dead_at <> ''),
        reason TEXT,
        trace TEXT NOT NULL
    )
    """,
    # What a step on an instance finds for it, in order; and what goes with the instance.
    "CREATE INDEX detent_inbox_instance ON detent_inbox (instance_id, number)",
    # What is to be judged, whoever it is for, the longest waiting first.
    """
    CREATE INDEX detent_inbox_due ON detent_inbox (available_at, number)
        WHERE dead_at IS NULL
    """,
    # What waits for an operator, and what of it is old enough to go.
    """
    CREATE INDEX detent_inbox_dead ON detent_inbox (dead_at)
        WHERE dead_at IS NOT NULL
    """,
    """
    CREATE TABLE detent_outbox (
        number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE CHECK (id <> ''),
        message_id TEXT NOT NULL CHECK (message_id <> ''),
        subscriber TEXT NOT NULL CHECK (subscriber <> ''),
        instance_id TEXT NOT NULL CHECK (instance_id <> ''),
        workflow TEXT NOT NULL CHECK (workflow <> ''),
        tenant TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        topic TEXT NOT NULL CHECK (topic <> ''),
        key TEXT,
        payload TEXT NOT NULL,
        headers TEXT NOT NULL,
        created_at TEXT NOT NULL CHECK (created_at <> ''),
        available_at TEXT NOT NULL CHECK (available_at <> ''),
        status TEXT NOT NULL CHECK (status IN ('pending', 'delivered', 'dead')),
        attempts INTEGER NOT NULL CHECK (attempts >= 0),
        lease_token TEXT,
        lease_until TEXT CHECK (lease_until <> ''),
        error TEXT,
        finished_at TEXT CHECK (finished_at <> ''),
        trace TEXT NOT NULL
    )
    """,
    # The order in which deliveries are claimed; without those that were made, which are most.
    """
    CREATE INDEX detent_outbox_pending ON detent_outbox (number)
        WHERE status = 'pending'
    """,
    # Whether an earlier one to the same subscriber about the same instance is still to be made.
    """
    CREATE INDEX detent_outbox_order ON detent_outbox (instance_id, subscriber, number)
        WHERE status = 'pending'
    """,
    # What waits for an operator.
    """
    CREATE INDEX detent_outbox_dead ON detent_outbox (number)
        WHERE status = 'dead'
    """,
    # What is old enough to go. Dead ones stay.
    """
    CREATE INDEX detent_outbox_delivered ON detent_outbox (finished_at)
        WHERE status = 'delivered'
    """,
    # What was published about an instance, for people.
    "CREATE INDEX detent_outbox_instance ON detent_outbox (instance_id, number)",
)
"""The statements, in order."""
