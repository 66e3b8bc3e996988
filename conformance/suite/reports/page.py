"""The report as one page of HTML that needs nothing else: each deviation with its exchange."""

from collections.abc import Sequence
from html import escape

from conformance.suite.http import Answer, Exchange, Headers, told
from conformance.suite.model import Level, Outcome, Status
from conformance.suite.reports.summary import Summary

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--good:#1a7f37;--bad:#c62828;--dim:#777}
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;margin:1rem 0}td,th{border:1px solid var(--line);padding:.2rem .6rem;
text-align:right}th:first-child,td:first-child{text-align:left}
details{border-top:1px solid var(--line);padding:.3rem 0}summary{cursor:pointer}
.passed b{color:var(--good)}.failed b,.broken b{color:var(--bad)}
.not b,.undecided b{color:var(--dim)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:.4rem 0 .4rem 1rem}
dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}
pre{background:#8881;padding:.6rem;overflow:auto;font-size:13px;white-space:pre-wrap;
overflow-wrap:anywhere}
"""


def as_html(base: str, outcomes: Sequence[Outcome], left: Sequence[str], when: str) -> str:
    """The whole page. `when`: the time of the run, as text."""
    summary = Summary.of(outcomes)
    failed = [o for o in outcomes if o.status in (Status.FAILED, Status.BROKEN)]
    others = [o for o in outcomes if o not in failed]
    order = {level: place for place, level in enumerate(Level)}
    failed.sort(key=lambda outcome: order[outcome.check.level])
    pieces = [
        "<!doctype html><html lang='en'><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'>",
        f"<title>DICOMweb conformance of {escape(base)}</title><style>{_STYLE}</style>",
        f"<h1>DICOMweb conformance</h1><p>Of <code>{escape(base)}</code>, {escape(when)}.</p>",
        _counts(summary),
    ]
    if left:
        pieces.append(f"<p>{len(left)} studies of the suite could not be deleted:</p><ul>")
        pieces += [f"<li><code>{escape(uid)}</code></li>" for uid in left]
        pieces.append("</ul>")
    pieces.append("<h2>Deviations</h2>" if failed else "<h2>No deviations</h2>")
    pieces += [_told(outcome, shown=True) for outcome in failed]
    pieces.append("<h2>All else</h2>")
    pieces += [_told(outcome, shown=False) for outcome in others]
    return "\n".join(pieces) + "\n</html>\n"


def _counts(summary: Summary) -> str:
    head = "".join(f"<th>{status.value}</th>" for status in Status)
    rows = []
    for level in Level:
        cells = "".join(f"<td>{summary.number(status, level)}</td>" for status in Status)
        rate = summary.rate(level)
        percent = "" if rate is None else f"{100 * rate:.1f} %"
        rows.append(f"<tr><td>{level}</td>{cells}<td>{percent}</td></tr>")
    return f"<table><tr><th></th>{head}<th>rate</th></tr>{''.join(rows)}</table>"


def _told(outcome: Outcome, shown: bool) -> str:
    check = outcome.check
    facts = [("Check", check.name), ("Clause", check.clause), ("Rule", check.rule)]
    facts += [
        (name, text)
        for name, text in (
            ("Expected", outcome.expected),
            ("Got", outcome.got),
            ("Reason", outcome.reason),
        )
        if text
    ]
    listed = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in facts)
    exchanges = "".join(_exchange(exchange) for exchange in outcome.exchanges) if shown else ""
    opened = " open" if shown else ""
    kind = outcome.status.value.split()[0]
    return (
        f"<details class='{kind}'{opened}><summary><b>{outcome.status.value}</b> {check.level} "
        f"{escape(check.title)}</summary><dl>{listed}</dl>{exchanges}</details>"
    )


def _exchange(exchange: Exchange) -> str:
    lines = [f"{exchange.method} {exchange.url}", *_fields(exchange.headers)]
    asked = escape("\n".join(lines)) + _body(exchange.body, exchange.body_length)
    if exchange.answer is None:
        return f"<pre>{asked}</pre><pre>{escape(exchange.fault)}</pre>"
    return f"<pre>{asked}</pre><pre>{_answer(exchange.answer)}</pre>"


def _answer(answer: Answer) -> str:
    lines = [f"{answer.status} {answer.reason}".strip(), *_fields(answer.headers)]
    broken = "" if answer.whole else "\n\n(the body broke off)"
    return escape("\n".join(lines)) + _body(answer.body, len(answer.body)) + broken


def _fields(headers: Headers) -> list[str]:
    return [f"{name}: {value}" for name, value in told(headers)]


def _body(body: bytes, length: int) -> str:
    if not body:
        return ""
    text = body.decode("utf-8", "replace")
    shown = "".join(c if c.isprintable() or c in "\r\n\t" else "·" for c in text)
    cut = "\n…" if length > len(body) else ""
    return "\n\n" + escape(shown) + cut
