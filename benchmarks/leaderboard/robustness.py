"""How robust the runs' models are: their scores on corrupted test images, as metrics of the finished runs."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

import keras
from mlflow import MlflowClient
from mlflow.entities import Metric, Run

from digits.commands.predict.models import download
from digits.common.errors import UserError
from digits.common.types import Labels, Pixels
from digits.data import idx
from digits.evaluation import calibration
from digits.model import keras_file, set_threads
from digits.model.predictor import Predictor
from digits.tracking import store
from leaderboard import corruptions

# Means over all corruptions and severities; the error of each is METRIC.NAME.SEVERITY.
METRIC = "leaderboard.corruption_error"
CALIBRATION_METRIC = "leaderboard.corruption_calibration_error"

# Of a measured run: the digest of the code that corrupted the images and scored the model.
TAG = "leaderboard.corruptions.sha256"

THREADS = 2  # of TensorFlow; error rates hardly depend on them, but should be the same on every machine

Corrupted = Mapping[tuple[str, int], Pixels]  # the test images by corruption and severity


def metric(name: str, severity: int) -> str:
    """The name of the metric of one corruption."""
    return f"{METRIC}.{name}.{severity}"


def unmeasured(runs: Sequence[Run]) -> list[Run]:
    """The runs whose models have not been measured, not to the end, or by other code."""
    return [run for run in runs if run.data.tags.get(TAG) != _digest()]


def measure(runs: Sequence[Run], raw: Path, on_measured: Callable[[], object]) -> None:
    """Log the scores of the runs' models on the corrupted test images in `raw`, and call `on_measured` for each.

    Raises:
        UserError: the store cannot be used, or a model was deleted.
    """
    if not runs:
        return
    set_threads(THREADS)
    images, labels = idx.read_test(raw)
    corrupted = {
        (name, severity): corruptions.corrupt(images, name, severity)
        for name in corruptions.CORRUPTIONS
        for severity in corruptions.SEVERITIES
    }
    with store.connect(create=False) as (client, _):
        for run in runs:
            model = _load_model(client, run)
            _log(client, run, _scores(model, corrupted, labels))
            on_measured()


def _load_model(client: MlflowClient, run: Run) -> keras.Model:
    found = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    if not found:
        name = run.info.run_name
        raise UserError(f"the model of run {name} was deleted; delete the run as well, then rerun")
    with TemporaryDirectory() as folder:
        return keras_file.load(download(f"models:/{found[0].model_id}", Path(folder)))


def _scores(model: keras.Model, corrupted: Corrupted, labels: Labels) -> dict[str, float]:
    """The error rate of each corruption, their mean, and the mean calibration error, by metric; to six decimals."""
    predictor = Predictor(model)
    errors, calibration_errors = {}, []
    for key, images in corrupted.items():
        probabilities = predictor(images)
        errors[metric(*key)] = float((probabilities.argmax(axis=1) != labels).mean())
        calibration_errors.append(calibration.expected_calibration_error(labels, probabilities))
    means = {METRIC: mean(errors.values()), CALIBRATION_METRIC: mean(calibration_errors)}
    return {name: round(value, 6) for name, value in {**errors, **means}.items()}


def _log(client: MlflowClient, run: Run, scores: Mapping[str, float]) -> None:
    """Log the scores at step 0, like all scores; the tag last, so that it vouches for all."""
    now = round(1000 * time.time())
    client.log_batch(run.info.run_id, [Metric(name, value, now, 0) for name, value in scores.items()])
    client.set_tag(run.info.run_id, TAG, _digest())


def _digest() -> str:
    code = (Path(corruptions.__file__), Path(__file__), Path(calibration.__file__))
    return hashlib.sha256(b"".join(path.read_bytes() for path in code)).hexdigest()
