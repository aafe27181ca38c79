"""TensorFlow, configured the same way on every machine before anything imports Keras."""

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Compiles the tutorial's epoch in a tenth less time, and to code that is as fast.
XLA_FLAGS = "--xla_backend_extra_options=xla_cpu_disable_loop_unrolling"

# Fixed, because each of these changes which kernels run, and so the last digits.
ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "1",  # warnings and errors
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_XLA_FLAGS": "",
    "XLA_FLAGS": XLA_FLAGS,
}

# Keras imports these packages for features that the pipeline does not use, which takes over a second.
OPTIONAL = ("matplotlib", "pandas", "sklearn")

# TensorFlow prints these at every start, at every log level: its own progress, and that there is no GPU.
NOISE = "^I[0-9]{4} |^WARNING: All log messages before absl|^To enable the following|^E[0-9]{4} .*call to cuInit"


def configure(num_threads: int, num_operations: int = 1) -> None:
    """Import TensorFlow and fix what its results depend on besides their inputs. It computes on the CPU.

    Args:
        num_threads: threads that compute one operation. Sums are split among them, so their number changes the last
            digits of a result; the number of cores does not.
        num_operations: operations that are computed at the same time, where they do not depend on each other.
    """
    os.environ.update(ENVIRONMENT)
    with _quick_import(), _without_noise():
        import keras
        import tensorflow as tf

        tf.config.list_physical_devices()  # prints what it prints now

    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    tf.config.threading.set_intra_op_parallelism_threads(num_threads)
    tf.config.threading.set_inter_op_parallelism_threads(num_operations)
    tf.config.experimental.enable_op_determinism()


@contextmanager
def _quick_import() -> Iterator[None]:
    """Import without garbage collection, which takes a third of the time, and without Keras's optional packages.

    Keras then does without pandas for the rest of the process, even if pandas is imported later.
    """
    hidden = [name for name in OPTIONAL if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
        for name in hidden:
            del sys.modules[name]


@contextmanager
def _without_noise() -> Iterator[None]:
    """Pass stderr through grep, in a process of its own: what TensorFlow says when it aborts still arrives."""
    sys.stderr.flush()
    stderr = os.dup(2)
    reader, writer = os.pipe()
    with subprocess.Popen(["grep", "-Ev", NOISE], stdin=reader, stdout=stderr):  # noqa: S603, S607
        os.close(reader)
        os.dup2(writer, 2)
        os.close(writer)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
