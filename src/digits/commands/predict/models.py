"""Load a model, from a file or from MLflow."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from digits import model
from digits.commands.predict import model_check
from digits.common.errors import UserError
from digits.common.types import CLASSES, IMAGE_SIDE
from digits.model import keras_file
from digits.model.predictor import Predictor

IMAGE = (IMAGE_SIDE, IMAGE_SIDE)
SHAPES = ((None, *IMAGE), (None, CLASSES))  # of inputs and outputs


def load(name: str) -> Predictor:
    """Load a .keras file that stage train wrote, or a model in MLflow's registry, such as models:/digits@champion.

    Raises:
        UserError: there is no such model, or it is another one.
    """
    if not name.startswith("models:/"):
        return _load_file(Path(name), name, "`dvc repro` trains one")
    with TemporaryDirectory() as folder:
        return _load_file(download(name, Path(folder)), name, "stage track did not log it")


def download(name: str, folder: Path) -> Path:
    """The .keras file of a model in MLflow's registry, in `folder`; it is missing if stage track did not log the model.

    Raises:
        UserError: there is no such model.
    """
    import mlflow  # takes a second

    from digits.tracking import store

    with store.connect(create=False):
        return Path(mlflow.artifacts.download_artifacts(name, dst_path=str(folder)), "data/model.keras")


def _load_file(path: Path, name: str, advice: str) -> Predictor:
    if not path.is_file():
        raise UserError(f"{name}: there is no such model; {advice}")
    model.set_threads(intra_op_threads=1)
    try:
        return _read(path)
    except Exception as error:  # the file may be anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{name}: is not a model that stage train wrote: {reason}") from error


def _read(path: Path) -> Predictor:
    model_check.check(path)
    classifier = keras_file.load(path)
    if (classifier.input_shape, classifier.output_shape) != SHAPES:
        raise ValueError("it does not take images of 28 x 28 pixels and give 10 probabilities")
    predictor = Predictor(classifier)
    black_and_line = np.zeros((1, *IMAGE)), np.diag(np.full(IMAGE_SIDE, 255))[np.newaxis]
    probabilities = np.concatenate([predictor(image) for image in black_and_line])  # one by one, as drawings come
    if not (np.isfinite(probabilities).all() and np.allclose(probabilities.sum(axis=1), 1, atol=1e-3)):
        raise ValueError("its outputs are not probabilities")
    return predictor
