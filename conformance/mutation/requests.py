"""Mutations of requests: what a server does that does not read, or misreads, what it is asked."""

import re
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote, unquote

from conformance.mutation.proxy import Asked, Mutation

_PAGING = ("limit", "offset", "includefield", "orderby", "accept")


def _query(change: Callable[[str, str], tuple[str, str] | None]) -> Callable[[Asked], Asked]:
    """What becomes of each parameter; None leaves it out. `change` is given its plain value."""

    def ask(asked: Asked) -> Asked:
        path, _, text = asked.target.partition("?")
        pairs = [pair.partition("=") for pair in text.split("&") if pair]
        kept = [change(name, unquote(value)) for name, _, value in pairs]
        query = "&".join(f"{p[0]}={quote(p[1], safe='')}" for p in kept if p)
        return replace(asked, target=path + (f"?{query}" if query else ""))

    return ask


def _without(*names: str) -> Callable[[Asked], Asked]:
    return _query(lambda name, value: None if name in names else (name, value))


def _without_keys(asked: Asked) -> Asked:
    if asked.method != "GET":
        return asked
    return _query(lambda name, value: (name, value) if name in _PAGING else None)(asked)


def _values(change: Callable[[str, str], str]) -> Callable[[Asked], Asked]:
    return _query(lambda name, value: (name, change(name, value)))


def _header(name: str, value: str | None) -> Callable[[Asked], Asked]:
    def ask(asked: Asked) -> Asked:
        had = any(key.lower() == name.lower() for key, _ in asked.headers)
        bare = asked.without(name)
        if value is None or not had:
            return bare
        return replace(bare, headers=[*bare.headers, (name, value)])

    return ask


def _path(pattern: str, repl: str) -> Callable[[Asked], Asked]:
    def ask(asked: Asked) -> Asked:
        path, mark, query = asked.target.partition("?")
        return replace(asked, target=re.sub(pattern, repl, path) + mark + query)

    return ask


def _no_accept_but_for_stores(asked: Asked) -> Asked:
    return asked if asked.method == "POST" else _header("Accept", "*/*")(asked)


def _as_xml(asked: Asked) -> Asked:
    xml = 'multipart/related; type="application/dicom+xml"'
    return _header("Accept", xml)(asked) if asked.method == "GET" else asked


def _stored_apart(asked: Asked) -> Asked:
    """Stores nothing but the first part of a body."""
    found = re.search(
        rb"boundary=\"?([^\";]+)", dict(asked.headers).get("Content-Type", "").encode()
    )
    if asked.method != "POST" or found is None:
        return asked
    delimiter = b"\r\n--" + found[1]
    pieces = asked.body.split(delimiter)
    if len(pieces) < 3:
        return asked
    return replace(asked, body=delimiter.join([pieces[0], b"--\r\n"]))


def _another_study(asked: Asked) -> Asked:
    if asked.method != "POST":
        return asked
    return replace(asked, target=re.sub(r"/studies/[0-9.]+$", "/studies", asked.target))


def _narrower(name: str, value: str) -> str:
    """A range as its first end."""
    return value.split("-")[0] if name in ("StudyDate", "StudyTime") else value


def _shifted(asked: Asked) -> Asked:
    return _values(lambda name, value: _less(value) if name == "offset" else value)(asked)


def _less(value: str) -> str:
    return str(int(value) - 1) if value.isdecimal() and value != "0" else value


def _refused(*names: str) -> Callable[[Asked], Asked]:
    """Asks for what is not there where one of these parameters is among the query."""

    def ask(asked: Asked) -> Asked:
        query = asked.target.partition("?")[2]
        named = any(re.search(rf"(^|&){re.escape(name)}=", query) for name in names)
        return replace(asked, target="/nowhere") if named else asked

    return ask


def _no_wildcards(asked: Asked) -> Asked:
    headers = [
        (key, re.sub(r"(image|text)/\*", r"\1/x-none", value) if key.lower() == "accept" else value)
        for key, value in asked.headers
    ]
    return replace(asked, headers=headers)


