"""The tests that the table in README.md names exist."""

import re
from pathlib import Path

import pytest

TABLE = Path(__file__).with_name("README.md").read_text()
NAMES = re.findall(r"`([\w/]+\.py)::(\w+)`", TABLE)


def test_table_has_a_row_for_each_fault() -> None:
    rows = [line for line in TABLE.splitlines() if line.startswith("| ")][2:]
    assert len(rows) == 25
    assert all(re.search(r"\.py::test_", row) for row in rows)


@pytest.mark.parametrize(("file", "name"), NAMES)
def test_named_test_exists(file: str, name: str) -> None:
    assert f"def {name}(" in Path(__file__).parents[1].joinpath(file).read_text()
