"""The module with the payloads: written once, then the user's; what an old one lacks for a new diagram."""

import ast
from collections.abc import Iterator, Sequence

from detent.notation.python_class.options import PayloadStyle
from detent.notation.python_class.outline import Outline, PayloadOutline
from detent.notation.python_class.source_text import docstring, wrapped

_BASES: dict[PayloadStyle, tuple[str, str]] = {
    "typed-dict": ("TypedDict", "from typing import TypedDict"),
    "pydantic": ("BaseModel", "from pydantic import BaseModel"),
}


def payload_module(outline: Outline, style: PayloadStyle) -> str:
    """The text of the module as it is first written: a class for each payload, without fields."""
    title = f"What the steps of `{outline.definition.name}` are given. Written once by `detent generate`; the fields are yours."
    stubs = [payload_stub(one, style) for one in outline.payloads]
    return docstring(wrapped(title, 0), 0) + f"\n{_BASES[style][1]}\n\n\n" + "\n\n".join(stubs)


def payload_stub(payload: PayloadOutline, style: PayloadStyle) -> str:
    """One class, with the fields alone that the diagram gives."""
    bases = ", ".join(payload.bases) or _BASES[style][0]
    fields = "".join(f"    {name}: {type_}\n" for name, type_ in payload.fields.items())
    return f"class {payload.type}({bases}):\n{docstring(wrapped(payload.told, 4), 4)}" + (
        f"\n{fields}" if fields else ""
    )


def missing_payloads(outline: Outline, written: str) -> Sequence[PayloadOutline]:
    """The payloads that the user's module does not have. Raises `SyntaxError` where that is no Python."""
    known = set(_names(ast.parse(written).body))
    if "*" in known:
        return ()
    return [one for one in outline.payloads if one.type not in known]


def style_of(written: str) -> PayloadStyle:
    """In what style the user's module is written, for what is to be added to it."""
    return "pydantic" if "BaseModel" in written else "typed-dict"


def _names(body: Sequence[ast.stmt]) -> Iterator[str]:
    """The names that the statements bind, as far as they can be seen without running them."""
    for statement in body:
        match statement:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield name
            case ast.Assign(targets=targets):
                yield from (each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                yield from (alias.asname or alias.name for alias in names)
            case ast.If(body=then, orelse=otherwise) | ast.Try(body=then, orelse=otherwise):
                yield from _names([*then, *otherwise])
            case _:
                # `type X = …` of Python 3.12 and later.
                named = getattr(statement, "name", None)
                if isinstance(named, ast.Name):
                    yield named.id
