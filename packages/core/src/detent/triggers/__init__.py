"""Triggers: webhooks, schedules and messages that start flows; what they are written with, and the rules behind them.

The verbs are in `detent.service.triggers`.
"""

from detent.triggers.cron import Misfire, Schedule, missed, next_tick
from detent.triggers.errors import (
    InputError,
    InputRefused,
    SecretMissing,
    TriggerDisabled,
    TriggerInvalid,
    TriggerUnavailable,
    UnknownTrigger,
)
from detent.triggers.signatures import Fault, SignatureRefused, verify
from detent.triggers.trigger import (
    CronTrigger,
    EventTrigger,
    HttpTrigger,
    IdempotencyFrom,
    Signature,
    Trigger,
    Triggers,
)

__all__ = [
    "CronTrigger",
    "EventTrigger",
    "Fault",
    "HttpTrigger",
    "IdempotencyFrom",
    "InputError",
    "InputRefused",
    "Misfire",
    "Schedule",
    "SecretMissing",
    "Signature",
    "SignatureRefused",
    "Trigger",
    "TriggerDisabled",
    "TriggerInvalid",
    "TriggerUnavailable",
    "Triggers",
    "UnknownTrigger",
    "missed",
    "next_tick",
    "verify",
]
