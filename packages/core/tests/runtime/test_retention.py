"""Deleting instances, policies that do so by themselves, and what remains, on every store that needs no server."""

from datetime import timedelta

import pytest

from detent import (
    ArchiveEntry,
    MemoryStore,
    RetentionPolicy,
    SqliteStore,
    Status,
    WorkflowDefinition,
    WorkflowObserver,
    WorkflowRuntime,
    WorkflowService,
    command,
    read_archived,
)
from detent.errors import (
    InstanceBusy,
    InstanceNotFinished,
    InstanceNotFound,
    InvalidValue,
    ReentrantTrigger,
    UnknownWorkflow,
    VersionConflict,
)
from detent.ids import new_id

CASE = {
    "name": "case",
    "initial_state": "open",
    "states": {
        "open": {
            "events": {
                "note": {"internal": True, "commands": ["count"], "payload": {"type": "object"}},
                "remind": {"internal": True, "timeout": "400d"},
                "win": {"target": "won"},
                "lose": {"target": "lost"},
            }
        },
        "won": {},
        "lost": {"outcome": "failure"},
    },
}
OTHER = {**CASE, "name": "other"}


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    return MemoryStore(lock_timeout=0.2) if request.param == "memory" else SqliteStore(tmp_path / "detent.db")


@command("count")
def count(ctx):
    ctx.context["notes"] = ctx.context.get("notes", 0) + 1


@pytest.fixture
def keeping(running):
    """Starts a runtime for both workflows with these policies."""

    async def start(*policies, **options):
        return await running(CASE, OTHER, commands=[count], retention=policies, **options)

    return start


@pytest.fixture
async def runtime(keeping):
    return await keeping()


async def finished(runtime, event="win", workflow="case", **options):
    """The id of an instance that has just ended."""
    made = await runtime.create_instance(workflow, **options)
    return (await runtime.trigger_event(made.id, event)).instance.id


async def left(runtime, **where):
    return {found.id for found in await runtime.find_instances(limit=1000, **where)}


def done(report):
    """The counts of a report that are not 0."""
    counts = {name: getattr(report, name) for name in type(report).__dataclass_fields__}
    return {name: number for name, number in counts.items() if number}


# ------------------------------------------------------------------------------------------------ one instance


async def test_a_deleted_instance_is_gone_and_leaves_who_removed_it_and_why(runtime, clock):
    identity = await finished(runtime, idempotency_key="k1", metadata={"city": "Rome"})
    record = await runtime.get_instance(identity)
    clock.advance("1h")
    kept = await runtime.delete(identity, reason="asked for", trigger_metadata={"actor": "ana"})
    assert kept == await runtime.get_archived(identity)
    assert kept == ArchiveEntry(
        instance_id=identity,
        workflow="case",
        definition_version="1",
        tenant="",
        state="won",
        status=Status.COMPLETED,
        created_at=record.created_at,
        finished_at=record.finished_at,
        removed_at=clock.now(),
        reason="asked for",
        trigger_metadata={"actor": "ana"},
        document=None,
    )
    for look in (runtime.get_instance, runtime.get_history):
        with pytest.raises(InstanceNotFound):
            await look(identity)
    assert await runtime.find_by_idempotency_key("case", "k1") is None
    with pytest.raises(InstanceNotFound):
        await runtime.delete(identity)


async def test_a_key_of_a_deleted_instance_makes_a_new_one(runtime):
    identity = await finished(runtime, idempotency_key="k1")
    await runtime.delete(identity)
    again = await runtime.create_instance("case", idempotency_key="k1")
    assert again.created
    assert again.id != identity


async def test_what_has_not_finished_goes_only_by_force_and_its_entry_says_so(runtime):
    made = await runtime.create_instance("case")
    with pytest.raises(InstanceNotFinished) as told:
        await runtime.delete(made.id)
    assert (told.value.instance_id, told.value.status) == (made.id, "active")
    kept = await runtime.delete(made.id, force=True)
    assert (kept.state, kept.status, kept.finished_at) == ("open", "active", None)
    assert await left(runtime) == set()


