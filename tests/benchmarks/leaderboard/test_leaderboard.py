"""The leaderboard: what is run, ranked, measured once and written, and that the documents agree with it."""

import math
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Run, RunData, RunInfo, RunTag
from ruamel.yaml import YAML

from digits import params
from digits.commands.sweep import driver
from digits.commands.sweep.driver import Result
from digits.commands.sweep.grid import Configuration
from digits.common import files
from digits.common.errors import UserError
from digits.common.types import Pixels
from digits.data import download
from digits.model import architectures, keras_file
from digits.tracking import run_content, state
from digits.tracking.log_run import log_run
from helpers.factories import make_results, write_yaml
from helpers.mlflow_runs import copy_database, forget_store, runs
from helpers.sandbox import ROOT
from leaderboard import __main__ as command
from leaderboard import corruptions, figures, reports, robustness, tables, trials
from leaderboard.trials import Trial

pytestmark = pytest.mark.xdist_group("tracking")  # so that MLflow makes a database once

METADATA = {"name": "mnist", "title": "MNIST", "classes": [*"0123456789"]}
CORRUPTED = dict.fromkeys(tables.CORRUPTION_METRICS, 0.25)
SCORES = CORRUPTED | {robustness.METRIC: 0.25, robustness.CALIBRATION_METRIC: 0.125}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with MNIST's description and two recipes, where trials are made."""
    content = YAML(typ="safe").load(ROOT / "params.yaml")
    tutorial = content["recipes"]["tutorial"]
    content["recipes"] = {"tutorial": tutorial, "small": tutorial | {"hidden": [16]}}
    content["normalize"]["train_size"] = 6000
    write_yaml(tmp_path / "params.yaml", content)
    files.write_json(tmp_path / "data/raw" / download.METADATA, METADATA)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def set_params(tree: Path, section: str, **values: object) -> None:
    content = YAML(typ="safe").load(tree / "params.yaml")
    content[section] |= values
    write_yaml(tree / "params.yaml", content)


def made_up_run(commit: str = "0123456789", **metrics: float) -> Run:
    """A run that no store has."""
    data = RunData(
        metrics=[Metric(name, value, 0, 0) for name, value in metrics.items()],
        tags=[RunTag("mlflow.source.git.commit", commit)],
    )
    return Run(RunInfo("id", "0", "user", "FINISHED", 0, 0, "active"), data)


def trial(recipe: str, seed: int, **metrics: Any) -> Trial:
    train_size = metrics.pop("train_size", 55_000)
    values = {"test_accuracy": 0.9, "val_accuracy": 0.9, "parameters": 7.0} | metrics
    return Trial(recipe, train_size, seed, made_up_run(**values))


def leaderboard(*made: Trial) -> pd.DataFrame:
    return tables.leaderboard(tables.read_metrics(made))


def texts(configurations: Sequence[Configuration]) -> list[str]:
    return [str(configuration) for configuration in configurations]


def test_every_recipe_and_fewer_images_are_run(tree: Path) -> None:
    assert texts(trials.make(2)) == [
        *[f"train.recipe={recipe} train.seed={seed}" for recipe in ("small", "tutorial") for seed in (0, 1)],
        *[
            f"train.recipe=tutorial normalize.train_size={size} train.seed={seed}"
            for size in (1000, 5000)  # not 20,000: there are 6,000
            for seed in (0, 1)
        ],
    ]
    set_params(tree, "normalize", train_size=500)
    assert len(trials.make(2)) == 4, "no learning curve"


def test_curves_are_of_recipes_that_exist(tree: Path) -> None:
    content = YAML(typ="safe").load(tree / "params.yaml")
    content["recipes"]["large"] = content["recipes"].pop("tutorial")
    content["train"]["recipe"] = "large"
    write_yaml(tree / "params.yaml", content)
    assert {made.overrides["train.recipe"] for made in trials.make(2)} == {"small", "large"}


