"""The further effects of changes, as the parameters of the statement that writes them (`statements.effects`)."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar
from uuid import UUID

from detent.store.change import (
    AddMessage,
    AddRun,
    Change,
    Effect,
    MoveRun,
    Publish,
    PutBack,
    PutReceipt,
    SaveStep,
    TakeMessage,
)
from detent.store.run_records import Checkpoint
from detent_pg.message_rows import delivery_row, message_row
from detent_pg.rows import Row, encode, encode_optional
from detent_pg.run_rows import run_row
from detent_pg.statements.arrays import arrays
from detent_pg.statements.effects import MOVED, PUT_BACK, Kinds
from detent_pg.statements.runs import STEP

E = TypeVar("E", bound=Effect)

_STEP_COLUMNS = (*STEP, "entry", "position", "release", "extend")


def kinds_of(changes: Sequence[Change]) -> Kinds:
    """The kinds of effects that occur, but for receipts, which need no statement of their own."""
    return frozenset(type(effect) for change in changes for effect in change.effects if type(effect) is not PutReceipt)


def parameters_of(changes: Sequence[Change], kinds: Kinds) -> dict[str, object]:
    """The parameters of `statements.effects.beside` for these kinds."""
    return {name: values for kind in kinds for name, values in _PARAMETERS[kind](changes).items()}


def step_parameters(checkpoint: Checkpoint) -> dict[str, object]:
    """The parameters for one checkpoint, by itself."""
    return arrays("steps", [_step_row(checkpoint)], _STEP_COLUMNS)


def _step_row(checkpoint: Checkpoint) -> Row:
    return {
        "id": checkpoint.lease.run_id,
        "lease_token": checkpoint.lease.token,
        "command": checkpoint.command,
        "queue": checkpoint.queue,
        "priority": checkpoint.priority,
        "entry": encode(checkpoint.entry),
        "position": checkpoint.position,
        "release": checkpoint.release,
        "extend": checkpoint.extend,
    }


def _saves(changes: Sequence[Change]) -> dict[str, object]:
    rows = []
    for change in changes:
        moves = _moves_of(change)
        for save in change.effects_of(SaveStep):
            move = moves.get(save.checkpoint.lease.run_id)
            rows.append({**_step_row(save.checkpoint), **_move_row(move), "owner": change.instance.id})
    return arrays("steps", rows, (*_STEP_COLUMNS, "owner", "status", "reason", "failure", "at"))


def _moves(changes: Sequence[Change]) -> dict[str, object]:
    rows = []
    for change in changes:
        saved = {save.checkpoint.lease.run_id for save in change.effects_of(SaveStep)}
        for run_id, move in _moves_of(change).items():
            if run_id not in saved:
                row = _move_row(move)
                rows.append({**row, "id": run_id, "error": row["failure"], "owner": change.instance.id})
    return arrays("moves", rows, (*MOVED, "at", "owner"))


def _moves_of(change: Change) -> dict[UUID, MoveRun]:
    """The moves by run; of several the last."""
    return {move.run_id: move for move in change.effects_of(MoveRun)}


def _move_row(move: MoveRun | None) -> Row:
    if move is None:
        return {"status": None, "reason": None, "failure": None, "at": None}
    return {"status": move.status.value, "reason": move.reason, "failure": encode_optional(move.error), "at": move.at}


def _begun(changes: Sequence[Change]) -> dict[str, object]:
    rows = [{**run_row(effect.run), "owner": owner} for owner, effect in _each(changes, AddRun)]
    return arrays("begun", rows, rows[0])


def _sent(changes: Sequence[Change]) -> dict[str, object]:
    rows = [
        {**message_row(effect.message), "owner": owner, "place": place}
        for place, (owner, effect) in enumerate(_each(changes, AddMessage))
    ]
    return arrays("sent", rows, rows[0])


def _taken(changes: Sequence[Change]) -> dict[str, object]:
    rows = [{"id": effect.message_id, "owner": owner} for owner, effect in _each(changes, TakeMessage)]
    return arrays("taken", rows, rows[0])


def _put_back(changes: Sequence[Change]) -> dict[str, object]:
    # Of several for one message the last: a row is written only once.
    back = {effect.message.id: (owner, effect.message) for owner, effect in _each(changes, PutBack)}
    rows = [{**message_row(message), "owner": owner} for owner, message in back.values()]
    return arrays("back", rows, (*PUT_BACK, "owner"))


def _published(changes: Sequence[Change]) -> dict[str, object]:
    rows = [
        {**delivery_row(effect.delivery), "owner": owner, "place": place}
        for place, (owner, effect) in enumerate(_each(changes, Publish))
    ]
    return arrays("published", rows, rows[0])


def _each(changes: Sequence[Change], kind: type[E]) -> Iterator[tuple[UUID, E]]:
    """The effects of one kind in their order, each with the instance whose change it belongs to."""
    return ((change.instance.id, effect) for change in changes for effect in change.effects_of(kind))


_PARAMETERS: dict[type[Effect], Callable[[Sequence[Change]], dict[str, object]]] = {
    AddRun: _begun,
    MoveRun: _moves,
    SaveStep: _saves,
    AddMessage: _sent,
    TakeMessage: _taken,
    PutBack: _put_back,
    Publish: _published,
}
