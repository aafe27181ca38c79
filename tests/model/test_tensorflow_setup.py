"""What TensorFlow says when it aborts arrives, its noise does not, and the process is afterwards as it was."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from digits.model import tensorflow_setup

SOURCE = Path(tensorflow_setup.__file__).parents[2]

ABORTS = r"""
import os
os.write(2, b"I0000 noise\n")
os.write(2, b"F0000 no AVX here\n")
os.abort()
"""

FAILS = """
import gc, os, sys
os.write(2, b"I0000 noise\\n")
assert not gc.isenabled()
assert sys.modules["pandas"] is None
raise ImportError("no TensorFlow here")
"""


def run(script: str, tensorflow: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """A Python script, with a package of that folder in TensorFlow's place."""
    paths = [str(tensorflow)] if tensorflow else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, str(SOURCE)])}
    return subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)


def fake_tensorflow(folder: Path, code: str) -> Path:
    (folder / "tensorflow").mkdir()
    (folder / "tensorflow/__init__.py").write_text(code)
    return folder


def test_message_of_an_abort_arrives(tmp_path: Path) -> None:
    """TensorFlow aborts the process on a processor without AVX."""
    script = "import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
    script += "from digits.model import tensorflow_setup; tensorflow_setup.configure(1)"
    ended = run(script, fake_tensorflow(tmp_path, ABORTS))
    assert ended.returncode < 0
    assert ended.stderr == "F0000 no AVX here\n"


def test_failed_import_restores_the_process(tmp_path: Path) -> None:
    script = """
import gc, sys
from digits.model import tensorflow_setup
try:
    tensorflow_setup.configure(1)
except ImportError as error:
    print(error)
print(gc.isenabled(), "pandas" in sys.modules)
print("I0000 noise of ours", file=sys.stderr)
"""
    ended = run(script, fake_tensorflow(tmp_path, FAILS))
    assert ended.stdout == "no TensorFlow here\nTrue False\n"
    assert ended.stderr == "I0000 noise of ours\n", "stderr is no longer filtered"


@pytest.mark.slow
def test_real_import_is_silent_and_restores_the_process() -> None:
    """The packages that were hidden from Keras can be imported, and TensorFlow is set up as asked."""
    script = """
import gc
from digits.model import tensorflow_setup
tensorflow_setup.configure(3)
import matplotlib, pandas, sklearn
import keras, tensorflow as tf
print(gc.isenabled(), pandas.DataFrame({"x": [1]}).x.sum(), matplotlib.__name__, sklearn.__name__)
print(keras.backend.backend(), tf.config.list_physical_devices("GPU"))
print(tf.config.threading.get_intra_op_parallelism_threads(), tf.config.threading.get_inter_op_parallelism_threads())
"""
    ended = run(script)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["True 1 matplotlib sklearn", "tensorflow []", "3 1"]
    assert ended.stderr == ""


@pytest.mark.usefixtures("tensorflow")
def test_garbage_is_collected_afterwards() -> None:
    assert gc.isenabled()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "-1"
