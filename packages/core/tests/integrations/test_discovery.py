"""Discovery: what of a package is taken, in which order, and what is refused."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from detent import MemoryStore
from detent.errors import RegistrationInvalid
from detent.integrations.discovery import discovered
from detent.integrations.hosting import RuntimeConfig
from detent.integrations.modules import Part

Written = Callable[..., None]

ORDER = """
    from detent import CommandContext, WorkflowDefinition, command, guard, subscriber, Registry, WorkflowObserver

    def order(name):
        states = {"new": {"events": {"go": {"target": "done"}}}, "done": {}}
        return WorkflowDefinition.from_dict({"name": name, "initial_state": "new", "states": states})
"""
CHARGE = """
    from detent import CommandContext, command

    @command("charge")
    async def charge(ctx: CommandContext) -> None: ...
"""


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    """Writes modules: `written(**{"shop.orders": "CODE"})`; they are forgotten when the test ends."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(**modules: str) -> None:
        for name, code in modules.items():
            path = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            for package in path.relative_to(tmp_path).parents:
                if package != Path():
                    (tmp_path / package / "__init__.py").touch()
            path.write_text(dedent(code), "utf-8")

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def places(packages: str | list[str] = "shop") -> list[str]:
    return [part.by for part in discovered(packages)]


def gathered(**options) -> RuntimeConfig:
    return RuntimeConfig(store=MemoryStore(), **options).gathered()


def test_all_that_is_declared_is_taken_in_a_stable_order(written):
    written(
        **{
            "shop.zeta": CHARGE,
            "shop.alpha.deep": f"""{ORDER}
    ORDER = order("order")
    registry = Registry()
    watch = WorkflowObserver()

    @guard("solvent")
    def solvent(ctx): return True

    @subscriber("order.*")
    async def hear(delivery): ...
""",
        }
    )
    deep = [f"shop.alpha.deep.{name}" for name in ("ORDER", "registry", "watch", "solvent", "hear")]
    assert places() == [*deep, "shop.zeta.charge"]
    said = gathered(discover="shop")
    assert [definition.name for definition in said.definitions] == ["order"]
    assert len(said.subscribers) == len(said.observers) == 1


def test_modules_classes_of_diagrams_and_books_of_flows_are_taken(written):
    written(
        **{
            "shop.drawn": """
    from detent import WorkflowDefinition
    from detent.drawn import Drawing, DrawnWorkflow

    class Drawn(DrawnWorkflow):
        definition = WorkflowDefinition.from_dict({"name": "lamp", "initial_state": "off", "states": {"off": {}}})
        drawing = Drawing(source="lamp.mmd", steps=())
""",
            "shop.parts": """
    from detent.flows import FlowBook
    from detent.integrations.modules import WorkflowModule

    book = FlowBook()
    billing = WorkflowModule("billing", flows=book)
""",
        }
    )
    assert places() == ["shop.drawn.Drawn", "shop.parts.book", "shop.parts.billing"]
    said = gathered(discover="shop")
    assert [definition.name for definition in said.definitions] == ["lamp"]
    assert said.flows is not None


def test_what_is_imported_is_taken_where_it_was_declared_and_from_outside_not_at_all(written):
    written(
        **{
            "bank.charging": CHARGE,
            "shop.mine": CHARGE.replace("charge", "mine"),
            "shop.views": "from bank.charging import charge\nfrom .mine import mine\nfrom .mine import *\n",
        }
    )
    assert places() == ["shop.mine.mine"]


def test_an_import_that_failed_and_was_caught_gives_no_names(written):
    written(**{"shop.a": "try:\n    from no_such_thing import *\nexcept ImportError: ...\n" + dedent(CHARGE)})
    assert places() == ["shop.a.charge"]


def test_what_a_module_exports_by_name_is_taken_though_it_is_imported(written):
    written(**{"bank.charging": CHARGE, "shop.views": "from bank.charging import charge as pay\n__all__ = ['pay']\n"})
    assert places() == ["shop.views.pay"]


def test_an_object_of_two_modules_counts_once(written):
    written(
        **{
            "shop.a": CHARGE,
            "shop.b": "from shop.a import charge\n__all__ = ['charge']\nagain = charge\n",
        }
    )
    assert places() == ["shop.a.charge", "shop.b.charge", "shop.b.again"]
    assert len(gathered(discover=["shop", "shop.a"]).commands) == 1