def _no_exponent(name: str, value: str) -> str:
    return re.sub(r"[eE][0-9]+", "", value) if name == "window" else value


def _no_region(name: str, value: str) -> str:
    return ",".join(value.split(",")[:2]) if name == "viewport" else value


REQUESTS = (
    Mutation("accept= ignored", "the query parameter has no effect", ask=_without("accept")),
    Mutation("image/* unread", "wildcards of a type are types", ask=_no_wildcards),
    Mutation(
        "strange parameters", "are refused", ask=_refused("x-suite", "_", "SpecificCharacterSet")
    ),
    Mutation("charset refused", "the query parameter", ask=_refused("charset")),
    Mutation("exponents unread", "of decimals in window", ask=_values(_no_exponent)),
    Mutation("regions ignored", "of a viewport only its size is seen", ask=_values(_no_region)),
    Mutation(
        "plus is a space",
        "also where it is encoded",
        ask=_values(lambda name, value: value.replace("+", " ") if "Number" in name else value),
    ),
    Mutation("zones ignored", "of queries", ask=_without("TimezoneOffsetFromUTC")),
    Mutation(
        "codings ignored", "bodies are taken as they are", ask=_header("Content-Encoding", None)
    ),
    Mutation("keys ignored", "match keys have no effect", ask=_without_keys),
    Mutation(
        "wildcards literal",
        "* and ? stand for themselves",
        ask=_values(lambda name, value: value.replace("*", "").replace("?", "")),
    ),
    Mutation("ranges cut", "of a range only its first end is seen", ask=_values(_narrower)),
    Mutation(
        "upper case",
        "values are matched in upper case",
        ask=_values(lambda name, value: value.upper()),
    ),
    Mutation(
        "lists cut",
        "of a list only the first value is seen",
        ask=_values(lambda name, value: value.split(",")[0]),
    ),
    Mutation(
        "backslashes split",
        "of several values only the first is matched",
        ask=_values(lambda name, value: value.split("\\")[0]),
    ),
    Mutation("fuzzy ignored", "fuzzymatching has no effect", ask=_without("fuzzymatching")),
    Mutation(
        "empty ignored", "emptyvaluematching has no effect", ask=_without("emptyvaluematching")
    ),
    Mutation("times ignored", "StudyTime is no key", ask=_without("StudyTime")),
    Mutation("limit ignored", "pages have no end", ask=_without("limit")),
    Mutation("offset ignored", "every page is the first", ask=_without("offset")),
    Mutation("pages overlap", "offsets are one too small", ask=_shifted),
    Mutation("includefield ignored", "nothing more is returned", ask=_without("includefield")),
    Mutation("Accept ignored", "everybody gets the default", ask=_no_accept_but_for_stores),
    Mutation("Accept ignored throughout", "also of stores", ask=_header("Accept", "*/*")),
    Mutation("always XML", "whatever is accepted", ask=_as_xml),
    Mutation("conditions ignored", "nobody gets 304", ask=_header("If-None-Match", None)),
    Mutation("first frame", "every frame is the first", ask=_path(r"/frames/[^/]+", "/frames/1")),
    Mutation("no such frame", "every frame is the last", ask=_path(r"/frames/1\b", "/frames/2")),
    Mutation("window ignored", "the parameter has no effect", ask=_without("window")),
    Mutation("viewport ignored", "the parameter has no effect", ask=_without("viewport")),
    Mutation("quality ignored", "the parameter has no effect", ask=_without("quality")),
    Mutation("annotation ignored", "the parameter has no effect", ask=_without("annotation")),
    Mutation(
        "profiles unread",
        "an iccprofile that is none counts as yes",
        ask=_values(lambda name, value: "yes" if value == "cmyk" else value),
    ),
    Mutation("one part stored", "of what is sent only the first part", ask=_stored_apart),
    Mutation("study ignored", "stores go to any study", ask=_another_study),
    Mutation(
        "series for study",
        "a study is what its series are",
        ask=_path(r"/studies/[0-9.]+/series/", "/studies/2.25.1/series/"),
    ),
)