async def test_an_archived_instance_is_read_back_as_it_was(runtime, clock):
    made = await runtime.create_instance(
        "case",
        context={"π": [1, 2.5, None, {"deep": 2**70}]},
        metadata={"city": "Rome"},
        parent=new_id(),
        tenant="acme",
        trigger_metadata={"actor": "ana"},
    )
    clock.advance("1d")
    await runtime.trigger_event(made.id, "note", payload={"text": "ü"}, trigger_metadata={"actor": "bo"})
    record = await runtime.get_instance(made.id)
    history = await runtime.get_history(made.id)
    kept = await runtime.delete(made.id, archive=True, force=True)
    for source in (kept, await runtime.get_archived(made.id), kept.document or {}):
        back = read_archived(source)
        assert back.instance == record
        assert list(back.history) == list(history)[::-1]
    assert record.timers != ()
    assert history[0].commands != ()


async def test_a_history_of_several_pages_is_archived_whole(runtime, monkeypatch):
    monkeypatch.setattr("detent.runtime.removal.PAGE", 3)
    made = await runtime.create_instance("case")
    for _ in range(5):
        await runtime.trigger_event(made.id, "note", payload={})
    kept = await runtime.delete(made.id, archive=True, force=True)
    assert [entry.sequence for entry in read_archived(kept).history] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({}, "is not that of an archived instance"),
        ({"format": 2}, "is not that of an archived instance"),
        ([], "is not that of an archived instance"),
        ({"format": 1}, "cannot be read"),
        ({"format": 1, "instance": {"id": "x"}, "history": []}, "cannot be read: id: "),
    ],
)
def test_what_is_no_document_is_refused(document, reason):
    with pytest.raises(InvalidValue, match=reason):
        read_archived(document)


async def test_a_deleted_instance_has_no_document_to_read(runtime):
    kept = await runtime.delete(await finished(runtime))
    with pytest.raises(InvalidValue, match="was deleted and not archived"):
        read_archived(kept)


async def test_delete_does_nothing_to_what_moved_on_since_it_was_seen(runtime):
    identity = await finished(runtime)
    await runtime.patch_context(identity, {"late": True})
    with pytest.raises(VersionConflict):
        await runtime.delete(identity, expected_version=2)
    assert (await runtime.delete(identity, expected_version=3)).state == "won"


async def test_delete_begins_anew_when_the_instance_moves_on_meanwhile(runtime, store, monkeypatch):
    identity, load, races = await finished(runtime), store.load, [1, 2]

    async def load_and_lose(instance_id, **options):
        record = await load(instance_id, **options)
        if races:
            await runtime.patch_context(identity, {"race": races.pop()})
        return record

    monkeypatch.setattr(store, "load", load_and_lose)
    kept = await runtime.delete(identity, archive=True)
    assert read_archived(kept).instance.context["race"] == 1


async def test_a_deletion_in_a_lent_transaction_is_seen_when_that_commits(runtime, store, heard):
    one, two = await finished(runtime), await finished(runtime)
    async with store.begin() as transaction:
        await runtime.delete(one, archive=True, connection=transaction)
        with pytest.raises(InstanceNotFound):
            await runtime.get_instance(one, connection=transaction)
        assert (await runtime.get_instance(one)).id == one
        await runtime.settled()
        assert heard == []
    assert await left(runtime) == {two}
    await runtime.settled()
    assert heard == [one]


async def test_a_deletion_that_is_rolled_back_was_none(runtime, store, heard):
    identity = await finished(runtime)

    async def fail():
        async with store.begin() as transaction:
            await runtime.delete(identity, connection=transaction)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await left(runtime) == {identity}
    with pytest.raises(InstanceNotFound):
        await runtime.get_archived(identity)
    await runtime.settled()
    assert heard == []


