"""TensorFlow as importing `digits.model` leaves it."""

import os
import subprocess
import sys

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


@pytest.mark.slow
def test_tensorflow_is_set_up_on_import() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "KERAS_BACKEND": "jax", "XLA_FLAGS": ""}
    printed = subprocess.check_output([sys.executable, "-c", SCRIPT], env=environment, text=True)
    assert printed.splitlines() == ["1 matplotlib sklearn", "tensorflow float32 []", "3 1", "deterministic True"]
