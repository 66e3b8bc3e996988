"""Mutations of representations: labels, texts, files, pictures, parts: wrong in a detail."""

import re
from dataclasses import replace
from io import BytesIO
from typing import Any

from PIL import Image, ImageSequence

from conformance.mutation.answers import (
    body,
    changed,
    drop,
    each_attribute,
    is_get,
    is_picture,
    only_if,
    part_headers,
    parts,
    put,
    shuffled,
)
from conformance.mutation.proxy import Answered, Mutation

_TEXT = re.compile(r"json|xml|html|text/plain")


def _in_latin(answered: Answered) -> Answered:
    if not _TEXT.search(answered.header("Content-Type")) or answered.header("Content-Encoding"):
        return answered
    try:
        text = answered.body.decode()
    except UnicodeDecodeError:
        return answered
    return replace(answered, body=text.encode("latin-1", "replace"))


def _one_boundary(answered: Answered) -> Answered:
    kind = answered.header("Content-Type")
    found = re.search(r'boundary="?([^";]+)', kind)
    if found is None:
        return answered
    ours = b"a-boundary-that-is-always-the-same"
    data = answered.body.replace(b"--" + found[1].encode(), b"--" + ours)
    named = answered.having(Content_Type=kind.replace(found[1], ours.decode()))
    return replace(named, body=data)


def _padded(attribute: dict[str, Any]) -> dict[str, Any]:
    values = attribute.get("Value")
    if values is None or attribute.get("vr") in ("SQ", "PN", "AT"):
        return attribute
    padded = [v + " " if isinstance(v, str) and len(v) % 2 else v for v in values]
    return {**attribute, "Value": padded}


def _one_item(attribute: dict[str, Any]) -> dict[str, Any]:
    if attribute.get("vr") != "SQ" or "Value" not in attribute:
        return attribute
    return {**attribute, "Value": attribute["Value"][:1]}


def _brighter(answered: Answered) -> Answered:
    image = Image.open(BytesIO(answered.body))
    if image.mode not in ("L", "RGB"):
        return answered
    target = BytesIO()
    image.point(lambda value: min(255, value + 60)).save(target, image.format)
    return replace(answered, body=target.getvalue())


def _two_pictures(answered: Answered) -> Answered:
    image = Image.open(BytesIO(answered.body))
    pictures = [one.copy() for one in ImageSequence.Iterator(image)][:2]
    if len(pictures) < 2:
        return answered
    target = BytesIO()
    pictures[0].save(target, "GIF", save_all=True, append_images=pictures[1:])
    return replace(answered, body=target.getvalue())


def _swap(was: bytes, now: bytes) -> Any:
    return body(lambda data: data.replace(was, now))


REPRESENTATIONS = (
    Mutation("in ISO 8859-1", "text of every kind, and nothing says so", answer=_in_latin),
    Mutation(
        "no words",
        "refusals are empty",
        answer=only_if(lambda one: one.status >= 400, body(lambda _: b"")),
    ),
    Mutation(
        "Warning 199",
        "for 299",
        answer=only_if(
            lambda one: one.header("Warning") != "",
            lambda one: one.having(Warning=one.header("Warning").replace("299", "199")),
        ),
    ),
    Mutation("one ETag", "for everything", answer=lambda one: one.having(ETag='"one"')),
    Mutation(
        "public",
        "shared caches may keep all",
        answer=lambda one: one.having(Cache_Control="public"),
    ),
    Mutation("no Vary", "the header is missing", answer=lambda one: one.without("Vary")),
    Mutation(
        "refusals without CORS",
        "its headers are missing",
        answer=only_if(
            lambda one: one.status >= 400, lambda one: one.without("Access-Control-Allow-Origin")
        ),
    ),
    Mutation(
        "Warning hidden",
        "from pages of other origins",
        answer=lambda one: one.without("Access-Control-Expose-Headers"),
    ),
    Mutation(
        "HEAD without type",
        "its Content-Type is missing",
        answer=only_if(
            lambda one: one.asked.method == "HEAD", lambda one: one.without("Content-Type")
        ),
    ),
    Mutation(
        "nowhere",
        "Location leads there",
        answer=only_if(
            lambda one: one.header("Location") != "",
            lambda one: one.having(Location="http://127.0.0.1:1/x"),
        ),
    ),
    Mutation("no frames", "in the capabilities", answer=_swap(b'path="frames', b'path="pictures')),
    Mutation(
        "levels mixed",
        "studies have a modality of their own",
        answer=only_if(
            lambda one: "/studies?" in one.asked.target,
            put("00080060", {"vr": "CS", "Value": ["CT"]}),
        ),
    ),
    Mutation("no creators", "of private attributes", answer=drop("00110010")),
    Mutation("one boundary", "for every message", answer=_one_boundary),
    Mutation(
        "lower case headers", "in parts", answer=part_headers(rb"Content-Type:", b"content-type:")
    ),
    Mutation(
        "quoted syntax",
        "in the header of a part",
        answer=part_headers(rb"transfer-syntax=([0-9.]+)", rb'transfer-syntax="\1"'),
    ),
    Mutation("parts shuffled", "another order each time", answer=parts(shuffled)),
    Mutation(
        "206 as 200",
        "what is left out is not told",
        answer=only_if(
            lambda one: one.status == 206 and "multipart" in one.header("Content-Type"),
            lambda one: replace(one, status=200),
        ),
    ),
    Mutation("padded values", "to an even length, in JSON", answer=each_attribute(_padded)),
    Mutation("items cut", "a sequence has one at most", answer=each_attribute(_one_item)),
    Mutation("OFFLINE", "what is ONLINE", answer=changed("00080056", "OFFLINE")),
    Mutation(
        "odd lengths", "values are not padded in files", answer=_swap(b"\x04\0odd ", b"\x03\0odd")
    ),
    Mutation("numbers changed", "in a long list of values", answer=_swap(b"8999.125", b"8999.124")),
    Mutation(
        "NaN is nought",
        "in files",
        answer=_swap(b"FD\x08\0\0\0\0\0\0\0\xf8\x7f", b"FD\x08\0\0\0\0\0\0\0\0\0"),
    ),
    Mutation(
        "labelled RGB",
        "what is YBR_FULL, in files",
        answer=_swap(b"CS\x08\0YBR_FULL", b"CS\x08\0RGB     "),
    ),
    Mutation(
        "no lossy",
        "files do not tell of loss",
        answer=only_if(is_get, _swap(b"CS\x02\x0001\x28\0", b"CS\x02\x0000\x28\0")),
    ),
    Mutation("too bright", "pictures", answer=only_if(is_picture, _brighter)),
    Mutation(
        "animations cut",
        "after two pictures",
        answer=only_if(lambda one: one.header("Content-Type") == "image/gif", _two_pictures),
    ),
    Mutation(
        "no pictures", "words for pictures", answer=only_if(is_picture, body(lambda _: b"words"))
    ),
)
