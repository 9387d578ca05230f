from detent.definition import WorkflowDefinition, validate

FAULTY = {
    "name": "order",
    "initial_state": "nwe",
    "states": {
        "new": {
            "events": {
                "PaymentReceived": {"target": "piad"},
                "$Cancel": {"target": "closed"},
                "Idle": {},
                "Note": {"internal": True, "target": "paid", "commands": ["note"]},
            }
        },
        "paid": {
            "events": {
                "Never": {"target": "closed", "timeout": "0d"},
                "First": {"target": "closed", "timeout": "1d"},
                "Second": {"target": "closed", "timeout": "24h"},
                "Ship": {
                    "target": "closed",
                    "commands": [{"name": "ship", "compensate": ["note"]}],
                    "guard": "is_packd",
                },
            }
        },
        "left": {"on_enter": {"target": "right"}},
        "right": {"on_enter": {"target": "left"}},
        "closed": {},
    },
}


def test_ten_faults_are_ten_problems_in_one_answer() -> None:
    problems = validate(WorkflowDefinition.from_dict(FAULTY), commands={"note", "ship"}, guards={"is_packed"})
    assert [(problem.path, problem.code) for problem in problems] == [
        ("states.new.events.$Cancel", "reserved_name"),
        ("initial_state", "unknown_state"),
        ("states.new.events.PaymentReceived.target", "unknown_state"),
        ("states.new.events.Idle", "event_does_nothing"),
        ("states.new.events.Note", "internal_event_moves"),
        ("states.paid.events.Never.timeout", "duration_not_positive"),
        ("states.paid.events.Second.timeout", "simultaneous_timeouts"),
        ("states.paid.events.Ship.commands[0].compensate", "compensation_never_runs"),
        ("states.left.on_enter", "on_enter_cycle"),
        ("states.paid.events.Ship.guard", "unknown_guard"),
    ]
