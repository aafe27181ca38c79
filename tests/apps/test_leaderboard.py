"""The leaderboard: what is run, ranked, measured once and written, and that README agrees with it."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Run, RunData, RunInfo, RunTag
from ruamel.yaml import YAML

from digits.apps.leaderboard import reports, robustness, tables, trials
from digits.apps.leaderboard.trials import Trial
from digits.apps.sweep import driver
from digits.apps.sweep.driver import Result
from digits.apps.sweep.grid import Configuration
from digits.cli import leaderboard as command
from digits.common import files
from digits.common.errors import UserError
from digits.common.types import Pixels
from digits.data import download
from digits.evaluation import corruptions
from digits.model import tensorflow_setup
from digits.tracking import pipeline_state
from digits.tracking.log_run import log_run
from factories import make_results, write_yaml
from mlflow_runs import forget_store, runs
from sandbox import PARAMS, ROOT, make_sandbox

VARIANT = ("tutorial", "learning_rate=0.003")
METADATA = {"name": "mnist", "title": "MNIST", "classes": [*"0123456789"]}
CORRUPTED = dict.fromkeys(tables.CORRUPTION_METRICS, 0.25)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with MNIST's description, two recipes and an MLflow store of its own."""
    content = YAML(typ="safe").load(ROOT / "params.yaml")
    tutorial = content["recipes"]["tutorial"]
    content["recipes"] = {"tutorial": tutorial, "small": tutorial | {"hidden": [16]}}
    content["normalize"]["train_size"] = 6000
    write_yaml(tmp_path / "params.yaml", content)
    files.write_json(tmp_path / "data/raw" / download.METADATA, METADATA)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trials, "VARIANTS", (VARIANT,))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    yield tmp_path
    forget_store()


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


def test_every_recipe_the_variant_and_fewer_images_are_run(tree: Path) -> None:
    assert texts(trials.make(2)) == [
        *[f"train.recipe={recipe} train.seed={seed}" for recipe in ("small", "tutorial") for seed in (0, 1)],
        *[f"train.recipe=tutorial recipes.tutorial.learning_rate=0.003 train.seed={seed}" for seed in (0, 1)],
        *[
            f"train.recipe=tutorial normalize.train_size={size} train.seed={seed}"
            for size in (1000, 5000)  # not 20,000: there are 6,000
            for seed in (0, 1)
        ],
    ]
    set_params(tree, "normalize", train_size=500)
    assert len(trials.make(2)) == 6, "no learning curve"


def test_variants_and_curves_are_of_recipes_that_exist(tree: Path) -> None:
    content = YAML(typ="safe").load(tree / "params.yaml")
    content["recipes"]["large"] = content["recipes"].pop("tutorial")
    content["train"]["recipe"] = "large"
    write_yaml(tree / "params.yaml", content)
    assert {made.overrides["train.recipe"] for made in trials.make(2)} == {"small", "large"}


def test_validation_set_and_dataset_are_needed(tree: Path) -> None:
    set_params(tree, "fetch", dataset="kmnist")
    with pytest.raises(UserError, match=r"^data/raw must have the dataset 'kmnist', and has mnist; run: dvc repro fe"):
        trials.make(2)
    (tree / "data/raw" / download.METADATA).unlink()
    with pytest.raises(UserError, match="and has nothing; run: dvc repro fetch"):
        trials.make(2)
    set_params(tree, "normalize", validation_size=0)
    with pytest.raises(UserError, match=r"^params.yaml: normalize.validation_size: must be greater than 0, got 0;"):
        trials.make(2)


@pytest.mark.usefixtures("tree")
def test_trials_are_named_by_recipe_and_change() -> None:
    made = trials.make(2)
    finished = trials.finished([Result(configuration, made_up_run()) for configuration in reversed(made)])
    assert [(one.recipe, one.train_size, one.seed) for one in finished] == [
        *[("small", 6000, seed) for seed in (0, 1)],
        *[("tutorial", size, seed) for size in (1000, 5000, 6000) for seed in (0, 1)],
        *[("tutorial (learning_rate=0.003)", 6000, seed) for seed in (0, 1)],
    ]
    assert {one.train_size for one in trials.full_size(finished)} == {6000}
    assert len(trials.full_size(finished)) == 6


