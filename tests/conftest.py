"""Fixtures that several test files share."""

import os
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from digits.common.types import Pixels
from digits.plots import style
from helpers.sandbox import PARAMS, ROOT, STAGES, Sandbox, make_sandbox

IN_CI = os.environ.get("DIGITS_CI") == "1"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out what needs Chromium, PostgreSQL, network namespaces and root, unless these must be there."""
    return True if collection_path.name == "system" and not IN_CI else None


def pytest_report_header() -> str:
    """The one line that says so."""
    return "tests/system: " + ("included" if IN_CI else "left out; DIGITS_CI=1 includes it (CONTRIBUTING.md)")


@pytest.fixture(scope="session", autouse=True)
def _clean_environment() -> Iterator[None]:
    """Tests see neither the user's tracking server nor a running DVC experiment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("MLFLOW_", "DVC_")):
                patch.delenv(name)
        patch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")  # else a server takes 2 GB more
        yield


@pytest.fixture(scope="session")
def tensorflow() -> None:
    """TensorFlow as the stages configure it."""
    from digits import model  # takes seconds

    model.set_threads(intra_op_threads=1)


@pytest.fixture(scope="session")
def empty_store(pytestconfig: pytest.Config) -> Path:
    """A folder with an mlflow.db that has no runs, to be copied. MLflow takes seconds to make one; pytest keeps it."""
    from helpers.mlflow_runs import make_database  # imports MLflow, which takes seconds

    assert pytestconfig.cache
    folder = pytestconfig.cache.mkdir(f"mlflow-{metadata.version('mlflow')}")
    if not (folder / "mlflow.db").exists():
        with TemporaryDirectory(dir=folder) as made:
            make_database(Path(made, "mlflow.db"))
            Path(made, "mlflow.db").replace(folder / "mlflow.db")
    return folder


@pytest.fixture
def pixels() -> Pixels:
    """Raw images, uint8 (64, 28, 28), with columns of zeros among them; image 5 is black."""
    images = np.random.default_rng(0).integers(0, 256, (64, 28, 28), dtype=np.uint8)
    images[:, :, :4] = 0
    images[5] = 0
    return images


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Every figure that is drawn, in order."""
    figures: list[Figure] = []

    class Spy(Figure):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            figures.append(self)

    monkeypatch.setattr(style, "Figure", Spy)
    return figures


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """A sandbox in which the whole pipeline has run once. Each test restores the params that it edits."""
    sandbox = make_sandbox(tmp_path_factory.mktemp("pipeline") / "digits")
    assert sandbox.repro() == STAGES
    return sandbox


@pytest.fixture(scope="session")
def cnn(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """A sandbox with the recipe `cnn`, shortened. Tests that use it have the mark `xdist_group("cnn")`."""
    short = {
        "normalize.train_size": 2800,
        "normalize.validation_size": 200,
        "train.recipe": "cnn",
        "recipes.cnn.epochs": 8,
    }
    sandbox = make_sandbox(tmp_path_factory.mktemp("cnn") / "digits", PARAMS | short, small=True)
    from helpers.mlflow_runs import copy_database

    copy_database(empty_store, sandbox.root)
    sandbox.repro()
    return sandbox.having(PYTHONPATH=str(ROOT / "src"))
