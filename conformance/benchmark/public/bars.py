"""Bar charts as SVG, drawn by hand: groups of horizontal bars along one axis."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

WIDTH, LEFT, RIGHT = 920, 330, 90
BAR, GAP, HEAD, FOOT = 13, 9, 66, 34
INK, FAINT, GRID, PAPER = "#1b1f24", "#57606a", "#d8dee4", "#ffffff"
FONT = "font-family='system-ui,-apple-system,Segoe UI,Helvetica,Arial,sans-serif'"


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart. `series` has a colour for each name, `groups` the values of each line by name.

    `log`: equal distances are equal quotients. `line` is drawn across, with its meaning below it.
    A value of None is told as `missing`;
    `remarks` follow the figure of a group and a name.
    """

    title: str
    subtitle: str
    series: Mapping[str, str]
    groups: Sequence[tuple[str, Mapping[str, float | None]]]
    unit: str = ""
    log: bool = False
    line: tuple[float, str] | None = None
    missing: str = "none"
    remarks: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def height(self) -> int:
        """In pixels."""
        bars = sum(len(values) for _, values in self.groups)
        return HEAD + bars * BAR + len(self.groups) * GAP + FOOT

    @property
    def bounds(self) -> tuple[float, float]:
        """The ends of the axis."""
        values = [each for _, group in self.groups for each in group.values() if each]
        values += [self.line[0]] if self.line else []
        if not values:
            return (0.1, 1.0) if self.log else (0.0, 1.0)
        if not self.log:
            return 0.0, max(values)
        least = min(values) / 1.5
        if self.line is None:  # bars begin at the left end: at a whole step of the grid
            least = 10.0 ** math.floor(math.log10(least))
        return least, max(values) * 1.05


def figure(value: float) -> str:
    """Two digits that count, or all of a large number."""
    if value >= 10:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def ticks(chart: Chart) -> list[float]:
    """Values at which the grid has lines."""
    least, most = chart.bounds
    if chart.log:
        powers = range(math.ceil(math.log10(least)), math.floor(math.log10(most) + 1e-9) + 1)
        return [10.0**power for power in powers]
    step = 10.0 ** math.floor(math.log10(most))
    step *= next(part for part in (0.1, 0.2, 0.5, 1) if most / (step * part) <= 10)
    return [step * number for number in range(math.floor(most / step + 1e-9) + 1)]


def place(chart: Chart, value: float) -> float:
    """Where a value lies on the axis, in pixels from the left."""
    least, most = chart.bounds
    room = WIDTH - LEFT - RIGHT
    if chart.log:
        share = math.log(max(value, least) / least) / math.log(most / least)
    else:
        share = value / most
    return LEFT + room * share


def drawn(charts: Sequence[Chart], title: str) -> str:
    """One picture with all charts, one below the other."""
    height = sum(chart.height for chart in charts) + 8
    lines = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' "
        f"width='{WIDTH}' height='{height}' role='img' aria-label={quoteattr(title)}>",
        f"<title>{escape(title)}</title>",
        f"<rect width='100%' height='100%' fill='{PAPER}'/>",
    ]
    top = 4
    for chart in charts:
        lines += [f"<g transform='translate(0 {top})'>", *_chart(chart), "</g>"]
        top += chart.height
    return "\n".join([*lines, "</svg>"]) + "\n"


def _chart(chart: Chart) -> list[str]:
    lines = [
        _text(14, 20, chart.title, size=15, weight=600),
        _text(14, 38, chart.subtitle, colour=FAINT),
        *_legend(chart),
        *_grid(chart),
    ]
    y = HEAD
    for label, values in chart.groups:
        middle = y + len(values) * BAR / 2 + 4
        lines.append(_text(LEFT - 10, middle, label, anchor="end"))
        for name, value in values.items():
            lines += _bar(chart, name, value, y, chart.remarks.get((label, name), ""))
            y += BAR
        y += GAP
    if chart.line is not None:
        at, said = chart.line
        x = place(chart, at)
        lines.append(_rule(x, HEAD - 6, y, INK, 1.2))
        lines.append(_text(x, y + 24, said, anchor="middle", size=11, colour=INK))
    return lines


def _bar(chart: Chart, name: str, value: float | None, y: float, remark: str) -> list[str]:
    if value is None:
        return [_text(LEFT + 5, y + BAR - 3, chart.missing, size=10, colour=FAINT)]
    origin = place(chart, chart.line[0]) if chart.line and chart.log else LEFT
    end = place(chart, value)
    left, width = min(origin, end), max(abs(end - origin), 1.0)
    said = figure(value) + chart.unit + remark
    return [
        f"<rect x='{left:.1f}' y='{y + 1:.1f}' width='{width:.1f}' height='{BAR - 2}' "
        f"fill='{chart.series[name]}'><title>{escape(name)}: {escape(said)}</title></rect>",
        # A bar to the left of the line has its figure on the other side, where there is room.
        _text(max(origin, end) + 5, y + BAR - 3, said, size=10),
    ]


def _grid(chart: Chart) -> list[str]:
    bottom = chart.height - FOOT
    lines = []
    for value in ticks(chart):
        x = place(chart, value)
        lines.append(_rule(x, HEAD - 6, bottom, GRID, 1))
        said = f"{value:,.0f}" if value >= 1 or not value else f"{value:g}"
        lines.append(
            _text(x, bottom + 12, said + chart.unit, anchor="middle", size=10, colour=FAINT)
        )
    return lines


def _legend(chart: Chart) -> list[str]:
    lines, x = [], LEFT
    for name, colour in chart.series.items():
        lines.append(f"<rect x='{x}' y='45' width='10' height='10' fill='{colour}'/>")
        lines.append(_text(x + 15, 54, name, size=11))
        x += 34 + 7 * len(name)
    return lines


def _rule(x: float, top: float, bottom: float, colour: str, width: float) -> str:
    return (
        f"<line x1='{x:.1f}' y1='{top:.1f}' x2='{x:.1f}' y2='{bottom:.1f}' "
        f"stroke='{colour}' stroke-width='{width}'/>"
    )


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int = 12,
    anchor: str = "start",
    colour: str = INK,
    weight: int = 400,
) -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' font-weight='{weight}' "
        f"text-anchor='{anchor}' fill='{colour}' {FONT}>{escape(text)}</text>"
    )
