"""Budgets: how long a module and a function may get, and which names no room may have."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "runpass"
MODULE_LINES = 400
FUNCTION_LINES = 60
NO_ROOM = {"utils", "common", "helpers", "core", "services", "managers", "base"}
EXEMPT = {
    "server/db/migrations/versions": "Alembic writes one long function for each revision, and it never changes again.",
}

LONGER = {
    "tests/storage/test_audit_chain.py": "One list of tamperings, which loses its sense when it is cut in two.",
}
"""Files that may be longer, and why."""


def modules() -> Iterator[Path]:
    for path in sorted(SOURCE.rglob("*.py")):
        if not any(path.relative_to(SOURCE).as_posix().startswith(folder) for folder in EXEMPT):
            yield path


def test_no_module_is_longer_than_its_budget():
    others = (path for folder in ("tests", "bench") for path in (ROOT / folder).rglob("*.py"))
    found = [*modules(), *others]
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in found}
    assert len(lengths) > 100
    too_long = {name for name, length in lengths.items() if length > MODULE_LINES}
    assert too_long == set(LONGER)


def test_no_function_is_longer_than_its_budget():
    too_long = {}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES:
                    too_long[f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"] = length
    assert too_long == {}


def test_no_room_has_a_name_that_says_nothing():
    rooms = {path.name for path in SOURCE.rglob("*") if path.is_dir()} | {path.stem for path in SOURCE.rglob("*.py")}
    assert not rooms & NO_ROOM


def test_every_room_says_what_it_is():
    for path in SOURCE.rglob("*.py"):
        if "migrations" not in path.parts:
            assert ast.get_docstring(ast.parse(path.read_text())), path


@pytest.mark.parametrize("room", sorted(path.name for path in (SOURCE / "server").iterdir() if path.is_dir()))
def test_the_opening_of_a_room_holds_nothing_but_its_description(room: str):
    opening = SOURCE / "server" / room / "__init__.py"
    if opening.exists():
        assert len(ast.parse(opening.read_text()).body) == 1


def test_every_exemption_is_still_needed_and_says_why():
    for folder, why in EXEMPT.items():
        assert list((SOURCE / folder).glob("*.py"))
        assert len(why) > 40
