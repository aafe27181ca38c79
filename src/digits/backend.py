"""TensorFlow, started the same way on every machine, before anything imports Keras."""

import os

# The user's environment must not decide: each of these changes which kernels compute, and so the last digits.
FIXED = {"KERAS_BACKEND": "tensorflow", "TF_ENABLE_ONEDNN_OPTS": "1", "TF_XLA_FLAGS": "", "XLA_FLAGS": ""}


def start(threads: int) -> None:
    """Import TensorFlow and fix what its results depend on beside their inputs.

    Args:
        threads: how many compute one operation. Sums are split among them, so their number changes the last
            digits of a result; the number of cores does not.
    """
    os.environ.update(FIXED)
    import keras
    import tensorflow as tf

    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
