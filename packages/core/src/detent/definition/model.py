"""The definition of a workflow: everything that was written, as one frozen value. Nothing here can be called."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError
from pydantic_core import to_json

from detent.definition.data_model import DataModelLike
from detent.definition.part import constructor
from detent.definition.reading import read_file, read_json, read_yaml
from detent.definition.salvage import further_problems
from detent.definition.shape import TOO_DEEP, shape_problems
from detent.definition.spelling import Spelling
from detent.definition.state import State
from detent.definition.validate import validate
from detent.definition.workflow import ContextPrecedence, VersionPolicy, Workflow
from detent.errors import DefinitionInvalid
from detent.json_values import JsonObject
from detent.problems import Problem


class WorkflowDefinition(Workflow):
    """A workflow as it was written: states, the events they declare, and commands and guards by name."""

    @constructor
    def __init__(
        self,
        *,
        name: str,
        initial_state: str,
        states: Mapping[str, State | Mapping[str, Any]],
        entries: Mapping[str, str] | None = None,
        version: int | str = "1",
        version_policy: VersionPolicy = "pinned",
        context_model: DataModelLike | None = None,
        context_precedence: ContextPrecedence = "written",
        record_refusals: bool = True,
        publish: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        description: str | None = None,
    ) -> None:
        super().__init__(
            name=name,
            initial_state=initial_state,
            states=states,
            entries=entries,
            version=version,
            version_policy=version_policy,
            context_model=context_model,
            context_precedence=context_precedence,
            record_refusals=record_refusals,
            publish=publish,
            metadata=metadata,
            description=description,
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The definition in `data`, in either spelling.

        Raises `DefinitionInvalid` where it cannot be read, and then with the errors of the rest as well. One that can
        be read is not checked: `validate` does.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            problems = shape_problems(error) + further_problems(data, cls._read_and_check)
            raise DefinitionInvalid(_name_in(data), problems) from None
        except RecursionError:
            raise DefinitionInvalid(_name_in(data), [Problem("", TOO_DEEP, "is nested too deeply")]) from None

    @classmethod
    def _read_and_check(cls, data: object) -> list[Problem]:
        return validate(cls.model_validate(data))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The definition in a JSON text; raises `DefinitionInvalid`."""
        return cls.from_dict(read_json(text))

    @classmethod
    def from_yaml(cls, text: str | bytes) -> Self:
        """The definition in a YAML text; raises `DefinitionInvalid`, also where PyYAML is not installed."""
        return cls.from_dict(read_yaml(text))

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """The definition in a `.json`, `.yaml` or `.yml` file; raises `DefinitionInvalid`."""
        return cls.from_dict(read_file(path))

    def to_dict(self, *, spelling: Spelling = "snake") -> JsonObject:
        """The definition as JSON values without defaults; `from_dict` reads back an equal one."""
        written = self.model_dump(mode="json", exclude_defaults=True, by_alias=spelling == "camel")
        if spelling == "camel":
            written["contextPrecedence"] = self.context_precedence
        return written

    def to_json(self, *, spelling: Spelling = "snake", indent: int | None = None) -> str:
        """The definition as a JSON text without defaults; `from_json` reads back an equal one."""
        return to_json(self.to_dict(spelling=spelling), indent=indent).decode()


def _name_in(data: object) -> str:
    name = data.get("name") if isinstance(data, Mapping) else None
    return name if isinstance(name, str) else "?"