def test_validation_set_and_dataset_are_needed(tree: Path) -> None:
    set_params(tree, "fetch", dataset="kmnist")
    with pytest.raises(UserError, match=r"^data/raw: expected dataset 'kmnist', found 'mnist'; run: dvc repro fetch"):
        trials.make(2)
    (tree / "data/raw" / download.METADATA).unlink()
    with pytest.raises(UserError, match="found 'nothing'; run: dvc repro fetch"):
        trials.make(2)
    set_params(tree, "normalize", validation_size=0)
    with pytest.raises(UserError, match=r"^params.yaml: normalize.validation_size: must be greater than 0, got 0;"):
        trials.make(2)


@pytest.mark.usefixtures("tree")
def test_trials_are_sorted_by_recipe_size_and_seed() -> None:
    made = trials.make(2)
    finished = trials.finished([Result(configuration, made_up_run()) for configuration in reversed(made)])
    assert [(one.recipe, one.train_size, one.seed) for one in finished] == [
        *[("small", 6000, seed) for seed in (0, 1)],
        *[("tutorial", size, seed) for size in (1000, 5000, 6000) for seed in (0, 1)],
    ]
    assert {one.train_size for one in trials.full_size(finished)} == {6000}
    assert len(trials.full_size(finished)) == 4


def fake_sweep(
    outcome: Callable[[Configuration], Result], monkeypatch: pytest.MonkeyPatch
) -> list[tuple[str | None, int | None]]:
    """Let sweeps end at once; returns the scheduler and the workers of each."""
    calls = []

    def sweep(
        configurations: Any, scheduler: str | None = None, workers: int | None = None
    ) -> tuple[str, list[Result]]:
        calls.append((scheduler, workers))
        return "name", [outcome(configuration) for configuration in configurations]

    monkeypatch.setattr(driver, "sweep", sweep)
    return calls


