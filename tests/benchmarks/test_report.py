"""The figures in the documents are those of the benchmarks. No test measures speed."""

import csv
import json
import statistics
from collections import defaultdict
from pathlib import Path

import pytest

import report
from helpers.sandbox import ROOT

README = (ROOT / "README.md").read_text()


def test_tables_are_those_of_the_results() -> None:
    assert report.README.read_text().split(report.MARK)[1].strip() == report.tables().strip()


def percent(mean: float, deviation: float) -> str:
    return f"{100 * mean:.2f} % ± {100 * deviation:.2f}"


def test_readme_has_the_measured_figures() -> None:
    """Of the recipes from the leaderboard, of `model.fit` from the same number of images and seeds."""
    with (ROOT / "reports/leaderboard.csv").open() as file:
        rows = {row["recipe"]: row for row in csv.DictReader(file)}
    for recipe in ("tutorial", "mlp", "cnn_fast", "cnn"):
        accuracy = percent(float(rows[recipe]["test_accuracy"]), float(rows[recipe]["test_accuracy_std"]))
        seconds = float(rows[recipe]["training_seconds"])
        (line,) = [line for line in README.splitlines() if line.startswith(f"| `{recipe}`: ")]
        time = f"{seconds:.1f}" if seconds < 10 else f"{seconds:.0f}"
        assert line.endswith(f"| {accuracy} | {time} s |")
    results = json.loads(report.RESULTS.read_bytes())
    values = results["measured"]["keras_fit accuracy"]["values"]
    ratio = results["ratios"]["fit: model.fit / Digits"]["median"]
    accuracy = percent(statistics.mean(values), statistics.stdev(values))
    assert f"| the tutorial's `model.fit` | {accuracy} | {ratio:.0f} times as long as `tutorial` |" in README


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
