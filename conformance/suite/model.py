"""What a check is, and how it can end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from conformance.suite.http import Exchange
    from conformance.suite.run import Run

Item = TypeVar("Item")


class Level(StrEnum):
    """How far the standard binds a server: its own words."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


class Status(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_OFFERED = "not offered"  # something that a server may leave out, and this one does
    UNDECIDED = "undecided"  # what the check builds on did not come about: see its reason
    BROKEN = "broken"  # a fault of the suite's own


class Deviation(Exception):
    """The server does not do what the check expects."""

    def __init__(self, expected: str, got: str) -> None:
        self.expected, self.got = expected, got
        super().__init__(f"expected {expected}; got {got}")


class NotOffered(Exception):
    """The server leaves out what it may leave out."""


class Undecided(Exception):
    """Nothing can be said: something else, named here, has to work first."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a server is held to.

    `name`: unique, in words joined by hyphens. `area`: what ``--only`` chooses by. `rule`: ids of
    the digest that the suite follows. `clause`: where the standard says so.
    """

    name: str
    area: str
    level: Level
    clause: str
    rule: str
    title: str
    function: "Callable[[Run], None]"


@dataclass(slots=True)
class Outcome:
    """How one check ended, with what was said on the wire."""

    check: Check
    status: Status
    seconds: float = 0.0
    expected: str = ""
    got: str = ""
    reason: str = ""
    exchanges: "list[Exchange]" = field(default_factory=list)


CHECKS: list[Check] = []


def check(
    area: str, level: Level, clause: str, rule: str, title: str
) -> "Callable[[Callable[[Run], None]], Callable[[Run], None]]":
    """Enlist a function as a check. Its name, with hyphens, is the check's.

    The function returns if the server does as expected, and raises Deviation, NotOffered or
    Undecided if not. Raises ValueError for a name that is taken.
    """

    def enlist(function: "Callable[[Run], None]") -> "Callable[[Run], None]":
        name = f"{area}.{function.__name__.replace('_', '-')}"
        if any(known.name == name for known in CHECKS):
            raise ValueError(f"two checks are named {name}")
        CHECKS.append(Check(name, area, level, clause, rule, title, function))
        return function

    return enlist


def expect(condition: object, expected: str, got: object) -> None:
    """Raise Deviation unless `condition` holds."""
    if not condition:
        raise Deviation(expected, str(got))


def only(items: "Sequence[Item]", what: str) -> "Item":
    """The one of `items`. Raises Deviation if there are none, or several."""
    if len(items) != 1:
        raise Deviation(f"one {what}", f"{len(items)} of them")
    return items[0]