async def test_a_command_cannot_delete_the_instance_it_runs_for(running):
    @command("count")
    async def delete_itself(ctx):
        await started.delete(ctx.instance_id, force=True)

    started = await running(CASE, commands=[delete_itself])
    made = await started.create_instance("case")
    with pytest.raises(ReentrantTrigger):
        await started.trigger_event(made.id, "note", payload={})
    assert (await started.get_instance(made.id)).status == "active"


@pytest.fixture
def heard(recorder, monkeypatch):
    """The ids that an observer was told are gone."""
    gone = []

    async def on_removed(removed):
        assert removed.instance.id == removed.archived.instance_id
        gone.append(removed.instance.id)

    monkeypatch.setattr(recorder, "on_removed", on_removed, raising=False)
    return gone


async def test_observers_hear_of_a_deletion_after_all_that_came_before(runtime, recorder, monkeypatch):
    async def on_removed(removed):
        recorder.heard.append(f"removed {removed.instance.state}: {removed.archived.reason}")

    monkeypatch.setattr(recorder, "on_removed", on_removed, raising=False)
    await runtime.delete(await finished(runtime), reason="old")
    await runtime.settled()
    assert recorder.heard[-2:] == ["ended completed", "removed won: old"]


async def test_an_observer_that_fails_on_a_removal_harms_nothing_and_hears_of_it(store, clock, caplog):
    class Broken(WorkflowObserver):
        async def on_removed(self, removed):
            raise LookupError("index is away")

    definitions = [WorkflowDefinition.from_dict(CASE)]
    runtime = WorkflowRuntime(store=store, definitions=definitions, commands=[count], clock=clock, observers=[Broken()])
    async with runtime:
        await runtime.delete(await finished(runtime))
        await runtime.settled()
    assert "observer Broken failed on '$removed'" in caplog.text


# ------------------------------------------------------------------------------------------------ the bulk form


async def test_delete_instances_tells_of_each_what_became_of_it(runtime):
    ended, live = [await finished(runtime), await finished(runtime)], await runtime.create_instance("case")
    other = await finished(runtime, workflow="other")
    planned = await runtime.delete_instances(workflow="case", dry_run=True)
    assert (len(planned.changed), await left(runtime)) == (3, {*ended, live.id, other})
    report = await runtime.delete_instances(workflow="case", archive=True, reason="tidy", trigger_metadata={"by": "op"})
    assert set(report.changed) == set(ended)
    assert [(one.instance_id, one.code) for one in report.failed] == [(live.id, "instance_not_finished")]
    assert await left(runtime) == {live.id, other}
    kept = await runtime.get_archived(ended[0])
    assert (kept.reason, kept.trigger_metadata) == ("tidy", {"by": "op"})
    assert read_archived(kept).instance.id == ended[0]


async def test_delete_instances_goes_on_where_it_stopped(runtime):
    made = [await finished(runtime) for _ in range(5)]
    first = await runtime.delete_instances(limit=3)
    rest = await runtime.delete_instances(limit=3, cursor=first.cursor)
    assert (len(first.changed), len(rest.changed), rest.cursor) == (3, 2, None)
    assert {*first.changed, *rest.changed} == set(made)


# ------------------------------------------------------------------------------------------------ tenants


async def test_another_tenants_instances_are_not_there_to_delete_or_to_look_up(runtime):
    identity = await finished(runtime, tenant="acme")
    other = WorkflowService(runtime, tenant="globex")
    with pytest.raises(InstanceNotFound):
        await other.delete(identity)
    assert (await other.delete_instances()).changed == ()
    await WorkflowService(runtime, tenant="acme").delete(identity)
    with pytest.raises(InstanceNotFound):
        await other.get_archived(identity)
    assert (await WorkflowService(runtime, tenant="acme").get_archived(identity)).tenant == "acme"
    assert (await runtime.get_archived(identity)).tenant == "acme"


async def test_a_caller_bound_to_a_tenant_applies_policies_to_that_one_alone(keeping, clock):
    runtime = await keeping(RetentionPolicy("case", after="1d", keep_history="1d"))
    acme, globex = await finished(runtime, tenant="acme"), await finished(runtime, tenant="globex")
    await runtime.create_instance("case", tenant="globex", idempotency_key="k1")
    clock.advance("40d")
    assert done(await WorkflowService(runtime, tenant="acme").apply_retention()) == {"deleted": 1}
    assert acme not in await left(runtime)
    assert globex in await left(runtime)
    assert done(await runtime.apply_retention()) == {"deleted": 1, "receipts": 1}


