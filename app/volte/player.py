"""Plays a plan against a broker, step after step, and undoes whatever it made."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from app.volte import answers
from app.volte.answers import Answer, Document, Failure
from app.volte.client import Unreachable
from app.volte.outcome import Outcome, Patience, State
from app.volte.steps import READ, Check, Kind, Step, fill, fill_path

EXISTED = "it existed before this run"


class Asks(Protocol):
    """What the player needs of `app.volte.client.Client`."""

    def ask(self, method: str, path: str, body: object, request_id: str) -> Answer: ...


class Watch(Protocol):
    """Who shows the progress."""

    def begin(self, step: Step) -> None: ...
    def note(self, text: str) -> None: ...
    def end(self, outcome: Outcome) -> None: ...


@dataclass
class _Attempt:
    """What is known of the step under way."""

    path: str
    status: int | None = None
    request_id: str = ""


@dataclass
class Player:
    """Plays `steps` below `region`, a path such as /api/multicloud/v0/vmware_fake.

    `given` are the values that no step gives. `stopped` is asked between requests: once it is true only the steps
    that clean up are played, and no request under way is cut off, so that nothing is made unseen.
    """

    client: Asks
    region: str
    steps: Sequence[Step]
    given: Mapping[str, str]
    patience: Patience
    watch: Watch
    stopped: Callable[[], bool] = lambda: False
    outcomes: list[Outcome] = field(default_factory=list)
    _values: dict[str, str] = field(default_factory=dict)  # id by the step that gave it and worked
    _made: dict[str, str] = field(default_factory=dict)  # id by kind, of what this run has to delete
    _worked: set[str] = field(default_factory=set)
    _existed: set[str] = field(default_factory=set)
    _unsure: set[str] = field(default_factory=set)  # kinds whose creation was sent and gave no id
    _unanswered: set[str] = field(default_factory=set)  # of these, those that may still be under way
    _deleted: set[str] = field(default_factory=set)
    _now: _Attempt = field(default_factory=lambda: _Attempt(""))

    def play(self) -> None:
        """Play all of it; the outcomes are in `outcomes`. Raises `Unreachable` if not even the first step came
        through: then nothing was sent, and there is nothing to tell beside it."""
        for step in self.steps:
            self.watch.begin(step)
            outcome = self._outcome(step)
            self.outcomes.append(outcome)
            self.watch.end(outcome)

    @property
    def left_behind(self) -> dict[str, str]:
        """By kind: the ids of what this run made and did not delete, and the names of what it may have made."""
        names = {step.kind.name: self._name(step.kind) for step in self.steps if step.kind}
        unsure = {kind: f"perhaps, named {names[kind]}" for kind in sorted(self._unsure)}
        return {kind: id_ for kind, id_ in self._made.items() if kind not in self._deleted} | unsure

    def _name(self, kind: Kind) -> str:
        return str(fill(kind.body["name"], self.given))

    def _outcome(self, step: Step) -> Outcome:
        if (step.clean or step.check == "state") and step.kind and step.kind.name in self._existed:
            return Outcome(step.name, step.method, step.path, None, 0, "left", EXISTED)
        if not step.clean and self.stopped():
            return Outcome(step.name, step.method, step.path, None, 0, "skipped", "interrupted")
        began = self.patience.clock()
        self._now = _Attempt(step.path)
        state, detail = self._attempt(step)
        if state == "ok":
            self._worked.add(step.name)
        ms = (self.patience.clock() - began) * 1000
        now = self._now
        return Outcome(step.name, step.method, now.path, now.status, ms, state, detail, now.request_id)

    def _attempt(self, step: Step) -> tuple[State, str]:
        try:
            if step.check == "deleted":
                self._find_lost(step)
            if missing := self._missing(step):
                return "skipped", f"needs {missing}"
            return "ok", CHECKS[step.check](self, step)
        except Unreachable as error:
            if not self.outcomes:
                raise
            return "failed", str(error)
        except Failure as error:
            return "failed", str(error)
        except Exception as error:  # the edge of a step: an answer nobody foresaw must not keep us from cleaning up
            return "failed", f"unexpected {type(error).__name__}: {error}"

    def _available(self, step: Step) -> Mapping[str, str]:
        """The values for a step's placeholders; to clean up, an object counts also if its step failed later on."""
        return {**self.given, **self._values, **(self._made if step.clean else {})}

    def _missing(self, step: Step) -> str | None:
        there = self._worked | self._available(step).keys()
        return next((name for name in step.needs if name not in there), None)

    # Requests. All raise `Failure`.

    def _ask(self, method: str, path: str, body: object = None) -> Answer:
        self._now.request_id = str(uuid.uuid4())
        return self.client.ask(method, path, body, self._now.request_id)

    def _send(self, step: Step) -> Answer:
        """The step's own request; a DELETE of what is in use is tried again, as VF-C does."""
        values = self._available(step)
        self._now.path = path = self.region + fill_path(step.path, values)
        body = fill(step.body, values)
        for _ in self.patience.rounds():
            answer = self._ask(step.method, path, body)
            self._now.status = answer.status
            if answer.status in step.expect:
                return answer
            if step.check != "deleted" or not answer.in_use():
                break
            self.watch.note("409 InUse, trying again")
        raise Failure(answer.refusal(step.expect))

    def _read(self, template: str) -> Document:
        path = self.region + fill_path(template, {**self.given, **self._values, **self._made})
        answer = self._ask("GET", path)
        if answer.status not in READ:
            raise Failure(f"GET {path} {answer.refusal(READ)}")
        return answer.document()

    def _settle(self, step: Step, kind: Kind, document: Document | None = None) -> None:
        """Wait until the object is in one of the step's states; `document` is what is known of it already."""
        for _ in self.patience.rounds():
            status = answers.status_of(self._read(kind.item) if document is None else document)
            readiness = answers.readiness(status, step.states)
            if readiness == "ready":
                return
            if readiness == "broken":
                raise Failure(f"its status is {status}")
            if self.stopped():
                raise Failure(f"interrupted while its status was {status}")
            self.watch.note(f"waiting: {status}")
            document = None
        raise Failure(f"its status is still {status} after {self.patience.limit:g} s")

    def _find_lost(self, step: Step) -> None:
        """Look by its name, which is this run's alone, for what a creation made whose answer was lost."""
        kind = _kind(step)
        if kind.name not in self._unsure:
            return
        self._now.path = self.region + fill_path(kind.collection, self._available(step))
        for _ in self.patience.rounds():
            found = answers.named(self._read(kind.collection), kind.plural, self._name(kind))
            if found is not None:
                self._unsure.discard(kind.name)
                self._made[kind.name] = found
                return
            if kind.name not in self._unanswered:  # it was refused, and is not there
                self._unsure.discard(kind.name)
                break
            self.watch.note(f"looking for a {kind.name} that may still come")
        self._now.path = step.path

    # Checks, one for each of `Check`: each sends the step and returns what there is to say. All raise `Failure`.

    def _answered(self, step: Step) -> str:
        self._send(step)
        return ""

    def _tenant(self, step: Step) -> str:
        document = self._send(step).document()
        self._values[step.name] = answers.pick_tenant(document, self.given.get("tenant_name", ""))
        return ""

    def _create(self, step: Step) -> str:
        kind = _kind(step)
        self._unsure.add(kind.name)
        try:
            document = self._send(step).document()
        except Unreachable:
            self._unsure.discard(kind.name)
            raise
        except Failure:
            if self._now.status is None:
                self._unanswered.add(kind.name)
            raise
        id_ = answers.identifier(document)
        self._unsure.discard(kind.name)
        if answers.existed(document):
            self._existed.add(kind.name)
            self._values[step.name] = id_
            return EXISTED
        self._made[kind.name] = id_
        self._settle(step, kind, document)
        self._values[step.name] = id_
        return ""

    def _list(self, step: Step) -> str:
        kind = _kind(step)
        if not answers.listed(self._send(step).document(), kind.plural, self._values[kind.name]):
            raise Failure(f"the {kind.name} {self._values[kind.name]} is not in the list")
        return ""

    def _act(self, step: Step) -> str:
        self._send(step)
        self._settle(step, _kind(step))
        return ""

    def _delete(self, step: Step) -> str:
        self._send(step)
        self._deleted.add(_kind(step).name)
        return ""

    def _gone(self, step: Step) -> str:
        kind = _kind(step)
        id_ = self._made[kind.name]
        for _ in self.patience.rounds():
            if not answers.listed(self._send(step).document(), kind.plural, id_):
                return ""
            self.watch.note("waiting: still listed")
        self._deleted.discard(kind.name)
        raise Failure(f"the {kind.name} {id_} is still listed {self.patience.limit:g} s after it was deleted")


CHECKS: Mapping[Check, Callable[[Player, Step], str]] = {
    "answered": Player._answered,
    "tenant": Player._tenant,
    "made": Player._create,
    "listed": Player._list,
    "state": Player._act,
    "deleted": Player._delete,
    "gone": Player._gone,
}


def _kind(step: Step) -> Kind:
    """The step's kind. Raises `TypeError` for a plan whose step is about none."""
    if step.kind is None:
        raise TypeError(f"the step {step.name} is about no kind of resource")
    return step.kind