def test_failed_configurations_are_named_and_nothing_is_written(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def outcome(configuration: Configuration) -> Result:
        failed = configuration.overrides["train.recipe"] == "small" and configuration.overrides["train.seed"] == "1"
        return Result(configuration, None, error="diverged") if failed else Result(configuration, made_up_run())

    calls = fake_sweep(outcome, monkeypatch)
    with pytest.raises(UserError) as raised:
        command.main(seeds=3)
    assert str(raised.value).splitlines() == [
        "1 of 12 configurations failed, so that nothing was written:",
        "train.recipe=small train.seed=1",
    ]
    assert calls == [(None, 1)], "one training run at a time"
    assert not (tree / "reports").exists()


def test_order_is_by_validation_never_by_test_accuracy() -> None:
    table = leaderboard(
        *[trial("first", seed, val_accuracy=0.97, test_accuracy=0.999) for seed in (0, 1)],
        *[trial("third", seed, val_accuracy=0.98, test_accuracy=0.5) for seed in (0, 1)],
        *[trial("second", seed, val_accuracy=0.98, test_accuracy=0.4) for seed in (0, 1)],
    )
    assert list(table["recipe"]) == ["second", "third", "first"]


def test_row_summarizes_the_seeds() -> None:
    others = {
        "calibration/test_error_unscaled": (0.01, 0.02, 0.06),
        "calibration/test_error": (0.001, 0.002, 0.006),
        robustness.METRIC: (0.1, 0.2, 0.6),
        robustness.CALIBRATION_METRIC: (0.01, 0.03, 0.08),
        "training_seconds": (1, 2, 9),
        "test_accuracy": (0.96, 0.97, 0.98),
        "val_accuracy": (0.95, 0.97, 0.99),
    }
    made = [trial("cnn", seed, **{name: values[seed] for name, values in others.items()}) for seed in range(3)]
    (row,) = leaderboard(*made).to_dict("records")
    assert row == {
        "recipe": "cnn",
        "commit": "0123456",
        "seeds": 3,
        "test_accuracy": pytest.approx(0.97),
        "test_accuracy_std": pytest.approx(0.01),
        "val_accuracy": pytest.approx(0.97),
        "val_accuracy_std": pytest.approx(0.02),
        "parameters": 7,
        "training_seconds": 2,
        "expected_calibration_error_unscaled": pytest.approx(0.03),
        "expected_calibration_error": pytest.approx(0.003),
        "corruption_error": pytest.approx(0.3),
        "corruption_calibration_error": pytest.approx(0.04),
    }


def test_every_commit_of_a_row_is_named() -> None:
    made = [trial("cnn", seed, commit=commit * 8) for seed, commit in enumerate("aab")]
    assert list(leaderboard(*made)["commit"]) == ["aaaaaaa bbbbbbb"]


def test_commit_of_a_run_may_be_changed_or_unknown() -> None:
    dirty, none = made_up_run(), made_up_run()
    dirty.data.tags["git.dirty"] = "true"
    del none.data.tags["mlflow.source.git.commit"]
    made = [Trial("cnn", 55_000, seed, run) for seed, run in enumerate([dirty, none])]
    assert list(tables.read_metrics(made)["commit"]) == ["0123456-dirty", "unknown"]


def test_missing_metrics_are_nan() -> None:
    made = [trial("cnn", 0, training_seconds=3.0), trial("cnn", 1)]
    (row,) = leaderboard(*made).to_dict("records")
    assert row["training_seconds"] == 3
    assert math.isnan(row["corruption_error"])
    assert "| unknown |" in tables.markdown(leaderboard(trial("cnn", 0)))


def test_robustness_is_a_mean_over_seeds_by_corruption_and_severity() -> None:
    first, *_, last = tables.CORRUPTION_METRICS
    made = [
        trial(recipe, seed, **CORRUPTED | {first: 0.1 * seed, last: 0.3 * seed})
        for recipe in ("cnn", "mlp")
        for seed in (0, 1)
    ]
    table = tables.robustness_by_corruption(tables.read_metrics(made), ["mlp", "cnn"])
    assert len(table) == 2 * len(corruptions.CORRUPTIONS) * len(corruptions.SEVERITIES)
    assert list(table["recipe"].unique()) == ["mlp", "cnn"]
    assert list(table["corruption"].unique()) == list(corruptions.CORRUPTIONS)
    assert list(table["severity"][:3]) == [1, 2, 3]
    errors = table[table["recipe"] == "cnn"]["error"].tolist()
    assert errors == pytest.approx([0.05, *[0.25] * (len(errors) - 2), 0.15])
    means = tables.over_severities(table)
    assert list(means.index) == ["mlp", "cnn"]
    assert list(means) == list(corruptions.CORRUPTIONS)
    assert means.to_numpy()[1, [0, 1, -1]] == pytest.approx([0.55 / 3, 0.25, 0.65 / 3])


def test_learning_curve_has_the_recipes_that_were_run_on_fewer_images() -> None:
    made = [
        trial(recipe, seed, train_size=size, test_accuracy=size / 10_000 + seed / 100)
        for recipe, sizes in (("tutorial", (1000, 9000)), ("cnn", (9000,)))
        for size in sizes
        for seed in (0, 1)
    ]
    table = tables.learning_curve(tables.read_metrics(made))
    assert table.drop(columns="test_accuracy_std").to_dict("split", index=False) == {
        "columns": ["recipe", "train_size", "seeds", "test_accuracy"],
        "data": [["tutorial", 1000, 2, pytest.approx(0.105)], ["tutorial", 9000, 2, pytest.approx(0.905)]],
    }
    assert list(table["test_accuracy_std"]) == pytest.approx([0.01 / 2**0.5] * 2)


def log(tree: Path, epochs: int, model: Path | None = None) -> None:
    """Log four black test images of class 0, the last taken for a 7; each number of epochs is another state."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tree)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tree}/mlflow.db")
        patch.setattr(run_content, "git_tags", lambda: {"mlflow.source.git.commit": "0123456789"})
        make_results(tree, epochs=epochs, accuracy=0.97, seconds=2.5)
        files.write_json(tree / "data/raw" / download.METADATA, METADATA)
        columns: dict[str, list[float]] = {
            "actual": [0] * 4,
            "predicted": [0, 0, 0, 7],
            "confidence": [0.9, 0.9, 0.9, 0.99],
        }
        files.write_csv(tree / "data/predictions.csv", columns)
        if model:
            shutil.copy(model, tree / "data/model.keras")
        log_run(state.read())
    forget_store()


@pytest.fixture(scope="module")
def store(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory whose MLflow store has the runs of two states."""
    folder = tmp_path_factory.mktemp("store")
    copy_database(empty_store, folder)
    for epochs in (3, 4):
        log(folder, epochs)
    return folder


@pytest.fixture
def logged(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with a copy of `store`; only the files that MLflow has are those of `store` itself."""
    folder = tmp_path / "logged"
    shutil.copytree(store, folder, ignore=shutil.ignore_patterns("mlartifacts", "mlflow.db*"))
    copy_database(store, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    yield folder
    forget_store()


class Recorder:
    """Stands for the models: what was measured, and the same scores for all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.measured: list[str] = []
        self.failing = ""
        monkeypatch.setattr(robustness, "set_threads", lambda _: None)
        monkeypatch.setattr(robustness, "_load_model", lambda _, run: str(run.info.run_id))
        monkeypatch.setattr(robustness, "_scores", self.scores)

    def scores(self, run_id: str, *_: object) -> Mapping[str, float]:
        if run_id == self.failing:
            raise KeyboardInterrupt
        self.measured.append(run_id)
        return SCORES


def measure(folder: Path) -> None:
    robustness.measure(robustness.unmeasured(runs(folder)), Path("data/raw"), lambda: None)


@pytest.mark.slow
def test_interrupted_measurement_goes_on_with_what_is_missing(logged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {run.info.run_id: run.data.metrics for run in runs(logged)}
    models = Recorder(monkeypatch)
    models.failing = str(runs(logged)[1].info.run_id)
    with pytest.raises(KeyboardInterrupt):
        measure(logged)
    models.failing = ""
    for _ in range(2):
        measure(logged)
    assert sorted(models.measured) == sorted(before), "each once"
    for run in runs(logged):
        assert run.data.metrics == before[run.info.run_id] | SCORES


@pytest.mark.slow
def test_killed_before_the_tag_it_is_measured_again(logged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Recorder(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "set_tag", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            measure(logged)
    assert len(robustness.unmeasured(runs(logged))) == 2
    measure(logged)
    assert not robustness.unmeasured(runs(logged))


@pytest.mark.slow
def test_other_corruptions_are_measured_again(logged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Recorder(monkeypatch)
    measure(logged)
    changed = logged / "corruptions.py"
    changed.write_bytes(Path(corruptions.__file__).read_bytes() + b"\n")
    monkeypatch.setattr(corruptions, "__file__", str(changed))
    assert len(robustness.unmeasured(runs(logged))) == 2
    measure(logged)
    assert not robustness.unmeasured(runs(logged))


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
def test_error_rates_are_those_of_the_runs_model(logged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that takes every image for the class of its first pixel."""

    def corrupt(images: Pixels, name: str, severity: int) -> Pixels:
        changed = images.copy()
        changed[:severity, 0, 0] = 3 if name == "blur" else 0
        return changed

    monkeypatch.setattr(robustness, "set_threads", lambda _: None)  # they are set
    monkeypatch.setattr(corruptions, "corrupt", corrupt)
    recipe = params.load().recipes["tutorial"].model_copy(update={"hidden": ()})
    network = architectures.build(recipe, seed=0)
    weights = np.zeros((784, 10), np.float32)
    weights[0, 5] = 1
    network.layers[-1].set_weights([weights, np.array([1, *[0] * 9], np.float32)])
    keras_file.save(network, logged / "first_pixel.keras")
    log(logged, epochs=5, model=logged / "first_pixel.keras")

    (run,) = [run for run in runs(logged) if run.data.params["train.epochs"] == "5"]
    robustness.measure([run], Path("data/raw"), lambda: None)
    found = MlflowClient().get_run(run.info.run_id).data.metrics
    assert [found[robustness.metric("blur", severity)] for severity in (1, 2, 3)] == [0.25, 0.5, 0.75]
    assert found[robustness.metric("noise", 3)] == 0
    assert found[robustness.METRIC] == pytest.approx(1.5 / len(CORRUPTED), abs=1e-6)
    assert 0 < found[robustness.CALIBRATION_METRIC] < 1


@pytest.mark.slow
def test_deleted_model_is_one_line(logged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robustness, "set_threads", lambda _: None)
    client = MlflowClient()
    for model in client.search_logged_models([runs(logged)[0].info.experiment_id]):
        client.delete_logged_model(model.model_id)
    with pytest.raises(UserError, match=r"^the model of run tutorial-\w{7} was deleted; delete the run as well"):
        measure(logged)


@pytest.mark.slow
def test_logging_a_measured_state_again_changes_nothing(logged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Recorder(monkeypatch)
    measure(logged)
    client = MlflowClient()
    before = [run.to_dictionary() for run in runs(logged)]
    champion = client.get_model_version_by_alias("digits", "champion")
    log_run(state.read())
    assert [run.to_dictionary() for run in runs(logged)] == before
    assert all(robustness.METRIC in run["data"]["metrics"] for run in before)
    assert dict(client.get_model_version_by_alias("digits", "champion")) == dict(champion)


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
def test_files_have_what_mlflow_has_now(logged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trials come from before the measurement."""
    made = [Trial("tutorial", 6000, seed, run) for seed, run in enumerate(runs(logged))]
    Recorder(monkeypatch)
    measure(logged)
    suspects: list[pd.DataFrame] = []
    save_label_errors = figures.save_label_errors

    def spy(path: Path, images: Pixels, errors: pd.DataFrame, metadata: Any) -> None:
        suspects.append(errors)
        save_label_errors(path, images, errors, metadata)

    monkeypatch.setattr(figures, "save_label_errors", spy)
    text = reports.write(made)
    (row,) = pd.read_csv(reports.TABLE).to_dict("records")
    assert (row["recipe"], row["seeds"], row["parameters"], row["corruption_error"]) == ("tutorial", 2, 118282, 0.25)
    assert text.splitlines()[2].startswith("| tutorial | 97.00 % ± 0.00 | 118,282 | 2.5 s | 1.00 % | 25.0 % |")
    assert len(pd.read_csv(reports.FOLDER / "robustness.csv")) == len(CORRUPTED)
    assert len(pd.read_csv(reports.FOLDER / "learning_curve.csv")) == 1
    assert list(pd.read_csv(reports.DIFFERENCES)) == ["recipe", "other", "difference", "low", "high"]
    assert {path.stem for path in reports.FOLDER.glob("*.png")} == set(reports.FIGURES)
    assert list(suspects[0].index) == [3]
    assert list(suspects[0]["predicted"]) == [7]
    page = (reports.FOLDER / "README.md").read_text()
    assert leaderboard_in(page) == text
    assert linked(page) == [f"{name}.png" for name in reports.FIGURES]


def predictions(*rows: tuple[int, float]) -> pd.DataFrame:
    """Of images of class 0 and 2: predicted class and confidence."""
    table = pd.DataFrame(rows, columns=["predicted", "confidence"])
    return table.assign(actual=[0, 2])


def test_label_errors_are_those_of_models_that_are_accurate_in_validation() -> None:
    """A model that is good on the test set alone does not count."""
    good = trial("good", 0, val_accuracy=0.999, test_accuracy=0.9)
    bad = trial("bad", 0, val_accuracy=0.9, test_accuracy=0.999)
    tables_of = [predictions((1, 0.99), (2, 0.99)), predictions((0, 0.99), (0, 0.99))]
    found = reports._label_errors([good, bad], tables_of, np.array([0, 2], np.uint8))
    assert list(found["predicted"]) == [1]


def test_predictions_are_correct_by_recipe_and_seed() -> None:
    made = [trial("mlp", 0), trial("cnn", 0), trial("cnn", 1)]
    tables_of = [predictions((0, 1), (0, 1)), predictions((1, 1), (2, 1)), predictions((0, 1), (2, 1))]
    found = reports._correct(made, tables_of, ["cnn", "mlp"])
    assert list(found) == ["cnn", "mlp"]
    assert found["cnn"].tolist() == [[False, True], [True, True]]
    assert found["mlp"].tolist() == [[True, False]]


def linked(page: str) -> list[str]:
    """The pictures of a Markdown document."""
    return re.findall(r"!\[[^]]+\]\(([^)]+)\)", page)


def test_page_leaves_out_what_was_not_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files.write_bytes(reports.FOLDER / "robustness.png", b"PNG")
    assert linked(reports.page(pd.read_csv(ROOT / reports.TABLE))) == ["robustness.png"]


def test_page_shows_differences_in_percentage_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    columns: dict[str, list[object]] = {"recipe": ["cnn"], "other": ["mlp"]}
    columns |= {"difference": [0.0031], "low": [-0.0002], "high": [0.0064]}
    files.write_csv(reports.DIFFERENCES, columns)
    assert "| cnn | mlp | +0.31 | -0.02 to +0.64 |" in reports.page(pd.read_csv(ROOT / reports.TABLE))


def leaderboard_in(text: str) -> str:
    """The leaderboard in a Markdown document: the table whose first column is `recipe`; empty if there is none."""
    lines = text.splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith("| recipe |")), len(lines))
    end = next((number for number in range(start, len(lines)) if not lines[number].startswith("|")), len(lines))
    return "\n".join(lines[start:end])


def test_markdown_has_percentages_and_seconds() -> None:
    scores = {"training_seconds": 3.25, "calibration/test_error": 0.004}
    scores |= {robustness.METRIC: 0.123, robustness.CALIBRATION_METRIC: 0.056}
    table = leaderboard(*[trial("mlp", seed, **scores, test_accuracy=0.97 + seed / 100) for seed in (0, 1)])
    *_, row = tables.markdown(table).splitlines()
    assert row == "| mlp | 97.50 % ± 0.71 | 7 | 3.2 s | 0.40 % | 12.3 % | 5.6 % |"


def test_page_has_the_committed_leaderboard() -> None:
    table = pd.read_csv(ROOT / reports.TABLE)
    with chdir(ROOT):
        assert (reports.FOLDER / "README.md").read_text() == reports.page(table)
        assert linked(reports.page(table)) == [f"{name}.png" for name in reports.FIGURES]


def test_readme_has_errors_of_the_committed_leaderboard() -> None:
    """Its second table: at most six recipes."""
    _, _, *rows = leaderboard_in((ROOT / "README.md").read_text()).splitlines()
    table = pd.read_csv(ROOT / reports.TABLE, index_col="recipe")
    assert 0 < len(rows) <= 6
    for line in rows:
        recipe, parameters, seconds, error, corruption_error = (cell.strip() for cell in line.strip("|").split("|"))
        row = table.loc[recipe.split("`")[1]]
        assert parameters == f"{row['parameters']:,.0f}"
        assert seconds == f"{row['training_seconds']:.{1 if row['training_seconds'] < 10 else 0}f} s"
        assert error == f"{100 * (1 - row['test_accuracy']):.2f} %"
        assert corruption_error == f"{100 * row['corruption_error']:.1f} %"
