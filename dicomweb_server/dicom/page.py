"""Pages that show a document: one style, no script, every value escaped.

The style stands in the page, so that the page is whole wherever it is kept; whoever serves it
allows this style by its hash, and nothing else.
"""

import re
from html import escape

# What HTML or XML has no place for, even escaped.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")

STYLE = """
:root{color-scheme:light dark;--ink:#1a1f24;--dim:#59636e;--paper:#fff;--line:#d8dee4;
--soft:#f4f6f8;--link:#0b57a4;--good:#11693a;--warn:#8a4600}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--dim:#9aa5b1;--paper:#14181d;--line:#333b45;
--soft:#1d232a;--link:#7ab8ff;--good:#6fd39b;--warn:#f0b26b}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:62rem;margin:0 auto;padding:1.5rem 1rem 4rem;overflow-wrap:anywhere}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .5rem}
h2,h3,h4,h5,h6{line-height:1.3;margin:1.4rem 0 .4rem}
h2{font-size:1.3rem;border-bottom:1px solid var(--line);padding-bottom:.2rem}
h3{font-size:1.12rem}h4,h5,h6{font-size:1rem}
a{color:var(--link)}
.groups{display:grid;grid-template-columns:repeat(auto-fit,minmax(17rem,1fr));gap:.2rem 2rem;
background:var(--soft);border:1px solid var(--line);border-radius:.5rem;padding:.2rem 1rem 1rem}
.groups h2{font-size:.8rem;text-transform:uppercase;letter-spacing:.06em;color:var(--dim);border:0;
margin:.8rem 0 .2rem;padding:0}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem .8rem;margin:0}
dt{color:var(--dim)}dd{margin:0}
.state{margin:0 0 1rem}
.state span{display:inline-block;border:1px solid currentColor;border-radius:1rem;padding:0 .7rem;
margin-right:.4rem;font-size:.85rem}
.good{color:var(--good)}.warn{color:var(--warn)}
section section section{border-left:3px solid var(--line);padding-left:1rem}
ul{margin:.3rem 0;padding-left:1.2rem}
ul.top{list-style:none;padding-left:0}
li{margin:.15rem 0}
.name{font-weight:600}.name::after{content:":"}
.rel,.note{color:var(--dim);font-size:.85em}
.rel{border:1px solid var(--line);border-radius:.3rem;padding:0 .35em;white-space:nowrap}
.text{white-space:pre-wrap}
table{border-collapse:collapse;margin:.5rem 0;width:100%}
th,td{border:1px solid var(--line);padding:.25rem .6rem;text-align:left;vertical-align:top}
th{background:var(--soft);font-weight:600}
td.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td ul{margin:0}
.images{display:flex;flex-wrap:wrap;gap:.8rem;list-style:none;padding:0}
.images li{width:10rem;margin:0;font-size:.85rem}
.images img{display:block;width:10rem;height:10rem;object-fit:contain;background:#000;
border-radius:.3rem}
:target{outline:2px solid var(--link);outline-offset:.2rem}
@media(max-width:34rem){dl{grid-template-columns:1fr}dt{margin-top:.3rem}}
@media print{:root{--ink:#000;--dim:#444;--paper:#fff;--line:#bbb;--soft:#fff;--link:#000;
--good:#000;--warn:#000}body{font-size:10.5pt}main{padding:0;max-width:none}
tr,li,.images li{break-inside:avoid}h2,h3,h4{break-after:avoid}}
"""


def text(value: str) -> str:
    """A value as it stands in a page, also within a quoted attribute."""
    return escape(_CONTROLS.sub("�", value), quote=True)


_DOCTYPE = '<!doctype html>\n<html lang="en">'
_XHTML = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<html xmlns="http://www.w3.org/1999/xhtml" lang="en" xml:lang="en">'
)


def page(title: str, body: str) -> str:
    """A whole page; `body` is markup already, in which every element is closed, as XML has it."""
    return (
        f'{_DOCTYPE}<head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>{text(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def as_xml(page: str) -> str:
    """The same page as XHTML, for who wants text/xml (PS3.18 Table 8.7.4-1)."""
    return _XHTML + page.removeprefix(_DOCTYPE)


def heading(level: int, markup: str) -> str:
    """A heading of a level, at most the sixth that HTML has."""
    level = min(level, 6)
    return f"<h{level}>{markup}</h{level}>"


def header(
    title: str, states: list[tuple[str, bool]], groups: list[tuple[str, list[tuple[str, str]]]]
) -> str:
    """What stands above a document: its title, what it is (and whether that is good), and groups
    of names and values."""
    badges = "".join(
        f'<span class="{"good" if good else "warn"}">{text(word)}</span>' for word, good in states
    )
    blocks = "".join(
        f"<section>{heading(2, text(name))}<dl>{''.join(map(_row, rows))}</dl></section>"
        for name, rows in groups
    )
    state = f'<p class="state">{badges}</p>' if badges else ""
    grid = f'<div class="groups">{blocks}</div>' if blocks else ""
    return f"<header><h1>{text(title)}</h1>{state}{grid}</header>"


def _row(row: tuple[str, str]) -> str:
    name, value = row
    return f"<dt>{text(name)}</dt><dd>{text(value)}</dd>"
