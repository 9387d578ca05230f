"""How the keys of a definition may be spelt: our snake_case, and the camelCase and long names of duraflows."""

from typing import Literal, TypeAlias

from pydantic import AliasChoices, AliasGenerator, BaseModel
from pydantic.alias_generators import to_camel

Spelling: TypeAlias = Literal["snake", "camel"]
"""`snake` is ours and the default of everything we write; `camel` is what duraflows writes."""

_LONG_NAMES = {"target": "targetState", "error": "errorState", "not_": "not"}


def camel(field: str) -> str:
    """The second spelling of a field: `initialState` for `initial_state`, `targetState` for `target`."""
    return _LONG_NAMES.get(field) or to_camel(field)


def _choices(field: str) -> str | AliasChoices:
    other = camel(field)
    return field if other == field else AliasChoices(field, other)


BOTH_SPELLINGS = AliasGenerator(validation_alias=_choices, serialization_alias=camel)
"""Reads either spelling of a key and writes snake_case, or camelCase where asked `by_alias`."""


def spellings_of(model: type[BaseModel]) -> dict[str, str]:
    """Every key that may be written for `model`, with the one of its field that is offered first."""
    found: dict[str, str] = {}
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        choices = [str(one) for one in alias.choices] if isinstance(alias, AliasChoices) else [str(alias or name)]
        offered = name if name in choices or field.alias_priority == 1 else choices[0]
        found |= dict.fromkeys([*choices, offered], offered)
    return found