async def test_a_policy_of_one_tenant_leaves_the_others_alone(keeping, clock):
    runtime = await keeping(
        RetentionPolicy("case", after="1d", tenant="acme"), RetentionPolicy("case", after="9d", tenant="globex")
    )
    acme, globex, nobody = [await finished(runtime, tenant=tenant) for tenant in ("acme", "globex", None)]
    clock.advance("1d")
    assert done(await WorkflowService(runtime, tenant="globex").apply_retention()) == {}
    assert done(await runtime.apply_retention()) == {"deleted": 1}
    assert await left(runtime) == {globex, nobody}
    assert acme not in await left(runtime)


# ------------------------------------------------------------------------------------------------ policies


async def test_instances_go_when_they_have_been_finished_for_that_long(keeping, clock):
    runtime = await keeping(RetentionPolicy("case", after="30d"))
    identity, live = await finished(runtime), await runtime.create_instance("case")
    other = await finished(runtime, workflow="other")
    clock.advance("29d23h59m")
    assert done(await runtime.apply_retention()) == {}
    clock.advance("1m")
    assert done(await runtime.apply_retention(trigger_metadata={"job": "nightly"})) == {"deleted": 1}
    assert await left(runtime) == {live.id, other}
    kept = await runtime.get_archived(identity)
    assert (kept.reason, kept.document) == ("finished for 30d or longer", None)
    assert kept.trigger_metadata == {"source": "retention", "job": "nightly"}
    assert kept.removed_at == clock.now()
    assert done(await runtime.apply_retention()) == {}


async def test_after_no_time_at_all_they_go_at_once(keeping):
    runtime = await keeping(RetentionPolicy("case", after=timedelta(0)))
    await finished(runtime)
    assert done(await runtime.apply_retention()) == {"deleted": 1}


async def test_each_end_may_have_a_policy_of_its_own(keeping, clock):
    runtime = await keeping(
        RetentionPolicy("case", after="1d", statuses=["completed"]),
        RetentionPolicy("case", after="2d", statuses=["failed"], action="archive"),
    )
    won, lost, cancelled = (
        await finished(runtime),
        await finished(runtime, "lose"),
        await runtime.create_instance("case"),
    )
    await runtime.cancel(cancelled.id)
    clock.advance("1d")
    assert done(await runtime.apply_retention()) == {"deleted": 1}
    clock.advance("1d")
    assert done(await runtime.apply_retention()) == {"archived": 1}
    assert await left(runtime) == {cancelled.id}
    assert (await runtime.get_archived(won)).document is None
    assert read_archived(await runtime.get_archived(lost)).instance.state == "lost"


async def test_one_that_was_forced_back_to_life_stays(keeping, clock):
    runtime = await keeping(RetentionPolicy("case", after="1d"))
    identity = await finished(runtime)
    clock.advance("2d")
    await runtime.force(identity, "open")
    assert done(await runtime.apply_retention()) == {}
    assert await left(runtime) == {identity}


async def test_the_limit_bounds_what_goes_and_the_report_says_that_there_is_more(keeping, clock):
    runtime = await keeping(RetentionPolicy("case", after="1d"), RetentionPolicy("other", after="1d"))
    made = []
    for _ in range(5):
        made.append(await finished(runtime))
        clock.advance("1m")
    await finished(runtime, workflow="other")
    clock.advance("2d")
    assert done(await runtime.apply_retention(limit=3, batch=2)) == {"deleted": 3, "more": True}
    assert await left(runtime, workflow="case") == set(made[3:])
    assert done(await runtime.apply_retention(limit=3, batch=2)) == {"deleted": 3, "more": True}
    assert done(await runtime.apply_retention(limit=3, batch=2)) == {}


