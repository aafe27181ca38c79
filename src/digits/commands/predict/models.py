"""Load a model, from a file or from MLflow."""

import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from digits import model
from digits.common.errors import UserError
from digits.common.types import CLASSES, IMAGE_SIDE, Classifier
from digits.model import inference, keras_file


def load(name: str) -> Classifier:
    """Load a .keras file that stage train wrote, or a model in MLflow's registry, such as models:/digits@champion.

    Raises:
        UserError: there is no such model, or its inputs or outputs have another shape.
    """
    if not name.startswith("models:/"):
        return _load_file(Path(name), name)
    import mlflow  # takes a second

    from digits.tracking import store

    with TemporaryDirectory() as folder, store.connect(create=False):
        downloaded = mlflow.artifacts.download_artifacts(name, dst_path=folder)
        return _load_file(Path(downloaded, "data/model.keras"), name)


def _load_file(path: Path, name: str) -> Classifier:
    if not path.is_file():
        raise UserError(f"{name}: there is no such model; `dvc repro` trains one")
    model.set_threads(intra_op_threads=1)
    try:
        classifier = keras_file.load(path)
    except (OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{name}: is not a readable Keras model; restore it with `dvc checkout`") from error
    if (classifier.input_shape, classifier.output_shape) != ((None, IMAGE_SIDE, IMAGE_SIDE), (None, CLASSES)):
        raise UserError(f"{name}: must take images of 28 x 28 pixels and give 10 probabilities, as stage train's does")
    return lambda images: inference.predict(classifier, images)
