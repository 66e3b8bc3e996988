"""What /openapi.json says is what the server does: schemathesis asks whatever the description
allows, and more (PS3.18 8.9 says the same in WADL)."""

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)

from dicomweb_server.wire.openapi import openapi
from tests.make import study_of
from tests.web.asking import post

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
SCHEMA = schemathesis.openapi.from_dict(openapi("", deleting=True))
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]
# DELETE of a real resource would take it from the others.
READING = [one for one in OPERATIONS if one.method.upper() == "GET" and "{" in one.path]
QUICK = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))


def origin_of(http: httpx.Client) -> str:
    return str(http.base_url.copy_with(path="/")).rstrip("/")


def test_the_description_is_the_one_that_is_served(http: httpx.Client) -> None:
    served = httpx.get(f"{origin_of(http)}/openapi.json").json()
    assert served == openapi(origin_of(http), deleting=True)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.label)
def test_any_request_that_the_description_allows(http: httpx.Client, operation: Any) -> None:
    @QUICK
    @given(case=operation.as_strategy())
    def asked(case: schemathesis.Case) -> None:
        case.call_and_validate(base_url=origin_of(http), checks=CHECKS, timeout=30)

    asked()


@pytest.fixture(scope="module")
def stored(http: httpx.Client) -> dict[str, str]:
    [instance] = study_of(1, 1, seed=7007, rows=16, columns=16)
    assert post(http, [instance.file()]).status_code == 200
    return {
        "study": instance.study_uid,
        "series": instance.series_uid,
        "instance": instance.sop_uid,
        "frames": "1",
        "path": "7FE00010",
    }


@pytest.mark.parametrize("operation", READING, ids=lambda one: one.label)
def test_any_request_for_what_is_stored(
    http: httpx.Client, stored: dict[str, str], operation: Any
) -> None:
    @QUICK
    @given(case=operation.as_strategy(), accept=st.sampled_from(["*/*", "image/png", "text/x"]))
    def asked(case: schemathesis.Case, accept: str) -> None:
        case.path_parameters = {name: stored[name] for name in case.path_parameters or {}}
        case.headers["Accept"] = accept
        case.call_and_validate(base_url=origin_of(http), checks=CHECKS, timeout=30)

    asked()