async def test_observers_hear_of_what_policies_remove(keeping, clock, heard):
    runtime = await keeping(RetentionPolicy("case", after="1d"))
    made = [await finished(runtime) for _ in range(3)]
    clock.advance("1d")
    await runtime.apply_retention(batch=2)
    await runtime.settled()
    assert sorted(heard) == sorted(made)


async def test_one_that_changes_meanwhile_is_passed_over_and_found_again(keeping, clock, store, monkeypatch):
    runtime = await keeping(RetentionPolicy("case", after="1d", action="archive"))
    made = [await finished(runtime) for _ in range(3)]
    clock.advance("1d")
    history = store.history

    async def history_and_race(instance_id, **options):
        entries = await history(instance_id, **options)
        if instance_id == made[1]:
            await runtime.patch_context(made[1], {"late": entries[0].sequence})
        return entries

    with monkeypatch.context() as racing:
        racing.setattr(store, "history", history_and_race)
        assert done(await runtime.apply_retention(batch=2)) == {"archived": 2, "failed": 1}
    assert await left(runtime) == {made[1]}
    assert done(await runtime.apply_retention()) == {"archived": 1}
    back = read_archived(await runtime.get_archived(made[1]))
    assert (back.instance.context["late"], len(back.history)) == (2, 3)


async def test_one_that_cannot_be_archived_keeps_nobody_else(keeping, clock, monkeypatch, caplog):
    runtime = await keeping(RetentionPolicy("case", after="1d", action="archive"))
    made = [await finished(runtime) for _ in range(3)]
    clock.advance("1d")

    def fail_for_one(instance, history):
        if instance.id == made[0]:
            raise ValueError("it is broken")
        return {}

    monkeypatch.setattr("detent.runtime.removal.archived_document", fail_for_one)
    assert done(await runtime.apply_retention()) == {"archived": 2, "failed": 1}
    assert await left(runtime) == {made[0]}
    assert f"instance {made[0]} cannot be archived" in caplog.text


async def test_one_that_a_step_holds_keeps_nobody_else(running, clock):
    store = MemoryStore(lock_timeout=0.01)
    runtime = await running(CASE, commands=[count], retention=[RetentionPolicy("case", after="1d")], store=store)
    made = [await finished(runtime) for _ in range(20)]
    clock.advance("1d")
    async with store.begin() as transaction:
        await runtime.patch_context(made[7], {"held": True}, connection=transaction)
        assert done(await runtime.apply_retention()) == {"deleted": 19, "failed": 1}
    assert await left(runtime) == {made[7]}


# ------------------------------------------------------------------------------------------------ history, receipts


async def sequences(runtime, identity):
    return [entry.sequence for entry in reversed(await runtime.get_history(identity))]


async def test_old_history_goes_but_never_the_last_entry(keeping, clock):
    runtime = await keeping(RetentionPolicy("case", keep_history="10d"))
    live, ended = await runtime.create_instance("case"), await finished(runtime)
    other = await finished(runtime, workflow="other")
    clock.advance("5d")
    await runtime.trigger_event(live.id, "note", payload={})
    clock.advance("6d")
    assert done(await runtime.apply_retention()) == {"history_entries": 2}
    assert await sequences(runtime, live.id) == [2]
    assert await sequences(runtime, ended) == [2]
    assert await sequences(runtime, other) == [1, 2]
    await runtime.trigger_event(live.id, "win")
    assert await sequences(runtime, live.id) == [2, 3]


async def test_history_that_grows_old_after_a_first_look_goes_as_well(keeping, clock):
    runtime = await keeping(RetentionPolicy("case", keep_history="10d"))
    live, idle = await runtime.create_instance("case"), await runtime.create_instance("case")
    clock.advance("11d")
    await runtime.trigger_event(live.id, "note", payload={})
    assert done(await runtime.apply_retention()) == {"history_entries": 1}
    clock.advance("11d")
    await runtime.trigger_event(live.id, "note", payload={})
    await runtime.trigger_event(idle.id, "note", payload={})
    assert done(await runtime.apply_retention()) == {"history_entries": 2}
    assert await sequences(runtime, live.id) == [3]
    assert await sequences(runtime, idle.id) == [2]


