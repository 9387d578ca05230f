"""The outline of a definition: which method does the work of which state, and which types stand between them."""

import keyword
from collections.abc import Iterable

from detent.definition.model import WorkflowDefinition
from detent.notation.python_class.canonical import in_order, work_of
from detent.notation.python_class.carried import Carried, Joined, branches, carried, carrier, joined
from detent.notation.python_class.naming import Names
from detent.notation.python_class.outline import Choice, Option, Outline, PayloadOutline, StepOutline
from detent.notation.python_class.sketch import Decided, Sketch


def outline_of(definition: WorkflowDefinition, sketch: Sketch, names: Names, class_name: str) -> Outline:
    """The class for a definition, whose names are known to be sound."""
    return _Outlining(definition, sketch, names).outline(class_name)


class _Outlining:
    def __init__(self, definition: WorkflowDefinition, sketch: Sketch, names: Names) -> None:
        self._definition, self._sketch, self._names = definition, sketch, names
        self._order = in_order(definition)
        self._choices: dict[str, Choice] = {}

    def outline(self, class_name: str) -> Outline:
        states, names = self._definition.states, self._names
        steps = tuple(self._step(name) for name in self._order if work_of(states[name]))
        idle = [name for name in self._order if not work_of(states[name]) and names.knows(name)]
        first = carrier(self._definition, self._definition.initial_state)
        return Outline(
            self._definition,
            class_name,
            "None" if first is None else names.payload(first),
            steps,
            tuple(sorted(self._choices.values(), key=lambda choice: choice.attribute)),
            tuple(_bases_first(self._payloads())),
            {name: names.method(name) for name in idle},
        )

    # Steps and choices.

    def _step(self, name: str) -> StepOutline:
        state = self._definition.states[name]
        decided = self._sketch.decided.get(name)
        choice: Choice | None = None
        answers: str | None
        if decided is not None:
            choice = self._choice(name, decided)
            answers, leads = choice.decision, f"it decides by `self.{choice.attribute}`."
        else:
            # Work that leads nowhere by itself is followed by waiting for an event, or for branches, in the same state.
            hop = None if state.on_enter is None or state.fork else state.on_enter.target
            stays = hop is None and not state.terminal
            following = Carried(name) if stays else self._carried(name, hop)
            answers, leads = self._type(following), self._told(following)
        method, payload = self._names.method(name), self._names.payload(name)
        return StepOutline(name, method, payload, choice, answers, leads, state.description)

    def _carried(self, source: str, target: str | None) -> Carried | None:
        return None if target is None else carried(self._definition, source, target)

    def _type(self, following: Carried | None) -> str | None:
        if following is None:
            return None
        name = following.state
        return self._names.result(name) if following.is_result else self._names.payload(name)

    def _told(self, following: Carried | None) -> str:
        if following is None:
            return "then the workflow ends."
        if following.is_result:
            return f"it answers what the branch of `{following.state}` ends with."
        return f"it answers the payload of `{following.state}`."

    def _choice(self, state: str, decided: Decided) -> Choice:
        attribute = self._names.choice(decided)
        if attribute not in self._choices:
            found = [self._option(state, way.text) for way in decided.ways]
            options = sorted((one for one in found if one is not None), key=lambda one: (one.event is None, one.method))
            type_ = self._names.choice_type(decided)
            self._choices[attribute] = Choice(decided.name, attribute, type_, tuple(options))
        return self._choices[attribute]

    def _option(self, name: str, text: str) -> Option | None:
        state = self._definition.states[name]
        if text:
            target = state.events[text].target if text in state.events else None
        else:
            target = state.on_enter.target if state.on_enter is not None else None
        if target is None:
            return None
        return Option(self._names.option(text), text or None, target, self._type(self._carried(name, target)))

    # Payloads.

    def _payloads(self) -> Iterable[PayloadOutline]:
        behind, ended = joined(self._definition), self._branches_that_leave_something()
        for name in self._order:
            if name in ended:
                yield PayloadOutline(self._names.result(name), f"What the branch of `{name}` ends with.")
            if carrier(self._definition, name) == name:
                yield self._payload(name, behind.get(name), ended)

    def _branches_that_leave_something(self) -> set[str]:
        found = [
            carried(self._definition, name, target)
            for name in branches(self._definition)
            for target in self._targets(name)
        ]
        return {one.state for one in found if one is not None and one.is_result}

    def _payload(self, name: str, behind: Joined | None, ended: set[str]) -> PayloadOutline:
        """The payload of a state: at a fork those of all branches in one, behind it with what they ended with."""
        begun = [carrier(self._definition, branch) for branch in sorted(self._definition.states[name].fork)]
        bases = [self._names.payload(one) for one in begun if one is not None]
        fields: dict[str, str] = {}
        if behind is not None:
            bases = [self._names.payload(behind.fork), *bases]
            fields = {branch: self._names.result(branch) for branch in sorted(behind.branches) if branch in ended}
        unnamed = {key: kind for key, kind in fields.items() if not _is_field(key)}
        named = {key: kind for key, kind in fields.items() if _is_field(key)}
        return PayloadOutline(
            self._names.payload(name), self._told_of(name, unnamed), tuple(dict.fromkeys(bases)), named
        )

    def _targets(self, name: str) -> list[str]:
        state = self._definition.states[name]
        hops = [] if state.on_enter is None else [state.on_enter.target, state.on_enter.error]
        ways = [
            way for event in state.events.values() for way in (event.target, *(one.target for one in event.branches))
        ]
        return [target for target in (*hops, *ways) if target is not None]

    def _told_of(self, name: str, unnamed: dict[str, str]) -> str:
        state = self._definition.states[name]
        decided = self._sketch.decided.get(name)
        options = {way.text for way in decided.ways} if decided is not None and work_of(state) else set()
        events = ", ".join(sorted(state.events.keys() - options))
        said = [f"What `{name}` is given."] if work_of(state) else []
        if state.fork:
            said.append(f"What is there while `{name}` waits for its branches: {', '.join(sorted(state.fork))}.")
        if events:
            said.append(f"What is there while `{name}` waits for {events}; what comes with an event is laid over it.")
        if unnamed:
            said.append(f"Beside its fields it has {', '.join(f'{key!r}, a {kind}' for key, kind in unnamed.items())}.")
        if carrier(self._definition, self._definition.initial_state) == name:
            said.append("The workflow is submitted with it.")
        return " ".join(said)


def _is_field(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name)


def _bases_first(payloads: Iterable[PayloadOutline]) -> Iterable[PayloadOutline]:
    """The same, each behind those that it is made of."""
    by_type = {one.type: one for one in payloads}
    done: dict[str, PayloadOutline] = {}
    begun: set[str] = set()

    def add(one: PayloadOutline) -> None:
        if one.type in begun:
            return
        begun.add(one.type)
        for needed in (*one.bases, *one.fields.values()):
            add(by_type[needed])
        done[one.type] = one

    for each in by_type.values():
        add(each)
    return done.values()
