"""What the MLflow run of a state holds: params, metrics, tags, a description, datasets and files."""

import json
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.data.schema import TensorDatasetSchema
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Run
from mlflow.types import Schema, TensorSpec

from digits.common import files, run_record
from digits.common.types import IMAGE_SIDE, Images
from digits.data import idx
from digits.tracking import pipeline_state
from digits.tracking.pipeline_state import State

RAW, NORMALIZED, MODEL = Path("data/raw"), Path("data/normalized.npz"), Path("data/model.keras")
HISTORY, METRICS = Path("reports/history.csv"), Path("reports/metrics.json")
FILES = (Path("params.yaml"), Path("dvc.lock"), METRICS, HISTORY, Path("reports/prediction.json"))
PLOTS = ("reports/dataset/*.png", "reports/evaluation/*.png", "reports/prediction.png")

STATE_TAG = "digits.state"
SECONDS_TAG = "training.seconds"
NOTE_TAG = "mlflow.note.content"  # the description on the run's page


@dataclass(frozen=True)
class RunContent:
    """Everything that is logged of a state. Paths are absolute.

    Attributes:
        name: the default name of the run.
        started: the start of the training run, or now if it took place elsewhere; milliseconds since 1970.
        tags: set when the run is created; later changes are a person's.
        params: by dotted name.
        history: one row per epoch.
        scores: the test scores and the number of parameters, by metric name.
        datasets: the splits.
        predictions: one row per test image, as `DataFrame.to_dict` splits it.
        files: logged as they are.
        plots: logged into the folder plots.
        model: the .keras file.
        example: two raw test images, float32 (2, 28, 28).
        version_tags: of the registered version; None for a model that is not registered.
    """

    name: str
    started: int
    tags: Mapping[str, str]
    params: Mapping[str, Any]
    history: list[dict[str, Any]]
    scores: Mapping[str, float]
    datasets: list[DatasetInput]
    predictions: dict[str, Any]
    files: list[Path]
    plots: list[Path]
    model: Path
    example: Images
    version_tags: Mapping[str, str] | None


def read(state: State) -> RunContent:
    """Collect the content of the run from the working directory."""
    here = Path.cwd()
    scores, dataset = _scores()
    history = pd.read_csv(HISTORY).to_dict(orient="records")
    record = run_record.load(MODEL)
    images, labels = idx.read_test(RAW)
    tags = {
        STATE_TAG: state.fingerprint,
        "dataset": dataset,
        "model.sha256": files.sha256(MODEL),
        "mlflow.source.name": "dvc.yaml",
        "mlflow.source.type": "LOCAL",
        "mlflow.loggedArtifacts": '[{"path": "predictions.json", "type": "table"}]',
    }
    if commit := pipeline_state.commit():
        tags |= {"mlflow.source.git.commit": commit, "git.dirty": str(pipeline_state.is_dirty()).lower()}
    if record:
        tags |= {"cpu": record.cpu, SECONDS_TAG: f"{record.seconds:.3f}"}
        tags |= {f"version.{name}": version for name, version in record.versions.items()}
    params = flatten(state.params)
    validation_accuracy = history[-1].get("val_accuracy")
    is_registered = dataset == "mnist" and validation_accuracy is not None
    return RunContent(
        name=f"{params['train.recipe']}-{state.fingerprint[:7]}",
        started=round(1000 * (record.started if record else time.time())),
        tags=tags | {NOTE_TAG: describe(state, scores, history, tags)},
        params=params,
        history=history,
        scores=scores,
        datasets=[*_training_datasets(dataset), _dataset(dataset, "test", labels, checksum(images), checksum(labels))],
        predictions=pd.read_csv("data/predictions.csv").to_dict(orient="split", index=False),
        files=[here / path for path in FILES],
        plots=[path for pattern in PLOTS for path in sorted(here.glob(pattern)) if not path.name.startswith(".")],
        model=here / MODEL,
        example=images[:2].astype(np.float32),
        version_tags={
            STATE_TAG: state.fingerprint,
            "validation_accuracy": str(validation_accuracy),
            "validation_split": validation_split(state),
        }
        if is_registered
        else None,
    )


