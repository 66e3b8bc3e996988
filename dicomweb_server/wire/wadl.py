"""Capabilities: the service described in WADL, as XML and as JSON (PS3.18 8.9, Annexes G and H)."""

from typing import Any
from xml.sax.saxutils import quoteattr

import orjson

from dicomweb_server.wire.surface import Operation, Parameter, surface

WADL = "application/vnd.sun.wadl+xml"
JSON = "application/json"
_NAMESPACE = "http://wadl.dev.java.net/2009/02"

# Elements that may be repeated: arrays in JSON, where the others are objects (Annex G).
_REPEATED = frozenset({"resource", "method", "param", "option", "response", "representation"})

# An element: its name, its attributes, its children. `doc` has a text.
_Element = tuple[str, dict[str, str], list[Any]]


def capabilities(base: str, media_type: str, *, deleting: bool) -> bytes:
    """The description of the service at `base`, in `media_type`: WADL or JSON. `deleting`: whether
    that is allowed."""
    root = _application(base, deleting=deleting)
    if media_type == JSON:
        return orjson.dumps({root[0]: _object(root)})
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + "".join(_lines(root, "")).encode()


def _application(base: str, *, deleting: bool) -> _Element:
    resources: _Element = ("resources", {"base": base}, [])
    found: dict[str, _Element] = {"": resources}
    for path, operations in sorted(surface(deleting=deleting).items()):
        element = _place(path, found)
        element[2].extend(_method(operation) for operation in operations)
    return ("application", {"xmlns": _NAMESPACE}, [resources])


def _place(path: str, found: dict[str, _Element]) -> _Element:
    """The resource element of a path, within those of the paths above it."""
    if path not in found:
        above, _, segment = path.rpartition("/")
        element: _Element = ("resource", {"path": segment}, [])
        if segment.startswith("{"):
            element[2].append(_template(segment[1:-1]))
        _place(above, found)[2].append(element)
        found[path] = element
    return found[path]


def _template(name: str) -> _Element:
    return ("param", {"name": name, "style": "template", "type": "xs:string"}, [])


def _method(operation: Operation) -> _Element:
    request: list[_Element] = []
    if operation.produces:
        request.append(_accept(operation))
    request += [_parameter(parameter) for parameter in operation.parameters]
    request += [("representation", {"mediaType": kind}, []) for kind in operation.consumes]
    responses: list[_Element] = []
    for status in operation.statuses:
        kinds = operation.produces if status in (200, 202, 206) else ()
        bodies: list[Any] = [("representation", {"mediaType": kind}, []) for kind in kinds]
        responses.append(("response", {"status": str(status)}, bodies))
    attributes = {"name": operation.method, "id": operation.name}
    return ("method", attributes, [("request", {}, request), *responses])


def _accept(operation: Operation) -> _Element:
    attributes = {"name": "Accept", "style": "header", "default": operation.produces[0]}
    return ("param", attributes, [("option", {"value": kind}, []) for kind in operation.produces])


def _parameter(parameter: Parameter) -> _Element:
    attributes = {"name": parameter.name, "style": parameter.style, "type": f"xs:{parameter.kind}"}
    if parameter.repeating:
        attributes["repeating"] = "true"
    return ("param", attributes, [("option", {"value": o}, []) for o in parameter.options])


def _lines(element: _Element, indent: str) -> list[str]:
    name, attributes, children = element
    told = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    if not children:
        return [f"{indent}<{name}{told}/>\n"]
    lines = [f"{indent}<{name}{told}>\n"]
    for child in children:
        lines += _lines(child, indent + " ")
    return [*lines, f"{indent}</{name}>\n"]


def _object(element: _Element) -> dict[str, Any]:
    _, attributes, children = element
    found: dict[str, Any] = {f"@{key}": value for key, value in attributes.items()}
    for child in children:
        if child[0] in _REPEATED:
            found.setdefault(child[0], []).append(_object(child))
        else:
            found[child[0]] = _object(child)
    return found
