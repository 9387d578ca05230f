"""Names and callables: commands and guards, what they are told and what they may answer."""

from detent.registry.context import CommandContext, GuardContext
from detent.registry.message import Message
from detent.registry.raises import GiveUp, RetryAfter
from detent.registry.registry import CommandOptions, CommandSpec, GuardSpec, Registry, command, guard
from detent.registry.results import CommandAnswer, Fail, Goto, GuardAnswer, Ok, Refuse
from detent.registry.run_context import RunContext
from detent.registry.signature import Parameter, Signature, Source

__all__ = [
    "CommandAnswer",
    "CommandContext",
    "CommandOptions",
    "CommandSpec",
    "Fail",
    "GiveUp",
    "Goto",
    "GuardAnswer",
    "GuardContext",
    "GuardSpec",
    "Message",
    "Ok",
    "Parameter",
    "Refuse",
    "Registry",
    "RetryAfter",
    "RunContext",
    "Signature",
    "Source",
    "command",
    "guard",
]
