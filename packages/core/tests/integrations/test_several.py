"""Which of several runtimes is meant, and where their workers are."""

import pytest

from detent import MemoryStore
from detent.integrations.hosting import RuntimeConfig
from detent.integrations.several import clash, runtime_called
from detent.workers.config import WorkerConfig


def test_the_only_runtime_needs_no_name_and_a_name_is_exact():
    assert runtime_called(None, ["billing"]) == "billing"
    assert runtime_called("billing", ["billing", "shipping"]) == "billing"
    for name, known in ((None, ["b", "a"]), (None, []), ("c", ["b", "a"])):
        with pytest.raises(ValueError, match="has a, b" if known else "has none"):
            runtime_called(name, known)


def test_a_name_that_no_runtime_has_is_told_the_names_once():
    with pytest.raises(ValueError, match=r"'nope'; the application has billing, shipping$"):
        runtime_called("nope", ["billing", "shipping"])
    with pytest.raises(ValueError, match="did you mean 'billing'"):
        runtime_called("biling", ["billing", "shipping"])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"store": "postgresql://shop:secret@db/shop"}, "`store` is a text: say store=SqliteStore"),
        ({"flows": []}, "`flows` are a FlowBook"),
        ({"triggers": object()}, "triggers=lambda workflows: TriggerService"),
        ({"modules": ["billing"]}, "`modules` holds 'billing', which is no WorkflowModule"),
    ],
    ids=["store", "flows", "triggers", "modules"],
)
def test_what_is_of_the_wrong_kind_is_told_what_to_write(given, told):
    fault = RuntimeConfig(**{"store": MemoryStore(), **given}).fault
    assert fault is not None
    assert told in fault
    assert "secret" not in fault


def test_two_that_share_nothing_do_not_clash():
    first, second = (RuntimeConfig(name=name, store=MemoryStore()) for name in ("billing", "shipping"))
    assert clash(first.claims(), second.claims()) is None
    assert clash(RuntimeConfig(name="a").claims(), RuntimeConfig(name="b").claims()) is None


def test_a_worker_is_in_this_process_or_in_others():
    assert RuntimeConfig().worker_config is None
    assert RuntimeConfig(worker="external").worker_config is None
    assert RuntimeConfig(worker="asgi").worker_config == WorkerConfig()
    often = WorkerConfig(concurrency=2)
    assert RuntimeConfig(worker=often).worker_config is often


@pytest.mark.parametrize("worker", [True, False, "server", None])
def test_any_other_placement_is_told_the_words(worker):
    assert 'worker="asgi"' in str(RuntimeConfig(store=MemoryStore(), worker=worker).fault)
