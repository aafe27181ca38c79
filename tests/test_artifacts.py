"""Whole files or none, and always the same bytes."""

import time
from pathlib import Path

import numpy as np
import pytest

from digits import artifacts


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "file.txt"
    artifacts.write_bytes(path, b"old")
    with pytest.raises(KeyboardInterrupt), artifacts.atomic(path) as temporary:  # noqa: PT012, it is the point
        temporary.write_bytes(b"half of the n")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]


def test_json_has_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        artifacts.write_json(tmp_path / "file.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_bytes_do_not_depend_on_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(name: str, now: float) -> list[bytes]:
        monkeypatch.setattr(time, "time", lambda: now)
        artifacts.write_gzip(tmp_path / f"{name}.gz", b"content" * 100)
        artifacts.write_arrays(tmp_path / f"{name}.npz", x=np.arange(5), y=np.zeros(0))
        artifacts.write_table(tmp_path / f"{name}.csv", {"x": [1 / 3]})
        return [(tmp_path / f"{name}.{suffix}").read_bytes() for suffix in ("gz", "npz", "csv")]

    assert write("first", 1e9) == write("second", 1.5e9)


def test_arrays_are_mapped_where_the_file_has_them(tmp_path: Path) -> None:
    written = {
        "images": np.arange(6, dtype=np.float32).reshape(1, 2, 3),
        "none": np.zeros((0, 28, 28), np.float32),
        "labels": np.array([1, 2, 3], np.uint8),
        "transposed": np.arange(6).reshape(2, 3).T,
    }
    path = tmp_path / "arrays.npz"
    artifacts.write_arrays(path, **written)
    mapped = artifacts.map_arrays(path)
    with np.load(path) as loaded:
        for name, array in written.items():
            for read in (mapped[name], loaded[name]):
                assert read.dtype == array.dtype
                np.testing.assert_array_equal(read, array)
            assert not array.size or mapped[name].ctypes.data % artifacts.ALIGNMENT == 0, "which TensorFlow asks for"
    before = path.read_bytes()
    mapped["labels"][0] = 7
    assert path.read_bytes() == before


def test_a_table_has_six_decimals(tmp_path: Path) -> None:
    artifacts.write_table(tmp_path / "t.csv", {"epoch": [1, 2], "loss": np.array([1 / 3, 1e-9], dtype=np.float32)})
    assert (tmp_path / "t.csv").read_text() == "epoch,loss\n1,0.333333\n2,0.000000\n"


def test_other_arrays_are_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "compressed.npz", x=np.zeros((2, 3)))
    np.savez(tmp_path / "transposed.npz", x=np.zeros((2, 3)).T)
    for name in ("compressed", "transposed"):
        with pytest.raises(ValueError, match="is not as write_arrays writes it"):
            artifacts.map_arrays(tmp_path / f"{name}.npz")
