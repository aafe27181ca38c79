"""The content of a state's MLflow run: params, metrics, tags, a description, datasets, files and the model."""

import csv
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.data.schema import TensorDatasetSchema
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Run
from mlflow.types import Schema, TensorSpec

from digits.common import files, paths, run_record
from digits.common.git import head, uncommitted
from digits.common.types import IMAGE_SIDE, Images, Labels
from digits.data import idx
from digits.tracking.state import State

CODE = ("src", "stages", "dvc.yaml")  # uncommitted changes here make a run dirty
PREDICTOR = Path("src/digits/model/predictor.py")  # a copy of it travels with the model
FILES = (Path("params.yaml"), Path("dvc.lock"), paths.METRICS, paths.HISTORY, paths.PREDICTION)
NAMES = {  # in MLflow, of the numbers in metrics.json that are not called test_NAME there
    "parameters": "parameters",
    "temperature": "calibration/temperature",
    "expected_calibration_error": "calibration/test_error",
    "expected_calibration_error_unscaled": "calibration/test_error_unscaled",
}

STATE_TAG = "digits.state"
CODE_TAG = "digits.code"
MODEL_TAG = "model.sha256"
TRAINING_TAG = "digits.training"  # the identity of the training run, that of its checkpoint
SECONDS_TAG = "training.seconds"
EPOCH_SECONDS_TAG = "training.epoch_seconds"  # of a run that was logged while it trained
EXPERIMENTS_TAG = "dvc.experiments"
COMMIT_TAG = "mlflow.source.git.commit"
NOTE_TAG = "mlflow.note.content"  # the description on the run's page
IDENTITY_TAGS = (STATE_TAG, CODE_TAG, "dataset", MODEL_TAG)

TIMES = ("training_seconds", "training_images_per_second")  # they differ every time


@dataclass(frozen=True)
class RunContent:
    """Everything that is logged of a state."""

    name: str  # of the run, unless a DVC experiment names it
    started: int  # the start of the training run, or now if it took place elsewhere; milliseconds since 1970
    tags: Mapping[str, str]  # set when the run is created; later changes are a user's
    params: Mapping[str, str]  # by dotted name
    history: list[dict[str, float]]  # one row per epoch
    scores: Mapping[str, float]  # on the test set, and the number of parameters
    datasets: list[DatasetInput]
    artifacts: Mapping[str, bytes]  # by path
    model: Path  # the .keras file, an absolute path
    predictor: Path  # the file of digits.model.predictor, an absolute path
    example: Images  # two raw test images
    version_tags: Mapping[str, str] | None  # of the registered version; None for a model that is not registered


def read(state: State) -> RunContent:
    """Collect the content of the run from the working directory."""
    results = files.read_json(paths.METRICS)
    dataset, scores = results["dataset"], _scores(results)
    history = _read_history()
    record = run_record.load(paths.MODEL)
    images, labels = idx.read_test(paths.RAW)
    tags = {
        STATE_TAG: state.fingerprint,
        "dataset": dataset,
        MODEL_TAG: files.sha256(paths.MODEL),
        CODE_TAG: state.code_fingerprint,
        "mlflow.loggedArtifacts": '[{"path": "predictions.json", "type": "table"}]',
        **source_tags(),
    }
    if record:
        tags |= {SECONDS_TAG: f"{record.seconds:.3f}"} | ({TRAINING_TAG: record.training} if record.training else {})
        tags |= environment_tags(record.cpu, record.versions)
    params = flatten(state.params)
    version_tags = None
    if dataset == "mnist" and "val_accuracy" in history[-1]:
        accuracy, split = str(history[-1]["val_accuracy"]), validation_split(state)
        version_tags = {STATE_TAG: state.fingerprint, "validation_accuracy": accuracy, "validation_split": split}
    return RunContent(
        name=f"{params['train.recipe']}-{state.fingerprint[:7]}",
        started=round(1000 * (record.started if record else time.time())),
        tags=tags | {NOTE_TAG: _describe(state, scores, tags)},
        params=params,
        history=history,
        scores=scores,
        datasets=list(_datasets(dataset, labels, state.outs)),
        artifacts=_read_artifacts(),
        model=paths.MODEL.absolute(),
        predictor=PREDICTOR.absolute(),
        example=images[:2].astype(np.float32),
        version_tags=version_tags,
    )


def flatten(params: Mapping[str, Any]) -> dict[str, str]:
    """Every parameter by its dotted name. The chosen recipe's are `train.*`, so that recipes share their columns."""
    recipe = f"recipes.{params['train']['recipe']}"
    sections = {key: section for key, section in params.items() if not key.startswith("recipes.")}
    sections["train"] = sections["train"] | params[recipe]
    (row,) = pd.json_normalize(sections).astype(object).to_dict("records")
    return {str(key): str(value) for key, value in row.items()}


def metrics(content: RunContent, run: Run, model_id: str | None = None) -> list[Metric]:
    """Each epoch's metrics, and the scores at step 0, where MLflow draws bars; for a model, of the last epoch alone."""
    scores = dict(content.scores)
    if seconds := float(run.data.tags.get(SECONDS_TAG, 0)):
        images = int(content.params["normalize.train_size"]) * len(content.history)
        scores |= dict(zip(TIMES, (seconds, images / seconds), strict=True))
    history = content.history[-1:] if model_id else content.history
    ended = end_time(run)
    finals = [Metric(name, value, ended, 0, model_id=model_id) for name, value in scores.items()]
    return [*epoch_metrics(history, run, model_id), *finals]


