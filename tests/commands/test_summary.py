"""The table at the end of a sweep."""

from collections.abc import Mapping

import pytest
from mlflow.entities import Metric, Run, RunData, RunInfo

from digits.commands.sweep.driver import Result
from digits.commands.sweep.grid import Configuration
from digits.commands.sweep.summary import summarize


def result(accuracy: float | None, error: str = "", **overrides: str) -> Result:
    values: Mapping[str, float] = {"test_accuracy": 1.0 - (accuracy or 0), "training_seconds": 2.0}
    values = values if accuracy is None else {**values, "val_accuracy": accuracy}
    metrics = [Metric(name, value, 0, 0) for name, value in values.items()]
    info = RunInfo("id", "0", "user", "FINISHED", 0, 0, "active")
    return Result(Configuration(overrides, {}), None if error else Run(info, RunData(metrics=metrics)), error=error)


def test_rows_are_configurations_best_first_over_their_seeds() -> None:
    results = [
        result(0.90, lr="1", **{"train.seed": "0"}),
        result(0.96, lr="2", **{"train.seed": "0"}),
        result(0.92, lr="1", **{"train.seed": "1"}),
        result(0.98, lr="2", **{"train.seed": "1"}),
        result(None, "diverged", lr="3", **{"train.seed": "0"}),
        result(0.10, lr="3", **{"train.seed": "1"}),
    ]
    table = summarize(results)[1]
    assert list(table["lr"]) == ["2", "1", "3"]
    assert list(table["accuracy"]) == pytest.approx([0.97, 0.91, 0.10])
    assert table["deviation"][0] == pytest.approx(0.02 / 2**0.5)  # of two values: their difference / sqrt(2)
    assert list(table["runs"]) == [2, 2, 1]
    assert list(table["failed"]) == [0, 0, 1]
    assert list(table["seconds"]) == [2.0, 2.0, 2.0]
    assert "train.seed" not in table


def test_params_with_one_value_are_no_columns() -> None:
    _, table = summarize([result(0.9, lr="1", epochs="2"), result(0.8, lr="2", epochs="2")])
    assert "epochs" not in table


def test_one_configuration_over_seeds_is_one_row() -> None:
    _, table = summarize([result(0.9, **{"train.seed": "0"}), result(0.8, **{"train.seed": "1"})])
    assert list(table["runs"]) == [2]
    assert list(table["accuracy"]) == pytest.approx([0.85])


def test_configurations_without_accuracy_come_last() -> None:
    _, table = summarize([result(None, "diverged", lr="1"), result(None, lr="2"), result(0.5, lr="3")])
    assert list(table["lr"]) == ["3", "1", "2"]