def test_two_of_one_name_are_refused_with_both_places(written):
    written(**{"shop.a": CHARGE, "shop.b": CHARGE})
    with pytest.raises(RegistrationInvalid) as refused:
        gathered(discover="shop")
    assert refused.value.name == "charge"
    assert refused.value.reason == "shop.a.charge and shop.b.charge bring different commands of this name"


def test_underscores_programs_and_what_only_inherits_a_mark_are_left_out(written):
    written(
        **{
            "shop.__main__": "raise SystemExit('this is a program')",
            "shop.a": """
    from unittest.mock import MagicMock
    from detent import command

    class _Base:
        async def __call__(self, ctx): ...

    @command("charge")
    class Charge(_Base): ...

    class Test(Charge): ...

    @command("kept")
    async def _kept(ctx): ...

    anything = MagicMock()
""",
        }
    )
    assert places() == ["shop.a.Charge"]


def test_a_module_that_cannot_be_imported_is_told_by_its_name(written):
    written(**{"shop.a": CHARGE, "shop.broken": "import no_such_thing\n"})
    with pytest.raises(RegistrationInvalid) as refused:
        gathered(discover="shop")
    assert refused.value.name == "shop.broken"
    assert "ModuleNotFoundError: No module named 'no_such_thing'" in refused.value.reason
    assert isinstance(refused.value.__cause__, ModuleNotFoundError)


GENERATED = """
    from abc import abstractmethod
    from detent import WorkflowDefinition
    from detent.drawn import Drawing, DrawnWorkflow, Step

    class LampBase(DrawnWorkflow):
        definition = WorkflowDefinition.from_dict({"name": "lamp", "initial_state": "off", "states": {"off": {}}})
        drawing = Drawing(source="lamp.mmd", steps=(Step("off", "lamp.off", "shine", dict),))

        @abstractmethod
        async def shine(self, payload): ...
"""


def test_of_a_diagram_the_class_that_writes_its_methods_is_taken(written):
    written(
        **{
            "shop.a": GENERATED,
            "shop.b": """
    from shop.a import LampBase

    class Lamp(LampBase):
        async def shine(self, payload): ...
""",
        }
    )
    assert places() == ["shop.b.Lamp"]
    assert len(gathered(discover="shop").definitions) == 1


def test_a_class_that_does_not_fit_its_diagram_is_told_by_its_place(written):
    written(**{"shop.a": GENERATED, "shop.b": "from shop.a import LampBase\nclass Lamp(LampBase): ...\n"})
    with pytest.raises(RegistrationInvalid, match=r"method shine .* is missing, in shop\.b\.Lamp"):
        gathered(discover="shop")


def test_a_package_that_is_not_there_is_told(written):
    with pytest.raises(RegistrationInvalid, match="'no_such_shop': the module cannot be imported"):
        places("no_such_shop")


def test_a_module_without_source_is_told(written, monkeypatch):
    written(**{"shop.a": CHARGE})
    monkeypatch.setattr("importlib.machinery.SourceFileLoader.get_source", lambda self, name: None)
    with pytest.raises(RegistrationInvalid, match="no source that tells what it imports"):
        places()


def test_the_module_that_asks_gives_what_stands_above(written):
    asks = """
    from detent import MemoryStore
    from detent.integrations.hosting import RuntimeConfig

    found = RuntimeConfig(store=MemoryStore(), discover="shop").gathered().commands
"""
    below = CHARGE.replace("charge", "send")
    written(**{"shop.app": CHARGE + asks + below, "shop.other": CHARGE.replace("charge", "other")})
    found = importlib.import_module("shop.app").found
    assert [one.__name__ for one in found] == ["charge", "other"]


def test_a_single_module_may_be_named(written):
    written(jobs=CHARGE)
    assert places("jobs") == ["jobs.charge"]
    assert isinstance(next(discovered("jobs")), Part)


def test_a_package_in_which_nothing_is_found_is_warned_of(written: Written, caplog: pytest.LogCaptureFixture):
    written(**{"shop.a": "from detent import WorkflowDefinition"})
    assert not gathered(discover="shop").definitions
    assert "discover='shop' found nothing" in caplog.text
