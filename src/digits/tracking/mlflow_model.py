"""The trained model in the layout of MLflow's Keras flavour, without importing Keras and with DVC's bytes.

`mlflow.keras.log_model` would load TensorFlow and save the model again, with other bytes. `mlflow.pyfunc` reads this
layout as it reads that one.
"""

import platform
import shutil
from importlib import metadata
from pathlib import Path

import numpy as np
from mlflow import pyfunc
from mlflow.entities import LoggedModel
from mlflow.models import Model, ModelSignature
from mlflow.models.utils import _save_example
from mlflow.types import Schema, TensorSpec
from ruamel.yaml import YAML

from digits.common.types import CLASSES, IMAGE_SIDE, Images

SIGNATURE = ModelSignature(
    inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, IMAGE_SIDE, IMAGE_SIDE))]),
    outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, CLASSES))]),
)

REQUIREMENTS = ("mlflow", "tensorflow", "keras", "numpy", "pandas")


def write(folder: Path, keras_file: Path, logged: LoggedModel, example: Images) -> None:
    """Write `folder` so that `mlflow.pyfunc.load_model` and `mlflow models serve` read it.

    Args:
        folder: a folder that is empty or absent.
        keras_file: the trained model, copied as it is.
        logged: MLflow's record of the model.
        example: some raw images, float32 (n, 28, 28), pixels 0..255.
    """
    data = folder / "data"
    data.mkdir(parents=True)
    shutil.copyfile(keras_file, data / "model.keras")
    (data / "keras_module.txt").write_text("keras")

    model = Model(
        artifact_path=logged.artifact_location,
        run_id=logged.source_run_id,
        model_uuid=logged.model_id,
        model_id=logged.model_id,
        signature=SIGNATURE,
    )
    _save_example(model, example, str(folder))
    model.add_flavor(
        "keras",
        data="data",
        keras_version=metadata.version("keras"),
        keras_backend="tensorflow",
        save_exported_model=False,
    )
    pyfunc.add_to_model(model, loader_module="mlflow.keras", conda_env="conda.yaml", python_env="python_env.yaml")
    model.model_size_bytes = keras_file.stat().st_size
    model.save(str(folder / "MLmodel"))
    _write_environment(folder)


def _write_environment(folder: Path) -> None:
    """The three files from which MLflow builds an environment for the model."""
    pinned = [f"{name}=={metadata.version(name)}" for name in REQUIREMENTS]
    python = platform.python_version()
    (folder / "requirements.txt").write_text("\n".join([*pinned, ""]))
    for file, content in {
        "python_env.yaml": {"python": python, "dependencies": ["-r requirements.txt"]},
        "conda.yaml": {
            "name": "digits",
            "channels": ["conda-forge"],
            "dependencies": [f"python={python}", "pip", {"pip": pinned}],
        },
    }.items():
        with (folder / file).open("w") as written:
            YAML(typ="safe").dump(content, written)
