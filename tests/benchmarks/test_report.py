"""The figures in the documents are those of the benchmarks. No test measures speed."""

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest

import report
from helpers.sandbox import ROOT

README = (ROOT / "README.md").read_text()


def test_tables_are_those_of_the_results() -> None:
    assert report.README.read_text().split(report.MARK)[1].strip() == report.tables().strip()


def test_readme_has_the_measured_figures() -> None:
    """Its first table is that of `make bench-accuracy`: one machine, one protocol."""
    measured = json.loads((ROOT / "benchmarks/accuracy.json").read_bytes())
    for name, row in measured["rows"].items():
        accuracy = f"{row['mean_accuracy']:.2%}".replace("%", f" % ± {100 * row['standard_deviation']:.2f}")
        seconds = f"{row['median_seconds']:.{1 if row['median_seconds'] < 10 else 0}f}"
        assert re.search(rf"`{name}`[^|]*\| {accuracy} \| {seconds} s \|\n", README)
    assert measured["cpu"] in README


def test_ratios_are_taken_within_a_round() -> None:
    values = defaultdict[str, list[float]](lambda: [1.0, 1.0, 1.0])
    values |= {"keras_fit fit": [8.0, 30.0, 18.0], "digits_fit fit": [1.0, 3.0, 2.0]}
    found = report.results(values, report.RATIOS)
    assert found["ratios"]["fit: model.fit / Digits"] == {"median": 9, "min": 8, "max": 10, "values": [8, 10, 9]}
    assert found["measured"]["keras_fit fit"]["median"] == 18


def test_tables_go_between_the_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "README", tmp_path / "README.md")
    report.README.write_text(f"before\n{report.MARK}old\n{report.MARK}after\n")
    for content in ("first", "second"):
        monkeypatch.setattr(report, "tables", lambda content=content: content)
        report.update_readme()
    assert report.README.read_text() == f"before\n{report.MARK}\nsecond\n{report.MARK}after\n"
