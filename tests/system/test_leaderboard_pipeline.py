"""`make leaderboard`, with the real pipeline and few images."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

import leaderboard.__main__ as command
from helpers.factories import write_yaml
from helpers.mlflow_runs import copy_database, forget_store, runs
from helpers.sandbox import PARAMS, make_sandbox
from leaderboard import reports, robustness, tables


@pytest.mark.slow
@pytest.mark.xdist_group("leaderboard")
def test_leaderboard_of_the_real_pipeline(
    empty_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    """One recipe with two seeds, of a name that has no learning curve."""
    request.addfinalizer(forget_store)
    few = {"normalize.train_size": 900, "normalize.validation_size": 200, "recipes.tutorial.epochs": 1}
    sandbox = make_sandbox(tmp_path / "digits", PARAMS | few, small=True)
    copy_database(empty_store, sandbox.root)
    content = YAML(typ="safe").load(sandbox.root / "params.yaml")
    content["train"]["recipe"] = "small"
    content["recipes"] = {"small": content["recipes"]["tutorial"]}
    write_yaml(sandbox.root / "params.yaml", content)
    sandbox.run("git", "commit", "-qam", "Have one recipe")
    sandbox.stage("fetch")
    shutil.rmtree(sandbox.root / reports.FOLDER)
    (sandbox.root / reports.TABLE).unlink()
    sandbox = sandbox.having(PYTHONPATH=f"{sandbox.root}/src:{sandbox.root}/benchmarks")

    output = sandbox.run("python", "-m", "leaderboard", "2")
    table = pd.read_csv(sandbox.root / reports.TABLE, dtype={"commit": str})
    assert tables.markdown(table) in output
    (row,) = table.to_dict("records")
    assert row["recipe"] == "small"
    assert row["commit"] == sandbox.run("git", "rev-parse", "HEAD")[:7]
    assert row["corruption_error"] > 1 - row["test_accuracy"]
    assert [robustness.METRIC in run.data.metrics for run in runs(sandbox.root)] == [True] * 2

    page = (sandbox.root / reports.FOLDER / "README.md").read_text()
    assert re.findall(r"!\[[^]]+\]\(([^)]+)\)", page) == [
        f"{name}.png" for name in reports.FIGURES if name != "augmentation"
    ]
    written = [sandbox.root / reports.TABLE, *(sandbox.root / reports.FOLDER).iterdir()]
    before = {path: path.read_bytes() for path in written}
    monkeypatch.chdir(sandbox.root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{sandbox.root}/mlflow.db")
    command.main(seeds=2)
    assert tables.markdown(table) in capsys.readouterr().out
    assert {path: path.read_bytes() for path in before} == before
    assert len(runs(sandbox.root)) == 2
