"""The list of hostile inputs has a test for each of its items, and none that is not there."""

import ast
import importlib
from functools import cache
from pathlib import Path

import pytest

from tests.hostile.items import ITEMS, NOT_YET

TESTS = Path(__file__).parents[1]
LAST = 71
PARTLY = {60}  # what it says of pages is tested, what it says of cookies has no login yet


def test_every_item_is_tested_or_has_its_reason() -> None:
    assert set(ITEMS) | set(NOT_YET) == set(range(1, LAST + 1))
    assert not set(ITEMS) & set(NOT_YET)
    assert set(ITEMS) >= PARTLY
    assert all(NOT_YET.values())


@pytest.mark.parametrize("number", ITEMS)
def test_the_tests_of_an_item_are_there(number: int) -> None:
    assert ITEMS[number].tests
    for case, test in ITEMS[number].tests.items():
        file, _, name = test.partition("::")
        table, _, key = name.removesuffix("]").partition("[")
        if not key:
            assert name in functions(file), f"{case}: there is no {test}"
            continue
        module = importlib.import_module(f"tests.{file.removesuffix('.py').replace('/', '.')}")
        assert key in getattr(module, table), f"{case}: there is no {test}"
        assert is_used(file, table), f"{case}: no test is made of {table}"


@cache
def tree(file: str) -> ast.Module:
    return ast.parse((TESTS / file).read_text(encoding="utf-8"))


def functions(file: str) -> set[str]:
    """The tests of a file, those with a decorator that skips them left out."""
    return {
        node.name
        for node in ast.walk(tree(file))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not any("skip" in ast.unparse(each) for each in node.decorator_list)
    }


def is_used(file: str, table: str) -> bool:
    """Whether tests name a table: in their decorators, or in what they do."""
    return any(
        isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and table in {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        for node in tree(file).body
    )