def epoch_metrics(history: Sequence[Mapping[str, float]], run: Run, model_id: str | None = None) -> list[Metric]:
    """The metrics of some epochs, to six decimals, as history.csv has them.

    Timestamps depend on the run alone, so that MLflow stores once what several processes log.
    """
    milliseconds = 1000 * float(run.data.tags.get(EPOCH_SECONDS_TAG, 0))
    found = []
    for row in history:
        epoch = int(row["epoch"])
        time_stamp = run.info.start_time + round(epoch * milliseconds)
        names = row.keys() - {"epoch", "seconds"}
        found += [Metric(name, round(row[name], 6), time_stamp, epoch, model_id=model_id) for name in sorted(names)]
    return found


def end_time(run: Run) -> int:
    """When the training run ended, in milliseconds since 1970; its start if its duration is not known."""
    return int(run.info.start_time) + round(1000 * float(run.data.tags.get(SECONDS_TAG, 0)))


def source_tags() -> dict[str, str]:
    """Where a run comes from."""
    return {"mlflow.source.name": "dvc.yaml", "mlflow.source.type": "LOCAL", **git_tags()}


def environment_tags(cpu: str, versions: Mapping[str, str]) -> dict[str, str]:
    """The CPU of a training run, and the versions of its libraries."""
    return {"cpu": cpu} | {f"version.{name}": version for name, version in versions.items()}


def git_tags() -> dict[str, str]:
    """The commit that is checked out, and whether the code differs from it; nothing without a commit."""
    commit = head()
    return {COMMIT_TAG: commit, "git.dirty": str(bool(uncommitted(CODE))).lower()} if commit else {}


def validation_split(state: State) -> str:
    """A key that is equal for models validated on the same images."""
    drawn = {key: state.params["normalize"][key] for key in ("validation_size", "split_seed")}
    return json.dumps({"raw": state.outs[str(paths.RAW)], **drawn})


def _describe(state: State, scores: Mapping[str, float], tags: Mapping[str, str]) -> str:
    """The headline in Markdown, and how to reproduce the run."""
    if COMMIT_TAG not in tags:
        origin = "without a Git commit, so `digits verify` cannot rebuild it."
    elif tags.get("git.dirty") == "true":
        origin = (
            f"at commit `{tags[COMMIT_TAG]}`. The code had uncommitted changes, so the commit alone does not reproduce "
            "this run."
        )
    else:
        how = "To reproduce it, check out the commit and run `dvc repro` with this run's `params.yaml`."
        origin = f"at commit `{tags[COMMIT_TAG]}`. {how}"
    return (
        f"**{scores['test_accuracy']:.2%}** test accuracy on `{tags['dataset']}` with recipe "
        f"`{state.params['train']['recipe']}`.\n\nState `{state.fingerprint[:12]}` {origin}"
    )


def _scores(results: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of metrics.json by their names in MLflow."""
    numbers = {name: value for name, value in results.items() if isinstance(value, int | float)}
    scores = {NAMES.get(name, f"test_{name}"): value for name, value in numbers.items()}
    return scores | {f"test_f1/{label}": values["f1"] for label, values in results["per_class"].items()}


def _read_history() -> list[dict[str, float]]:
    """The rows of history.csv; pandas would round some numbers differently from Python."""
    with paths.HISTORY.open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def _read_artifacts() -> dict[str, bytes]:
    """The files of the run by their paths there: params, results, plots, and the predictions as a table."""
    plots = [*paths.DATASET_PLOTS.glob("[!.]*.png"), *paths.EVALUATION_PLOTS.glob("[!.]*.png"), paths.PREDICTION_PLOT]
    predictions = pd.read_csv(paths.PREDICTIONS).to_dict(orient="split", index=False)
    artifacts = {path.name: path.read_bytes() for path in FILES}
    artifacts |= {f"plots/{path.name}": path.read_bytes() for path in plots}
    return artifacts | {"predictions.json": json.dumps(predictions).encode()}


def _datasets(name: str, y_test: Labels, digests: Mapping[str, str]) -> Iterator[DatasetInput]:
    """The splits that are not empty; the digest is DVC's, of the file that has the split."""
    y_train, y_val = files.read_arrays(paths.NORMALIZED, "y_train", "y_val")
    for context, labels in (("train", y_train), ("validation", y_val), ("test", y_test)):
        if len(labels):
            kind, path = (np.uint8, paths.RAW) if context == "test" else (np.float32, paths.NORMALIZED)
            features = Schema([TensorSpec(np.dtype(kind), (len(labels), IMAGE_SIDE, IMAGE_SIDE))])
            targets = Schema([TensorSpec(labels.dtype, labels.shape)])
            dataset = Dataset(
                name=f"{name}-{context}",
                digest=digests[str(path)],
                source_type="local",
                source=json.dumps({"uri": str(path)}),
                schema=json.dumps(TensorDatasetSchema(features, targets).to_dict()),
            )
            yield DatasetInput(dataset, [InputTag("mlflow.data.context", context)])
