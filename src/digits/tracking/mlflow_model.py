"""The trained model in the layout of MLflow's Keras flavour, without importing Keras and with DVC's bytes.

`mlflow.keras.log_model` would load TensorFlow and save the model again, with other bytes.
"""

from importlib import metadata
from pathlib import Path

import numpy as np
from mlflow import pyfunc
from mlflow.entities import LoggedModel
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

from digits.common.types import CLASSES, IMAGE_SIDE, Images

SIGNATURE = ModelSignature(
    inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, IMAGE_SIDE, IMAGE_SIDE))]),
    outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, CLASSES))]),
)

REQUIREMENTS = ("mlflow", "tensorflow", "keras", "numpy", "pandas")


def write(folder: Path, keras_file: Path, logged: LoggedModel, example: Images) -> None:
    """Write `folder`, which must not exist, so that `mlflow.pyfunc.load_model` and `mlflow models serve` read it.

    The example is some raw images, float32 (n, 28, 28), pixels 0..255.
    """
    model = Model(logged.artifact_location, logged.source_run_id, model_uuid=logged.model_id, model_id=logged.model_id)
    versions = {name: metadata.version(name) for name in REQUIREMENTS}
    model.add_flavor(
        "keras", data="data", keras_version=versions["keras"], keras_backend="tensorflow", save_exported_model=False
    )
    pyfunc.save_model(
        folder,
        loader_module="mlflow.keras",
        data_path=keras_file,
        mlflow_model=model,
        signature=SIGNATURE,
        input_example=example,
        pip_requirements=[f"{name}=={version}" for name, version in versions.items()],
    )
    # The flavour's loader takes the whole folder, and looks up the name of Keras's module.
    (folder / "data/keras_module.txt").write_text("keras")
    del model.flavors["python_function"]["data"]
    model.save(str(folder / "MLmodel"))
