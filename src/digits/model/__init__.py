"""TensorFlow, set up on import, before anything imports Keras; architectures, .keras files and inference."""

import gc
import os
import sys

# Fixed, because each of these changes which kernels run, and so the last digits. Keras's own variables and the user's
# keras.json would change even the network, so it gets none of them.
for _name in [name for name in os.environ if name.startswith("KERAS_")]:
    del os.environ[_name]
os.environ |= {
    "CUDA_VISIBLE_DEVICES": "-1",
    "KERAS_BACKEND": "tensorflow",
    "KERAS_HOME": os.devnull,
    "TF_CPP_MIN_LOG_LEVEL": "2",  # errors
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_XLA_FLAGS": "",
    "XLA_FLAGS": "--xla_backend_extra_options=xla_cpu_disable_loop_unrolling",  # 10 % less compile time
}

# Keras imports these packages if it finds them, for features that nothing here uses: 2 of the 5 s of its import.
# Garbage collections, now and later of what is imported here, would take another second.
gc.disable()
_hidden = {"matplotlib", "pandas", "sklearn"} - set(sys.modules)
sys.modules.update(dict.fromkeys(_hidden))  # type: ignore[arg-type]

import keras  # noqa: E402, F401
import tensorflow as tf  # noqa: E402

for _name in _hidden:
    del sys.modules[_name]
gc.freeze()
gc.enable()

tf.config.experimental.enable_op_determinism()


def set_threads(intra_op_threads: int, inter_op_threads: int = 1) -> None:
    """Set TensorFlow's thread pools, before it computes anything.

    Sums are split among the threads of one operation, `intra_op_threads`, so their number changes the last digits of a
    result; the number of cores does not. As many operations as `inter_op_threads` are computed at the same time.
    """
    tf.config.threading.set_intra_op_parallelism_threads(intra_op_threads)
    tf.config.threading.set_inter_op_parallelism_threads(inter_op_threads)
