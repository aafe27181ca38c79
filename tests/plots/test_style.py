"""Figures look the same and have the same bytes, whatever the user has set."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from digits.plots import style
from helpers.sandbox import ROOT


def draw(path: Path) -> bytes:
    with style.figure(path, 2, 2) as drawn:
        axes = drawn.subplots()
        axes.plot([0, 1])
    return path.read_bytes()


def test_users_settings_do_not_matter(tmp_path: Path) -> None:
    before = draw(tmp_path / "one.png")
    with mpl.rc_context({"axes.facecolor": "red", "font.size": 20, "savefig.dpi": 30}):
        assert draw(tmp_path / "two.png") == before
        assert mpl.rcParams["font.size"] == 20, "and are as they were afterwards"


@pytest.mark.slow
def test_backend_of_a_notebook_does_not_matter() -> None:
    notebook = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **notebook}
    subprocess.run([sys.executable, "-c", "from digits.plots import style"], env=environment, check=True)


def test_file_names_no_software(tmp_path: Path) -> None:
    assert b"matplotlib" not in draw(tmp_path / "one.png").lower()


def test_failed_drawing_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), style.figure(tmp_path / "one.png", 2, 2):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_images_have_no_axes(tmp_path: Path) -> None:
    with style.figure(tmp_path / "one.png", 2, 2) as drawn:
        axes = drawn.subplots()
        style.show_image(axes, np.zeros((28, 28), np.uint8))
    assert not axes.axison
    assert axes.images[0].get_cmap().name == "gray"
