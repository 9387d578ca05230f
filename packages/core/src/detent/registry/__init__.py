"""Names and callables: commands and guards, what they are told and what they may answer."""

from detent.registry.context import CommandContext, GuardContext
from detent.registry.registry import CommandOptions, CommandSpec, GuardSpec, Registry, command, guard
from detent.registry.results import CommandAnswer, Fail, Goto, GuardAnswer, Ok, Refuse
from detent.registry.signature import Parameter, Signature, Source

__all__ = [
    "CommandAnswer",
    "CommandContext",
    "CommandOptions",
    "CommandSpec",
    "Fail",
    "Goto",
    "GuardAnswer",
    "GuardContext",
    "GuardSpec",
    "Ok",
    "Parameter",
    "Refuse",
    "Registry",
    "Signature",
    "Source",
    "command",
    "guard",
]