async def test_looking_for_old_history_goes_on_where_the_limit_stopped_it(keeping, clock):
    runtime = await keeping(RetentionPolicy("case", keep_history="1d"))
    made = [await finished(runtime) for _ in range(5)]
    clock.advance("2d")
    reports = [done(await runtime.apply_retention(limit=2, batch=1)) for _ in range(3)]
    assert reports == [
        {"history_entries": 2, "more": True},
        {"history_entries": 2, "more": True},
        {"history_entries": 1},
    ]
    assert [await sequences(runtime, identity) for identity in made] == [[2]] * 5


async def test_who_was_looked_through_and_not_written_since_is_not_read_again(keeping, clock, store, monkeypatch):
    runtime = await keeping(RetentionPolicy("case", keep_history="1d"))
    for _ in range(3):
        await finished(runtime)
    clock.advance("2d")
    await runtime.apply_retention()
    asked, prune = [], store.prune_history

    async def noting(instance_ids, **options):
        asked.extend(instance_ids)
        return await prune(instance_ids, **options)

    monkeypatch.setattr(store, "prune_history", noting)
    written = await runtime.create_instance("case")
    clock.advance("2d")
    await runtime.apply_retention()
    assert asked == [written.id]


async def test_history_of_a_held_instance_is_left_until_the_next_time(keeping, clock, store, monkeypatch):
    runtime = await keeping(RetentionPolicy("case", keep_history="30d"))
    await finished(runtime)
    clock.advance("31d")

    async def held(ids, **options):
        raise InstanceBusy(ids[0])

    with monkeypatch.context() as patched:
        patched.setattr(store, "prune_history", held)
        assert done(await runtime.apply_retention()) == {"failed": 1}
    assert done(await runtime.apply_retention()) == {"history_entries": 1}


async def test_an_archive_holds_the_history_that_was_kept_until_then(keeping, clock):
    runtime = await keeping(RetentionPolicy("case", after="20d", action="archive", keep_history="10d"))
    identity = await finished(runtime)
    clock.advance("15d")
    assert done(await runtime.apply_retention()) == {"history_entries": 1}
    clock.advance("5d")
    assert done(await runtime.apply_retention()) == {"archived": 1}
    assert [entry.event for entry in read_archived(await runtime.get_archived(identity)).history] == ["win"]


async def test_expired_receipts_go_with_or_without_policies(runtime, clock):
    made = await runtime.create_instance("case")
    for number in range(3):
        await runtime.trigger_event(made.id, "note", payload={}, idempotency_key=f"k{number}")
    clock.advance("29d")
    await runtime.trigger_event(made.id, "note", payload={}, idempotency_key="young")
    assert done(await runtime.apply_retention()) == {}
    clock.advance("1d")
    assert done(await runtime.apply_retention(limit=2, batch=1)) == {"receipts": 2, "more": True}
    assert done(await runtime.apply_retention()) == {"receipts": 1}
    assert (await runtime.trigger_event(made.id, "note", payload={}, idempotency_key="young")).replayed


