"""Lines over time as SVG, drawn by hand. No I/O."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 980, 240
LEFT, RIGHT, TOP, BOTTOM = 62, 190, 30, 26
COLOURS = (
    "#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#0a7d91", "#bf3989", "#57606a",
    "#e16f24", "#4d8f00",
)  # fmt: skip
MINUTE, HOUR = 60, 3600


@dataclass(frozen=True, slots=True)
class Line:
    """One line: points in seconds and in the unit of the axis. Lines of one `name` look alike."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Mark:
    """A time that is marked through the whole height, from `begin` to `end` in seconds."""

    name: str
    begin: float
    end: float


def chart(
    title: str, unit: str, lines: Sequence[Line], marks: Sequence[Mark] = (), *, log: bool = False
) -> str:
    """One chart, as an ``<svg>`` element. `log`: a logarithmic axis, for values above 0."""
    points = [point for line in lines for point in line.points]
    end = max([t for t, _ in points] + [mark.end for mark in marks], default=1.0) or 1.0
    low, high, steps = _axis([v for _, v in points], log=log)

    def x(t: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * t / end

    def y(v: float) -> float:
        share = (_place(v, log) - _place(low, log)) / (_place(high, log) - _place(low, log))
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share

    parts = [_text(LEFT, 16, f"{title} ({unit})", "title")]
    for value in steps:
        parts.append(_rule(LEFT, y(value), WIDTH - RIGHT, y(value), "grid"))
        parts.append(_text(LEFT - 6, y(value) + 4, _number(value), "tick", "end"))
    parts += [_text(x(t), HEIGHT - 8, _clock(t), "tick", "middle") for t in _times(end)]
    for mark in marks:
        wide = max(1.0, x(mark.end) - x(mark.begin))
        parts.append(
            f'<rect class="mark" x="{x(mark.begin):.1f}" y="{TOP}" width="{wide:.1f}" '
            f'height="{HEIGHT - TOP - BOTTOM}"><title>{escape(mark.name)}</title></rect>'
        )
    names = list(dict.fromkeys(line.name for line in lines))
    for line in lines:
        colour = COLOURS[names.index(line.name) % len(COLOURS)]
        path = " ".join(f"{x(t):.1f},{y(max(v, low)):.1f}" for t, v in line.points)
        parts.append(f'<polyline points="{path}" stroke="{colour}"/>')
    for number, name in enumerate(names):
        at = TOP + 10 + 18 * number
        colour = COLOURS[number % len(COLOURS)]
        begin = WIDTH - RIGHT + 12
        parts.append(
            f'<line x1="{begin}" y1="{at}" x2="{begin + 18}" y2="{at}" stroke="{colour}" '
            f'stroke-width="3"/>'
        )
        parts.append(_text(begin + 24, at + 4, name, "legend"))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{escape(title)}">\n'
        f"<style>{STYLE}</style>\n{body}\n</svg>\n"
    )


STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-weight:600;font-size:13px}"
    ".tick{fill:#57606a;font-size:11px}.grid{stroke:#d8dee4;stroke-width:1}"
    ".mark{fill:#d1242f;fill-opacity:.13}polyline{fill:none;stroke-width:1.5}"
)


def _place(value: float, log: bool) -> float:
    return math.log10(value) if log else value


def _axis(values: Sequence[float], *, log: bool) -> tuple[float, float, list[float]]:
    """The least and the greatest value of the axis, and those that get a line."""
    if log:
        above = [value for value in values if value > 0] or [1.0]
        first = math.floor(math.log10(min(above)))
        last = max(first + 1, math.ceil(math.log10(max(above))))
        return 10.0**first, 10.0**last, [10.0**power for power in range(first, last + 1)]
    high = max([*values, 0.0]) or 1.0
    step = 10 ** math.floor(math.log10(high))
    while high / step < 4:
        step /= 2
    count = math.ceil(high / step)
    return 0.0, count * step, [number * step for number in range(count + 1)]


def _times(end: float) -> list[float]:
    """About eight round times from 0 to `end`, in seconds."""
    steps = (10, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 6 * HOUR)
    step = next((each for each in steps if end / each <= 9), 24 * HOUR)
    return [step * number for number in range(int(end // step) + 1)]


def _clock(t: float) -> str:
    if t < HOUR:
        return f"{int(t // MINUTE)}:{int(t % MINUTE):02}"
    return f"{int(t // HOUR)}:{int(t % HOUR // MINUTE):02} h"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:g}"


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _rule(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'
