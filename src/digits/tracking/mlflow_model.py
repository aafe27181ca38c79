"""The trained model in the layout of MLflow, without importing Keras and with DVC's bytes.

`mlflow.keras.log_model` would load TensorFlow and save the model again, with other bytes, and a server of it would call
Keras's `Model.predict`, which takes a hundred times as long for one image as the compiled predictor.
"""

from importlib import metadata
from pathlib import Path

import numpy as np
from mlflow import pyfunc
from mlflow.entities import LoggedModel
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

from digits.common.types import CLASSES
from digits.tracking.run_content import RunContent

# It has no inputs: MLflow would refuse pixels of every type but theirs. The predictor takes any, and checks the rest.
SIGNATURE = ModelSignature(outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, CLASSES))]))

REQUIREMENTS = ("mlflow", "tensorflow", "keras", "numpy", "pandas")


def write(folder: Path, content: RunContent, logged: LoggedModel) -> None:
    """Write `folder`, which must not exist, for `mlflow.pyfunc`, `mlflow models serve` and `mlflow.keras`."""
    model = Model(logged.artifact_location, logged.source_run_id, model_uuid=logged.model_id, model_id=logged.model_id)
    versions = {name: metadata.version(name) for name in REQUIREMENTS}
    model.add_flavor(
        "keras", data="data", keras_version=versions["keras"], keras_backend="tensorflow", save_exported_model=False
    )
    pyfunc.save_model(
        folder,
        loader_module=content.predictor.stem,
        code_paths=[str(content.predictor)],
        data_path=content.model,
        mlflow_model=model,
        signature=SIGNATURE,
        input_example=content.example,
        pip_requirements=[f"{name}=={version}" for name, version in versions.items()],
    )
    (folder / "data/keras_module.txt").write_text("keras")  # the Keras flavour looks up the name of the module there
