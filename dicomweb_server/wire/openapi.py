"""The whole surface as OpenAPI 3.1 describes it: for tools that read nothing of DICOM."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from dicomweb_server import __version__
from dicomweb_server.wire.offers import DICOM_JSON
from dicomweb_server.wire.surface import PROBLEM, Operation, Parameter, surface

OPENAPI = "application/json"

_UID = {"type": "string", "pattern": r"^[0-9.]{1,64}$"}
_PATHS: dict[str, dict[str, Any]] = {
    "study": _UID,
    "series": _UID,
    "instance": _UID,
    "frames": {"type": "string", "pattern": r"^[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})*$"},
    "path": {"type": "string", "pattern": r"^[0-9A-F]{8}(/[1-9][0-9]{0,8}/[0-9A-F]{8})*$"},
}
_ATTRIBUTE = {
    "type": "object",
    "required": ["vr"],
    "properties": {
        "vr": {"type": "string", "pattern": "^[A-Z]{2}$"},
        "Value": {"type": "array", "minItems": 1},
        "BulkDataURI": {"type": "string"},
        "InlineBinary": {"type": "string"},
    },
    "additionalProperties": False,
}
_SCHEMAS: dict[str, Any] = {
    "Attribute": _ATTRIBUTE,
    "DataSet": {
        "type": "object",
        "description": "The DICOM JSON Model of a data set (PS3.18 Annex F)",
        "patternProperties": {"^[0-9A-F]{8}$": {"$ref": "#/components/schemas/Attribute"}},
        "additionalProperties": False,
    },
    "DataSets": {"type": "array", "items": {"$ref": "#/components/schemas/DataSet"}},
    "Problem": {
        "type": "object",
        "description": "What was wrong (RFC 9457)",
        "required": ["title", "status"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
        },
    },
}


def openapi(origin: str, *, deleting: bool) -> dict[str, Any]:
    """The description of the server at `origin`: its URL without the path of the service.
    `deleting`: whether that is allowed."""
    offered = surface(deleting=deleting)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "dicomweb-server",
            "version": __version__,
            "description": "DICOMweb (PS3.18): search, retrieve, store",
        },
        "servers": [{"url": origin or "/"}],
        "paths": {f"/dicomweb{path}": _path(path, ones) for path, ones in offered.items()},
        "components": {"schemas": _SCHEMAS},
    }


def _path(path: str, operations: Iterable[Operation]) -> dict[str, Any]:
    found: dict[str, Any] = {
        operation.method.lower(): _operation(operation) for operation in operations
    }
    names = re.findall(r"\{(\w+)\}", path)
    if names:
        found["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": _PATHS[name]} for name in names
        ]
    return found


def _operation(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": [_parameter(parameter) for parameter in operation.parameters],
        "responses": {str(code): _response(operation, code) for code in operation.statuses},
    }
    if operation.consumes:
        found["requestBody"] = {
            "required": True,
            "content": {kind: {} for kind in _plain(operation.consumes)},
        }
    return found


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": parameter.kind}
    for name in ("pattern", "minimum", "maximum"):
        value = getattr(parameter, name)
        if value not in (None, ""):
            schema[name] = value
    if parameter.options:
        schema["enum"] = list(parameter.options)
    if parameter.repeating:
        schema = {"type": "array", "items": schema}
    return {
        "name": parameter.name,
        "in": parameter.style,
        "description": parameter.summary,
        "schema": schema,
    }


def _response(operation: Operation, code: int) -> dict[str, Any]:
    found: dict[str, Any] = {"description": HTTPStatus(code).phrase}
    if code in (200, 202, 206):
        found["content"] = {kind: _body(operation, kind) for kind in _plain(operation.produces)}
    elif code == 409 and operation.method == "POST":
        found["content"] = {kind: {} for kind in _plain(operation.produces)}
    elif code >= 400:
        schema = {"$ref": "#/components/schemas/Problem"}
        found["content"] = {PROBLEM: {"schema": schema}}
    return found


def _body(operation: Operation, kind: str) -> dict[str, Any]:
    if kind != DICOM_JSON:
        return {}
    name = "DataSet" if operation.method == "POST" else "DataSets"
    return {"schema": {"$ref": f"#/components/schemas/{name}"}}


def _plain(kinds: tuple[str, ...]) -> list[str]:
    """Media types without parameters, as OpenAPI names them; each once."""
    return list(dict.fromkeys(kind.partition(";")[0] for kind in kinds))
