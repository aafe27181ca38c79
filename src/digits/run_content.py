"""What the MLflow run of a state holds: metrics, tags, a description, and the datasets that went in."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow.data.schema import TensorDatasetSchema
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric
from mlflow.types import Schema, TensorSpec
from numpy.typing import NDArray

from digits import artifacts, idx, timings
from digits import state as states
from digits.state import State
from digits.timings import Timing

MODEL = Path("data/model.keras")
NORMALIZED = Path("data/normalized.npz")

NOTE_TAG = "mlflow.note.content"  # what the page of the run shows as its description


@dataclass(frozen=True)
class Results:
    """What the stages before left in reports/, as MLflow is to show it.

    Attributes:
        dataset: its name.
        history: a row an epoch, as train wrote it.
        scores: of the test set, and the parameter count, by the names of MLflow's metrics.
        timing: of the training, if it took place here.
    """

    dataset: str
    history: pd.DataFrame
    scores: Mapping[str, float]
    timing: Timing | None

    @property
    def last_epoch(self) -> int:
        """The epoch after which the model was saved."""
        return int(self.history["epoch"].iloc[-1])

    @property
    def validation_accuracy(self) -> float | None:
        """0..1 after the last epoch; None without a validation set."""
        return float(self.history["val_accuracy"].iloc[-1]) if "val_accuracy" in self.history else None


def read() -> Results:
    """Read reports/."""
    metrics = artifacts.read_json(Path("reports/metrics.json"))
    dataset, per_class, parameters = (metrics.pop(key) for key in ("dataset", "per_class", "parameters"))
    scores = {f"test_{name}": value for name, value in metrics.items()}
    scores |= {f"test_f1_{label}": of_class["f1"] for label, of_class in per_class.items()}
    timing = timings.find(MODEL)
    scores["parameters"] = parameters
    if timing:
        epochs = len(timing.seconds)
        scores["training_seconds"] = timing.seconds[-1]
        scores["training_images_per_second"] = timing.images * epochs / timing.seconds[-1]
    return Results(dataset, artifacts.read_table(Path("reports/history.csv")), scores, timing)


def metrics(results: Results, start: int, model_id: str) -> list[Metric]:
    """Each epoch's numbers at their step and time; at the last one the scores too, and all for the model as well.

    Args:
        results: what to show.
        start: of the run, in milliseconds since 1970: the time where no timing is known.
        model_id: of the logged model.
    """
    timing = results.timing
    shown = []
    for at, row in enumerate(results.history.to_dict(orient="records")):
        epoch = int(row.pop("epoch"))
        when = milliseconds(timing.started + timing.seconds[at]) if timing else start
        of_model = model_id if epoch == results.last_epoch else None
        values = row | dict(results.scores) if of_model else row
        shown += [Metric(str(key), value, when, epoch, model_id=of_model) for key, value in values.items()]
    return shown


def params(state: State) -> dict[str, object]:
    """Every parameter of the state by a dotted name; those of the chosen recipe stand beside train's own."""
    sections = dict(state.params)
    recipe = sections.pop(f"recipes.{sections['train']['recipe']}")
    sections["train"] = sections["train"] | recipe
    return {f"{name}.{key}": value for name, section in sections.items() for key, value in section.items()}


def tags(state: State, results: Results) -> dict[str, str]:
    """Where the state came from: commit, dataset, model, and the machine that trained it, if it was this one."""
    shown = {
        "dataset": results.dataset,
        "model.sha256": artifacts.sha256(MODEL),
        "mlflow.source.name": "dvc.yaml",
        "mlflow.source.type": "LOCAL",
        NOTE_TAG: description(state, results),
        "mlflow.loggedArtifacts": '[{"path": "predictions.json", "type": "table"}]',
    }
    if commit := states.commit():
        shown |= {"mlflow.source.git.commit": commit, "git.dirty": str(states.is_dirty(state)).lower()}
    if results.timing:
        shown["cpu"] = results.timing.cpu
        shown |= {f"version.{name}": version for name, version in results.timing.versions.items()}
    return shown


def description(state: State, results: Results) -> str:
    """The headline numbers in Markdown, and the way back to the state in DVC."""
    scores = results.scores
    rows = {
        "test accuracy": f"{scores['test_accuracy']:.2%}",
        "wrong test answers": f"{scores['test_errors']}",
        "expected calibration error": f"{scores['test_expected_calibration_error']:.4f}",
        "parameters": f"{scores['parameters']:,}",
    }
    if results.validation_accuracy is not None:
        rows["validation accuracy"] = f"{results.validation_accuracy:.2%}"
    if results.timing:
        rows["training"] = f"{results.timing.seconds[-1]:.1f} s"
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return (
        f"**{scores['test_accuracy']:.2%}** of the test images of `{results.dataset}`, "
        f"by recipe `{state.params['train']['recipe']}` in {results.last_epoch} epochs.\n\n"
        f"| | |\n| --- | --- |\n{table}\n\n"
        f"State `{state.fingerprint[:12]}` of the DVC pipeline at commit `{states.commit() or 'unknown'}`: "
        "with this run's `params.yaml`, `dvc repro` derives it again."
    )


def datasets(name: str) -> list[DatasetInput]:
    """The splits as MLflow's inputs; a digest is made of the CRC-32s that normalized.npz holds, so nothing is read."""
    inputs = []
    with zipfile.ZipFile(NORMALIZED) as archive:
        for split, context in (("train", "train"), ("val", "validation"), ("test", "test")):
            images, labels = f"x_{split}.npy", f"y_{split}.npy"
            features, targets = _spec(archive, images), _spec(archive, labels)
            if not targets.shape[0]:
                continue
            dataset = Dataset(
                f"{name}-{context}",
                digest=f"{archive.getinfo(images).CRC:08x}{archive.getinfo(labels).CRC:08x}",
                source_type="local",
                source=json.dumps({"uri": f"{NORMALIZED}#{split}"}),
                schema=json.dumps(TensorDatasetSchema(Schema([features]), Schema([targets])).to_dict()),
                profile=json.dumps({"features_shape": features.shape, "targets_shape": targets.shape}),
            )
            inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", context)]))
    return inputs


def _spec(archive: zipfile.ZipFile, member: str) -> TensorSpec:
    """Type and shape of an array in an .npz, from its header."""
    with archive.open(member) as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return TensorSpec(dtype, shape)


def example() -> NDArray[np.float32]:
    """Two raw test images, float32 (2, 28, 28), as the model takes them."""
    return idx.read_images(Path("data/raw", idx.TEST_IMAGES))[:2].astype(np.float32)


def validation_split(state: State) -> str:
    """The same for states whose models were validated on the same images, whatever their normalization."""
    draw = {key: state.params["normalize"][key] for key in ("validation_size", "validation_seed")}
    return json.dumps({"raw": state.outs["data/raw"], **draw})


def milliseconds(seconds: float) -> int:
    """MLflow's unit of time."""
    return round(seconds * 1000)