def flatten(params: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter by its dotted name. The chosen recipe's are `train.*`, so that recipes share their columns."""
    sections = dict(params)
    recipe = sections.pop(f"recipes.{sections['train']['recipe']}")
    sections["train"] = sections["train"] | recipe
    return {f"{name}.{key}": value for name, section in sections.items() for key, value in section.items()}


def metrics(content: RunContent, run: Run, model_id: str | None = None) -> list[Metric]:
    """Each epoch's metrics, and the scores at the last epoch.

    Every value is a function of the state and of the run alone, timestamps included: MLflow stores what several
    publishers log at once only once.

    Args:
        content: what is logged.
        run: the run, which knows how long its training took.
        model_id: to get the last epoch's metrics alone, as those of this model.
    """
    *earlier, last = content.history
    last = last | dict(content.scores)
    if seconds := float(run.data.tags.get(SECONDS_TAG, 0)):
        last |= {
            "training_seconds": seconds,
            "training_images_per_second": content.params["normalize.train_size"] * last["epoch"] / seconds,
        }
    ended = end_time(run)
    return [
        Metric(name, value, ended, int(row["epoch"]), model_id=model_id)
        for row in ([last] if model_id else [*earlier, last])
        for name, value in row.items()
        if name != "epoch"
    ]


def end_time(run: Run) -> int:
    """When the training run ended, in milliseconds since 1970; its start if its duration is not known."""
    return int(run.info.start_time) + round(1000 * float(run.data.tags.get(SECONDS_TAG, 0)))


def describe(state: State, scores: Mapping[str, float], history: list[dict[str, Any]], tags: Mapping[str, str]) -> str:
    """The headline numbers in Markdown, and how to reproduce them."""
    rows = {
        "test accuracy": f"{scores['test_accuracy']:.2%}",
        "test errors": f"{scores['test_errors']}",
        "expected calibration error": f"{scores['test_expected_calibration_error']:.4f}",
        "parameters": f"{scores['parameters']:,}",
    }
    if "val_accuracy" in history[-1]:
        rows["validation accuracy"] = f"{history[-1]['val_accuracy']:.2%}"
    if SECONDS_TAG in tags:
        rows["training"] = f"{float(tags[SECONDS_TAG]):.1f} s"
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    commit = tags.get("mlflow.source.git.commit", "unknown")
    how = (
        "The code had uncommitted changes, so the commit alone does not reproduce this run."
        if tags.get("git.dirty") == "true"
        else "To reproduce it, check out the commit and run `dvc repro` with this run's `params.yaml`."
    )
    return (
        f"**{scores['test_accuracy']:.2%}** test accuracy on `{tags['dataset']}` "
        f"with recipe `{state.params['train']['recipe']}`, {len(history)} epochs.\n\n"
        f"| | |\n| --- | --- |\n{table}\n\nState `{state.fingerprint[:12]}` at commit `{commit}`. {how}"
    )


def validation_split(state: State) -> str:
    """Equal for states whose models were validated on the same images, whatever else differs."""
    draw = {key: state.params["normalize"][key] for key in ("validation_size", "split_seed")}
    return json.dumps({"raw": state.outs["data/raw"], **draw})


def checksum(array: np.ndarray[Any, Any]) -> int:
    """The CRC-32 of an array's values."""
    return zlib.crc32(np.ascontiguousarray(array).data)


def _scores() -> tuple[dict[str, float], str]:
    """The metrics of metrics.json by their names in MLflow, and the name of the dataset."""
    content = files.read_json(METRICS)
    dataset, per_class, parameters = (content.pop(key) for key in ("dataset", "per_class", "parameters"))
    scores = {f"test_{name}": value for name, value in content.items()}
    scores |= {f"test_f1_{label}": values["f1"] for label, values in per_class.items()}
    return scores | {"parameters": parameters}, dataset


def _training_datasets(name: str) -> Iterator[DatasetInput]:
    """The training and the validation split, unless that is empty."""
    checksums = files.checksums(NORMALIZED)
    for context, key in (("train", "train"), ("validation", "val")):
        (labels,) = files.read_arrays(NORMALIZED, f"y_{key}")
        if len(labels):
            yield _dataset(name, context, labels, checksums[f"x_{key}"], checksums[f"y_{key}"])


def _dataset(name: str, context: str, labels: np.ndarray[Any, Any], *digests: int) -> DatasetInput:
    shape = (len(labels), IMAGE_SIDE, IMAGE_SIDE)
    kind = np.dtype(np.uint8 if context == "test" else np.float32)
    schema = TensorDatasetSchema(Schema([TensorSpec(kind, shape)]), Schema([TensorSpec(labels.dtype, labels.shape)]))
    dataset = Dataset(
        f"{name}-{context}",
        digest="".join(f"{digest:08x}" for digest in digests),
        source_type="local",
        source=json.dumps({"uri": str(RAW if context == "test" else NORMALIZED)}),
        schema=json.dumps(schema.to_dict()),
        profile=json.dumps({"features_shape": shape, "targets_shape": labels.shape}),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", context)])
