"""TensorFlow, started the same way on every machine, before anything imports Keras."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile

# Each measured on the tutorial's recipe, with two threads.
XLA = (
    "--xla_cpu_prefer_vector_width=512",  # where there is such a unit, its whole width: an epoch takes a tenth less
    "--xla_cpu_copy_insertion_use_region_analysis=true",  # fewer copies of weights: a thirtieth less
    # Fewer and smaller kernels: compilation takes a third less, an epoch a fifteenth.
    "--xla_backend_extra_options=xla_cpu_disable_loop_unrolling,xla_cpu_use_multi_output_fusion",
)

# The user's environment must not decide: each of these changes what computes, and so the last digits.
FIXED = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "1",  # warnings and errors, not what went as planned
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_XLA_FLAGS": "",
    "XLA_FLAGS": " ".join(XLA),
}

# Keras looks for them to offer what the pipeline does not use; importing them takes over a second.
OPTIONAL = ("matplotlib", "pandas", "sklearn")

# What TensorFlow prints at every start, whatever the log level is: that there is no GPU, and which CPU it is.
NOISE = re.compile(rb"I\d{4} |WARNING: All log messages before absl|To enable the following|E\d{4} .*call to cuInit")


def start(threads: int) -> None:
    """Import TensorFlow and fix what its results depend on beside their inputs. It computes on the CPU.

    Args:
        threads: how many compute one operation. Sums are split among them, so their number changes the last
            digits of a result; the number of cores does not.
    """
    os.environ.update(FIXED)
    with _without_noise(), _unimportable(*OPTIONAL):
        import keras
        import tensorflow as tf

        tf.config.list_physical_devices()  # here, where what it prints is held back

    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()


@contextmanager
def _unimportable(*names: str) -> Iterator[None]:
    """Let imports of these packages fail, unless they have been imported before."""
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def _without_noise() -> Iterator[None]:
    """Hold back what is written to stderr meanwhile, by whatever language, and pass on what is no known noise."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            for line in held:
                if not NOISE.match(line):
                    os.write(2, line)