def fake_sweep(
    outcome: Callable[[Configuration], Result], monkeypatch: pytest.MonkeyPatch
) -> list[tuple[str | None, int | None]]:
    """Let sweeps end at once; returns the scheduler and the workers of each."""
    calls = []

    def sweep(configurations: Any, on_result: Any, scheduler: str | None = None, workers: int | None = None) -> str:
        calls.append((scheduler, workers))
        for configuration in configurations:
            on_result(outcome(configuration))
        return "name"

    monkeypatch.setattr(driver, "sweep", sweep)
    return calls


def test_failed_configurations_are_named_and_nothing_is_written(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def outcome(configuration: Configuration) -> Result:
        failed = configuration.overrides["train.recipe"] == "small" and configuration.overrides["train.seed"] == "1"
        return Result(configuration, None, error="diverged") if failed else Result(configuration, made_up_run())

    calls = fake_sweep(outcome, monkeypatch)
    with pytest.raises(UserError) as raised:
        command.leaderboard(seeds=3)
    assert str(raised.value).splitlines() == [
        "1 of 15 configurations failed, so that nothing was written:",
        "train.recipe=small train.seed=1",
    ]
    assert calls == [(None, 1)], "one training run at a time"
    assert "train.recipe=small train.seed=1 failed:\ndiverged" in capsys.readouterr().err
    assert not (tree / "reports").exists()


def test_order_is_by_validation_never_by_test_accuracy() -> None:
    table = leaderboard(
        *[trial("worse", seed, val_accuracy=0.97, test_accuracy=0.999) for seed in (0, 1)],
        *[trial("better", seed, val_accuracy=0.98, test_accuracy=0.5) for seed in (0, 1)],
        *[trial("as good", seed, val_accuracy=0.98, test_accuracy=0.4) for seed in (0, 1)],
    )
    assert list(table["recipe"]) == ["as good", "better", "worse"]


def test_row_summarizes_the_seeds() -> None:
    others = {
        "test_expected_calibration_error_unscaled": (0.01, 0.02, 0.03),
        "test_expected_calibration_error": (0.001, 0.002, 0.003),
        "corruption_error": (0.1, 0.2, 0.3),
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
        "expected_calibration_error_unscaled": pytest.approx(0.02),
        "expected_calibration_error": pytest.approx(0.002),
        "corruption_error": pytest.approx(0.2),
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
        for recipe, sizes in (("tutorial", (1000, 9000)), ("ensemble", (9000,)))
        for size in sizes
        for seed in (0, 1)
    ]
    table = tables.learning_curve(tables.read_metrics(made))
    assert table.drop(columns="test_accuracy_std").to_dict("split", index=False) == {
        "columns": ["recipe", "train_size", "seeds", "test_accuracy"],
        "data": [["tutorial", 1000, 2, pytest.approx(0.105)], ["tutorial", 9000, 2, pytest.approx(0.905)]],
    }
    assert list(table["test_accuracy_std"]) == pytest.approx([0.01 / 2**0.5] * 2)


@pytest.fixture
def logged(tree: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run with the results of one state: four black test images of class 0, the last taken for a 7."""
    monkeypatch.setattr(pipeline_state, "git_tags", lambda: {"mlflow.source.git.commit": "0123456789"})
    return log(tree, epochs=3)


def log(tree: Path, epochs: int) -> Run:
    """Log the results of a state; a different number of epochs is a different state."""
    known = {run.info.run_id for run in runs(tree)}
    make_results(tree, epochs=epochs, accuracy=0.97, seconds=2.5)
    columns: dict[str, list[float]] = {
        "actual": [0] * 4,
        "predicted": [0, 0, 0, 7],
        "confidence": [0.9, 0.9, 0.9, 0.99],
    }
    files.write_csv(tree / "data/predictions.csv", columns)
    log_run(pipeline_state.read("track"))
    (run,) = [run for run in runs(tree) if run.info.run_id not in known]
    return run


class Recorder:
    """Stands for the models: what was measured, and an error rate for each corruption that follows from the run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.measured: list[str] = []
        self.failing = ""
        monkeypatch.setattr(tensorflow_setup, "configure", lambda _: None)
        monkeypatch.setattr(robustness, "_load_model", lambda _, run: str(run.info.run_id))
        monkeypatch.setattr(robustness, "_error_rates", self.rates)

    def rates(self, run_id: str, *_: object) -> Mapping[str, float]:
        if run_id == self.failing:
            raise KeyboardInterrupt
        self.measured.append(run_id)
        return CORRUPTED


def measure(tree: Path) -> None:
    robustness.measure(robustness.unmeasured(runs(tree)), Path("data/raw"), lambda: None)


def test_interrupted_measurement_goes_on_with_what_is_missing(
    tree: Path, logged: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(tree, epochs=4)
    models = Recorder(monkeypatch)
    models.failing = str(runs(tree)[1].info.run_id)
    with pytest.raises(KeyboardInterrupt):
        measure(tree)
    models.failing = ""
    for _ in range(2):
        measure(tree)
    assert sorted(models.measured) == sorted(str(run.info.run_id) for run in runs(tree)), "each once"
    for run in runs(tree):
        found = {name: value for name, value in run.data.metrics.items() if name.startswith("corruption_error")}
        assert found == {**CORRUPTED, "corruption_error": 0.25}
    assert logged.data.metrics.items() <= MlflowClient().get_run(logged.info.run_id).data.metrics.items()


@pytest.mark.usefixtures("logged")
def test_killed_before_the_tag_it_is_measured_again(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Recorder(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "set_tag", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            measure(tree)
    assert len(robustness.unmeasured(runs(tree))) == 1
    measure(tree)
    assert not robustness.unmeasured(runs(tree))


@pytest.mark.usefixtures("logged")
def test_other_corruptions_are_measured_again(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Recorder(monkeypatch)
    measure(tree)
    changed = tree / "corruptions.py"
    changed.write_bytes(Path(corruptions.__file__).read_bytes() + b"\n")
    monkeypatch.setattr(corruptions, "__file__", str(changed))
    assert len(robustness.unmeasured(runs(tree))) == 1
    measure(tree)
    assert not robustness.unmeasured(runs(tree))


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow")
def test_error_rates_are_those_of_the_runs_model(tree: Path, logged: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that takes every image for the class of its first pixel."""
    import keras

    from digits.model import keras_file

    def corrupt(images: Pixels, name: str, severity: int) -> Pixels:
        changed = images.copy()
        changed[:severity, 0, 0] = 3 if name == "blur" else 0
        return changed

    monkeypatch.setattr(tensorflow_setup, "configure", lambda _: None)  # it is configured
    monkeypatch.setattr(corruptions, "corrupt", corrupt)
    model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(10)])
    weights = np.zeros((784, 10), np.float32)
    weights[0, 5] = 1
    model.layers[-1].set_weights([weights, np.array([1, *[0] * 9], np.float32)])
    (logged_model,) = MlflowClient().search_logged_models([logged.info.experiment_id])
    (path,) = tree.glob(f"mlartifacts/models/{logged_model.model_id}/artifacts/data/model.keras")
    keras_file.save(model, path)

    measure(tree)
    found = runs(tree)[0].data.metrics
    assert [found[f"corruption_error.blur.{severity}"] for severity in (1, 2, 3)] == [0.25, 0.5, 0.75]
    assert found["corruption_error.noise.3"] == 0
    assert found["corruption_error"] == pytest.approx(1.5 / len(CORRUPTED), abs=1e-6)


@pytest.mark.slow
def test_deleted_model_is_one_line(tree: Path, logged: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorflow_setup, "configure", lambda _: None)
    client = MlflowClient()
    (model,) = client.search_logged_models([logged.info.experiment_id])
    client.delete_logged_model(model.model_id)
    with pytest.raises(UserError, match=r"^MLflow has no model of run tutorial-\w{7} any more; delete the run, too"):
        measure(tree)


def test_logging_a_measured_state_again_changes_nothing(
    tree: Path, logged: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    Recorder(monkeypatch)
    measure(tree)
    client = MlflowClient()
    before = client.get_run(logged.info.run_id).to_dictionary()
    champion = client.get_model_version_by_alias("digits", "champion")
    log_run(pipeline_state.read("track"))
    assert [run.to_dictionary() for run in runs(tree)] == [before]
    assert robustness.METRIC in before["data"]["metrics"]
    assert dict(client.get_model_version_by_alias("digits", "champion")) == dict(champion)


@pytest.mark.usefixtures("tensorflow")
def test_files_have_what_mlflow_has_now(tree: Path, logged: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trials come from before the measurement."""
    made = [Trial("tutorial", 6000, seed, run) for seed, run in enumerate([logged, log(tree, epochs=4)])]
    files.write_json(tree / "data/raw" / download.METADATA, METADATA)
    Recorder(monkeypatch)
    measure(tree)
    suspects: list[pd.DataFrame] = []
    monkeypatch.setattr(
        "digits.plots.evaluation.save_label_errors", lambda _path, _images, table, _metadata: suspects.append(table)
    )
    text = reports.write(made)
    (row,) = pd.read_csv(reports.TABLE).to_dict("records")
    assert (row["recipe"], row["seeds"], row["parameters"], row["corruption_error"]) == ("tutorial", 2, 118282, 0.25)
    assert text.splitlines()[2].startswith("| tutorial | 97.00 % ± 0.00 | 118,282 | 2.5 s | 1.00 % | 25.0 % |")
    assert len(pd.read_csv(reports.FOLDER / "robustness.csv")) == len(CORRUPTED)
    assert len(pd.read_csv(reports.FOLDER / "learning_curve.csv")) == 1
    written = {path.name for path in reports.FOLDER.glob("*.png")}
    names = ("error_by_time", "learning_curve", "augmentation", "robustness", "corruptions")
    assert written == {f"{name}.png" for name in names}
    assert list(suspects[0].index) == [3]
    assert list(suspects[0]["predicted"]) == [7]


def leaderboard_in(text: str) -> str:
    """The leaderboard in a Markdown document: the table whose first column is `recipe`; empty if there is none."""
    lines = text.splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith("| recipe |")), len(lines))
    end = next((number for number in range(start, len(lines)) if not lines[number].startswith("|")), len(lines))
    return "\n".join(lines[start:end])


def test_markdown_has_percentages_and_seconds() -> None:
    scores = {"training_seconds": 3.25, "test_expected_calibration_error": 0.004, "corruption_error": 0.123}
    table = leaderboard(*[trial("mlp", seed, **scores, test_accuracy=0.97 + seed / 100) for seed in (0, 1)])
    *_, row = tables.markdown(table).splitlines()
    assert row == "| mlp | 97.50 % ± 0.71 | 7 | 3.2 s | 0.40 % | 12.3 % |"


def test_readme_has_the_committed_leaderboard() -> None:
    assert leaderboard_in((ROOT / "README.md").read_text()) == tables.markdown(pd.read_csv(ROOT / reports.TABLE))


@pytest.mark.slow
def test_leaderboard_of_the_real_pipeline(tmp_path: Path) -> None:
    """One recipe with two seeds, of a name that has neither a variant nor a learning curve."""
    few = {"normalize.train_size": 900, "normalize.validation_size": 200, "recipes.tutorial.epochs": 1}
    sandbox = make_sandbox(tmp_path / "digits", PARAMS | few)
    content = YAML(typ="safe").load(sandbox.root / "params.yaml")
    content |= {"train": {"recipe": "small", "seed": 0}, "recipes": {"small": content["recipes"]["tutorial"]}}
    write_yaml(sandbox.root / "params.yaml", content)
    sandbox.run("git", "commit", "-qam", "Have one recipe")
    sandbox = sandbox.having(PYTHONPATH=str(sandbox.root / "src"))
    sandbox.run("dvc", "repro", "fetch")
    sandbox.run("git", "clean", "-fdq", "reports")  # what the repository has of its own leaderboard

    output = sandbox.run("digits", "leaderboard", "--seeds", "2")
    table = pd.read_csv(sandbox.root / reports.TABLE, dtype={"commit": str})
    assert tables.markdown(table) in output
    (row,) = table.to_dict("records")
    assert row["recipe"] == "small"
    assert row["commit"] == sandbox.run("git", "rev-parse", "HEAD")[:7]
    assert row["corruption_error"] > 1 - row["test_accuracy"]
    assert [robustness.METRIC in run.data.metrics for run in runs(sandbox.root)] == [True] * 2

    written = [sandbox.root / reports.TABLE, *(sandbox.root / reports.FOLDER).iterdir()]
    before = {path: path.read_bytes() for path in written}
    again = sandbox.run("digits", "leaderboard", "--seeds", "2")
    assert tables.markdown(table) in again
    assert {path: path.read_bytes() for path in before} == before
    assert len(runs(sandbox.root)) == 2
