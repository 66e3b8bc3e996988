"""What is said of the whole: extensions, results of the suite, and where each rule is stated."""

import re
from collections.abc import Iterator, Mapping

from conformance.suite.checks import CHECKS
from conformance.suite.coverage import all_rules, checks_by_rule
from conformance.suite.model import Level, Status
from conformance.suite.rules import EXCUSED

_ID = r"[A-Z]{2,4}-\d\d"
_BRACKETS = re.compile(rf"\[([^\]]*{_ID}[^\]]*)\](?!\()")
_RANGE = re.compile(rf"({_ID})(?: to ({_ID}))?")
_EXTENSION = re.compile(r"^\| (.+?) \(extension\) *\|")


def extensions(template: str) -> Iterator[str]:
    """The rows of the template that are named extensions, and where they stand."""
    for heading, line in _lines(template):
        if found := _EXTENSION.match(line):
            name = re.sub(r" *\[[^\]]*\]", "", found[1])
            yield f"- {name}: {_link(heading)}"


def results(outcomes: Mapping[str, str]) -> Iterator[str]:
    """How many checks of each level ended how."""
    yield "| Checks | " + " | ".join(str(status) for status in Status) + " |"
    yield "|---|" + "---|" * len(Status)
    for level in Level:
        ended = [outcomes.get(check.name) for check in CHECKS if check.level is level]
        yield f"| {level} | " + " | ".join(str(ended.count(status)) for status in Status) + " |"


def rules(template: str, outcomes: Mapping[str, str]) -> Iterator[str]:
    """Each rule: what it is about, where it is stated, and its checks. One that has not passed
    is told with how it ended."""
    yield "| Rule | About | Stated under | Checks |"
    yield "|---|---|---|---|"
    stated = sections(template)
    checks = checks_by_rule()
    for rule, about in all_rules().items():
        where = ", ".join(map(_link, stated.get(rule, ())))
        named = [_ended(check.name, outcomes) for check in checks[rule]]
        by = ", ".join(named) or f"none: {EXCUSED[rule]}"
        yield f"| {rule} | {about} | {where} | {by} |"


def _ended(name: str, outcomes: Mapping[str, str]) -> str:
    status = outcomes.get(name, "not run")
    return name if status == Status.PASSED else f"{name} ({status})"


def sections(template: str) -> dict[str, dict[str, None]]:
    """Rule → the headings under which it stands in brackets, in their order."""
    found: dict[str, dict[str, None]] = {}
    for heading, line in _lines(template):
        for brackets in _BRACKETS.finditer(line):
            for first, last in _RANGE.findall(brackets[1]):
                for rule in _between(first, last or first):
                    found.setdefault(rule, {})[heading] = None
    return found


def _between(first: str, last: str) -> Iterator[str]:
    name, begin = first.split("-")
    for number in range(int(begin), int(last.split("-")[1]) + 1):
        yield f"{name}-{number:02}"


def _lines(template: str) -> Iterator[tuple[str, str]]:
    """Each line, and the heading that it stands under."""
    heading = ""
    for line in template.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        else:
            yield heading, line


def _link(heading: str) -> str:
    """A link to a heading, by the anchor that it has in rendered Markdown."""
    anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
    return f"[{heading}](#{anchor})"
