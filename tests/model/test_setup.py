"""TensorFlow as importing `digits.model` leaves it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.sandbox import ROOT

SCRIPT = """
from digits import model
model.set_threads(3)
import matplotlib, pandas, sklearn  # hidden from Keras alone
import keras, tensorflow as tf
from tensorflow.python.framework import config
print(pandas.DataFrame({"x": [1]}).x.sum(), matplotlib.__name__, sklearn.__name__)
print(keras.backend.backend(), keras.config.floatx(), tf.config.list_physical_devices("GPU"))
print(tf.config.threading.get_intra_op_parallelism_threads(), tf.config.threading.get_inter_op_parallelism_threads())
print("deterministic", config.is_op_determinism_enabled())
"""


SETTINGS = """
from digits import model
import keras
from keras import config
print(config.backend(), config.image_data_format(), config.floatx(), config.epsilon(), config.dtype_policy().name)
print(config.max_epochs(), config.max_steps_per_epoch(), config.is_nnx_enabled())
"""


def run(script: str, **variables: str) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **variables}
    return subprocess.check_output([sys.executable, "-c", script], env=environment, text=True).splitlines()


@pytest.mark.slow
def test_tensorflow_is_set_up_on_import() -> None:
    printed = run(SCRIPT, XLA_FLAGS="")
    assert printed == ["1 matplotlib sklearn", "tensorflow float32 []", "3 1", "deterministic True"]


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["HOME", "KERAS_HOME"])
def test_settings_of_the_user_do_not_reach_keras(tmp_path: Path, variable: str) -> None:
    """Every key of keras.json, in both places where Keras looks for it, and every variable that Keras documents."""
    content = {
        "backend": "jax",
        "image_data_format": "channels_first",
        "floatx": "float64",
        "epsilon": 0.1,
        "nnx_enabled": True,
    }
    home = tmp_path if variable == "KERAS_HOME" else tmp_path / ".keras"
    home.mkdir(exist_ok=True)
    (home / "keras.json").write_text(json.dumps(content))
    limits = {"KERAS_MAX_EPOCHS": "1", "KERAS_MAX_STEPS_PER_EPOCH": "1", "KERAS_NNX_ENABLED": "true"}
    printed = run(SETTINGS, **{variable: str(tmp_path)}, KERAS_BACKEND="jax", **limits)
    assert printed == ["tensorflow channels_last float32 1e-07 float32", "None None False"]
