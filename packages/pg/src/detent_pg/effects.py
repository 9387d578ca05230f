"""The further effects of changes, as the parameters of the statement that writes them (`statements.effects`)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias, TypeVar
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
from detent_pg.rows import RECEIPT, encode, encode_optional, receipt_row
from detent_pg.run_rows import run_row
from detent_pg.statements.arrays import arrays, columns
from detent_pg.statements.effects import MOVED, PUT_BACK, Kinds
from detent_pg.statements.runs import STEP

E = TypeVar("E", bound=Effect)

Instants: TypeAlias = Mapping[UUID, datetime | None] | datetime | None
"""When leases are judged that changes name: at one instant, or each at that of its instance; `None` is the database's clock."""

_STEP_COLUMNS = (*STEP, "entry", "position", "release", "extend")


def kinds_of(changes: Sequence[Change]) -> Kinds:
    """The kinds of effects that occur."""
    return frozenset(type(effect) for change in changes for effect in change.effects)


def parameters_of(changes: Sequence[Change], kinds: Kinds, now: Instants) -> dict[str, object]:
    """The parameters of `statements.effects.beside` for these kinds."""
    parameters: dict[str, object] = {}
    for kind in kinds:
        fenced = _FENCED.get(kind)
        parameters |= _PARAMETERS[kind](changes) if fenced is None else fenced(changes, now)
    return parameters


def receipt_parameters(changes: Sequence[Change]) -> dict[str, object]:
    """The parameters for the receipts that `changes` put, if any."""
    rows = [receipt_row(effect.receipt) for _, effect in _each(changes, PutReceipt)]
    return arrays("receipts", rows, RECEIPT)


def step_parameters(checkpoints: Sequence[Checkpoint]) -> dict[str, object]:
    """The parameters for checkpoints by themselves."""
    return columns("steps", _STEP_COLUMNS, [_step_values(checkpoint) for checkpoint in checkpoints])


def _step_values(checkpoint: Checkpoint) -> Sequence[object]:
    return (
        checkpoint.lease.run_id,
        checkpoint.lease.token,
        checkpoint.command,
        checkpoint.queue,
        checkpoint.priority,
        encode(checkpoint.entry),
        checkpoint.position,
        checkpoint.release,
        checkpoint.extend,
    )


def _saves(changes: Sequence[Change], now: Instants) -> dict[str, object]:
    rows = []
    for change in changes:
        moves = _moves_of(change)
        for save in change.effects_of(SaveStep):
            move = moves.get(save.checkpoint.lease.run_id)
            owner = change.instance.id
            rows.append((*_step_values(save.checkpoint), owner, _instant(now, owner), *_move_values(move)))
    return columns("steps", (*_STEP_COLUMNS, "owner", "now", "status", "reason", "failure", "at"), rows)


def _moves(changes: Sequence[Change], now: Instants) -> dict[str, object]:
    rows = []
    for change in changes:
        saved = {save.checkpoint.lease.run_id for save in change.effects_of(SaveStep)}
        for run_id, move in _moves_of(change).items():
            if run_id not in saved:
                token = None if move.lease is None else move.lease.token
                owner = change.instance.id
                rows.append((run_id, *_move_values(move), token, owner, _instant(now, owner)))
    return columns("moves", (*MOVED, "at", "lease_token", "owner", "now"), rows)


def _moves_of(change: Change) -> dict[UUID, MoveRun]:
    """The moves by run; of several the last."""
    return {move.run_id: move for move in change.effects_of(MoveRun)}


def _move_values(move: MoveRun | None) -> Sequence[object]:
    if move is None:
        return (None, None, None, None)
    return (move.status.value, move.reason, encode_optional(move.error), move.at)


def _instant(now: Instants, owner: UUID) -> datetime | None:
    return now.get(owner) if isinstance(now, Mapping) else now


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
    PutReceipt: receipt_parameters,
    AddRun: _begun,
    AddMessage: _sent,
    TakeMessage: _taken,
    PutBack: _put_back,
    Publish: _published,
}
_FENCED: dict[type[Effect], Callable[[Sequence[Change], Instants], dict[str, object]]] = {
    MoveRun: _moves,
    SaveStep: _saves,
}
