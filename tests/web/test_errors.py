"""Every refusal has a status."""

import importlib
import pkgutil

import dicomweb_server
from dicomweb_server.errors import Refusal
from dicomweb_server.web.errors import STATUS, TITLES, status_of


def kinds(base: type[Refusal]) -> set[type[Refusal]]:
    return {base, *(k for child in base.__subclasses__() for k in kinds(child))}


def test_every_refusal_is_in_the_table() -> None:
    for module in pkgutil.walk_packages(dicomweb_server.__path__, "dicomweb_server."):
        if not module.name.endswith(("__main__", ".worker")):
            importlib.import_module(module.name)

    for kind in kinds(Refusal) - {Refusal}:
        status = status_of(kind.__new__(kind))
        assert 400 <= status < 600
        assert status in TITLES


def test_no_status_stands_for_nothing() -> None:
    assert set(STATUS) <= kinds(Refusal)
