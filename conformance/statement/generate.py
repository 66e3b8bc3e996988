"""The template with its markers filled in."""

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from conformance.statement import surface, syntaxes, tables
from conformance.statement.annex import extensions, results, rules
from conformance.statement.outcomes import kept

TEMPLATE = Path(__file__).with_name("template.md")
STATEMENT = Path(__file__).parent.with_name("STATEMENT.md")

_NOTE = "<!-- Made by `make statement` of conformance/statement: change that, not this file. -->"
_TABLE = re.compile(r"\{\{(\w+)\}\}")
_VALUE = re.compile(r"\{\{([\w.]+)\.([A-Z_0-9]+)\}\}")


def statement(outcomes: Mapping[str, str] | None = None) -> str:
    """The statement. `outcomes`: check → how it ended; those that are kept unless given.

    Raises KeyError for a marker that stands for nothing, AttributeError for such a constant.
    """
    template = TEMPLATE.read_text("utf-8")
    ended = kept() if outcomes is None else outcomes
    made = {
        **{name: lambda table=table: list(table()) for name, table in _PLAIN.items()},
        "extensions": lambda: list(extensions(template)),
        "results": lambda: list(results(ended)),
        "rules": lambda: list(rules(template, ended)),
    }
    lines: list[str] = []
    for line in template.splitlines():
        marker = _TABLE.fullmatch(line)
        lines += made[marker[1]]() if marker else [_VALUE.sub(_value, line)]
    title, *rest = lines
    return "\n".join([title, "", _NOTE, *rest]) + "\n"


_PLAIN = {
    "resources": surface.resources,
    "parameters": surface.parameters,
    "statuses": surface.statuses,
    "media_types": surface.media_types,
    "transfer_syntaxes": syntaxes.transfer_syntaxes,
    "character_sets": tables.character_sets,
    "keys": tables.keys,
    "returned": tables.returned,
    "reasons": tables.reasons,
    "settings": tables.settings,
    "sop_classes": tables.sop_classes,
}


def _value(found: re.Match[str]) -> str:
    value = getattr(import_module(f"dicomweb_server.{found[1]}"), found[2])
    assert isinstance(value, int), found[0]
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20)):
        if value >= size and value % size == 0:
            return f"{value // size} {unit}"
    return f"{value:,}"