# ------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("options", "path", "reason"),
    [
        ({}, "after", "would keep everything"),
        ({"workflow": " ", "after": "1d"}, "workflow", "name of a workflow"),
        ({"after": "soon"}, "after", "not a duration"),
        ({"after": 30}, "after", "not a duration"),
        ({"after": "-1d"}, "after", "must be from 0s"),
        ({"after": "40000d"}, "after", "to 36500d"),
        ({"keep_history": "-1s"}, "keep_history", "must be from 0s"),
        ({"after": "1d", "action": "forget"}, "action", "none of delete, archive"),
        ({"keep_history": "1d", "action": "archive"}, "after", "is missing"),
        ({"keep_history": "1d", "statuses": ["failed"]}, "after", "is missing"),
        ({"after": "1d", "statuses": ["active"]}, "statuses", "'active'"),
        ({"after": "1d", "statuses": ["complete"]}, "statuses", "completed"),
        ({"after": "1d", "statuses": []}, "statuses", "is empty"),
        ({"after": "1d", "tenant": " "}, "tenant", "not blank"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(options, path, reason):
    with pytest.raises(InvalidValue, match=reason) as told:
        RetentionPolicy(**{"workflow": "case", **options})
    assert told.value.path == path


def test_a_policy_reads_durations_and_names():
    policy = RetentionPolicy("case", after="90d", statuses=iter(["failed", "completed"]), keep_history=timedelta(7))
    assert (policy.after, policy.keep_history) == (timedelta(90), timedelta(7))
    assert policy.statuses == ("completed", "failed")
    assert RetentionPolicy("case", after="1d").statuses == ("cancelled", "completed", "failed")
    assert policy == RetentionPolicy("case", after=timedelta(90), statuses=["completed", "failed"], keep_history="7d")


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ({"after": "1d"}, {"after": "2d"}, "cancelled, completed, failed"),
        ({"after": "1d", "statuses": "failed"}, {"after": "2d", "action": "archive"}, "are failed"),
        ({"after": "1d", "tenant": "acme"}, {"after": "2d"}, "remove"),
        ({"keep_history": "1d"}, {"after": "2d", "keep_history": "2d"}, "history"),
        ({"keep_history": "1d", "tenant": "acme"}, {"keep_history": "2d", "tenant": "acme"}, "history"),
    ],
)
def test_policies_that_contradict_each_other_are_refused(store, one, other, said):
    policies = [RetentionPolicy("case", **one), RetentionPolicy("case", **other)]
    with pytest.raises(InvalidValue, match=said) as told:
        WorkflowRuntime(store=store, definitions=[], retention=policies)
    assert told.value.path == "retention"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"after": "1d"}, {"keep_history": "2d"}),
        ({"after": "1d", "statuses": "failed"}, {"after": "2d", "statuses": ["completed", "cancelled"]}),
        ({"after": "1d", "tenant": "acme"}, {"after": "2d", "tenant": "globex"}),
        ({"after": "1d"}, {"after": "2d", "workflow": "other"}),
    ],
)
def test_policies_about_different_instances_go_together(store, one, other):
    policies = [RetentionPolicy(**{"workflow": "case", **options}) for options in (one, other)]
    assert WorkflowRuntime(store=store, definitions=[], retention=policies).retention == tuple(policies)


async def test_a_policy_about_a_workflow_that_nobody_knows_is_a_slip(keeping):
    with pytest.raises(UnknownWorkflow) as told:
        await keeping(RetentionPolicy("cases", after="1d"))
    assert "'case'" in (told.value.hint or "")


async def test_a_workflow_that_is_only_stored_may_have_a_policy(keeping, store, clock):
    async with WorkflowRuntime(
        store=store,
        definitions=[WorkflowDefinition.from_dict({**OTHER, "name": "retired"})],
        commands=[count],
        clock=clock,
    ) as before:
        await finished(before, workflow="retired")
    clock.advance("1d")
    runtime = await keeping(RetentionPolicy("retired", after="1d"))
    assert done(await runtime.apply_retention()) == {"deleted": 1}


def test_policies_come_as_a_list(store):
    with pytest.raises(InvalidValue, match="holds str, which is no RetentionPolicy"):
        WorkflowRuntime(store=store, definitions=[], retention=["case"])  # type: ignore[list-item]


@pytest.mark.parametrize(("option", "path"), [({"limit": 0}, "limit"), ({"batch": 1001}, "batch")])
async def test_limits_out_of_range_are_refused(runtime, option, path):
    with pytest.raises(InvalidValue) as told:
        await runtime.apply_retention(**option)
    assert told.value.path == path


async def test_nothing_is_kept_of_what_never_was(runtime):
    with pytest.raises(InstanceNotFound):
        await runtime.get_archived(new_id())
    with pytest.raises(InstanceNotFound):
        await runtime.delete(new_id())
