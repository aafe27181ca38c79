"""Files are whole or absent, have the same bytes each time, and say in one line that they are damaged."""

import time
from pathlib import Path

import numpy as np
import pytest

from digits.common import files
from digits.common.errors import UserError


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "arrays.npz"
    files.write_arrays(path, x=np.arange(3.0), y=np.array([1, 2], np.uint8))
    return path


def test_interrupted_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "file.txt"
    files.write_bytes(path, b"old")
    with pytest.raises(KeyboardInterrupt), files.atomic(path) as temporary:  # noqa: PT012 (writes half, then stops)
        temporary.write_bytes(b"half of the n")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]


def test_unfinished_file_is_hidden_and_keeps_its_suffix(tmp_path: Path) -> None:
    with files.atomic(tmp_path / "image.png") as temporary:
        temporary.write_bytes(b"")
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
        assert temporary.suffix == ".png"
        assert not (tmp_path / "image.png").exists()
    assert (tmp_path / "image.png").exists()


def test_sha256_is_the_published_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert files.sha256(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_json_is_read_as_it_was_written(tmp_path: Path) -> None:
    content = {"b": 1.5, "a": ["x", None]}
    files.write_json(tmp_path / "file.json", content)
    assert list(files.read_json(tmp_path / "file.json").items()) == list(content.items())
    assert (tmp_path / "file.json").read_text().startswith('{\n  "b": 1.5,\n')


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_has_no_nan(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "file.json", {"loss": value})
    assert list(tmp_path.iterdir()) == []


def test_bytes_do_not_depend_on_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(name: str, now: float) -> list[bytes]:
        monkeypatch.setattr(time, "time", lambda: now)
        files.write_json(tmp_path / f"{name}.json", {"x": 1})
        files.write_arrays(tmp_path / f"{name}.npz", x=np.arange(5), y=np.zeros(0))
        files.write_csv(tmp_path / f"{name}.csv", {"x": [1 / 3]})
        return [(tmp_path / f"{name}.{suffix}").read_bytes() for suffix in ("json", "npz", "csv")]

    assert write("first", 1e9) == write("second", 1.5e9)


def test_arrays_are_the_same_bytes_whatever_the_python(tmp_path: Path) -> None:
    """Those of 3.11.2 and 3.11.7."""
    files.write_arrays(tmp_path / "arrays.npz", x=np.arange(6, dtype=np.float32).reshape(2, 3), y=np.arange(3))
    assert files.sha256(tmp_path / "arrays.npz") == "e8ca377924539a3ff104594f4a8ca60cdfe14583c88ebb904e7de70079582ce6"


def test_arrays_are_read_by_name(tmp_path: Path) -> None:
    written: dict[str, files.Array] = {
        "images": np.arange(6, dtype=np.float32).reshape(1, 2, 3),
        "none": np.zeros((0, 28, 28), np.float32),
        "labels": np.array([1, 2, 3], np.uint8),
        "transposed": np.arange(6).reshape(2, 3).T,
    }
    files.write_arrays(tmp_path / "arrays.npz", **written)
    read = files.read_arrays(tmp_path / "arrays.npz", *reversed(written))
    for array, expected in zip(reversed(read), written.values(), strict=True):
        np.testing.assert_array_equal(array, expected, strict=True)


def assert_refused(path: Path, *names: str) -> None:
    with pytest.raises(UserError) as error:
        files.read_arrays(path, *names)
    message = str(error.value)
    assert message.startswith(f"{path}: cannot be read (")
    assert message.endswith("dvc repro")
    assert "\n" not in message


def test_missing_array_is_refused(archive: Path) -> None:
    assert_refused(archive, "x", "z")


def test_missing_file_stays_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.npz"):
        files.read_arrays(tmp_path / "absent.npz", "x")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and then nothing", b"no archive at all"])
def test_overwritten_arrays_are_refused(archive: Path, content: bytes) -> None:
    archive.write_bytes(content)
    assert_refused(archive, "x", "y")


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    """Nothing in them is run."""

    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (str(tmp_path / "run"),)

    np.savez(tmp_path / "arrays.npz", values=np.array([Hostile()], dtype=object))
    with pytest.raises(UserError, match="Object arrays cannot be loaded"):
        files.read_arrays(tmp_path / "arrays.npz", "values")
    assert not (tmp_path / "run").exists()


def test_truncated_arrays_are_refused(archive: Path) -> None:
    whole = archive.read_bytes()
    for length in range(len(whole)):
        archive.write_bytes(whole[:length])
        assert_refused(archive, "x", "y")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # NumPy's, of a damaged header that it can still read
def test_damaged_byte_is_refused_or_harmless(archive: Path) -> None:
    """Every byte in turn: the arrays are either read as they were, or the error names the file."""
    whole = archive.read_bytes()
    refused = 0
    for position, byte in enumerate(whole):
        for wrong in (byte ^ 0x01, byte ^ 0xFF):
            archive.write_bytes(whole[:position] + bytes([wrong]) + whole[position + 1 :])
            try:
                x, y = files.read_arrays(archive, "x", "y")
            except UserError:
                refused += 1
                assert_refused(archive, "x", "y")
            else:
                assert (x.tolist(), y.tolist()) == ([0, 1, 2], [1, 2])
    assert refused > len(whole)


def test_csv_has_six_decimals(tmp_path: Path) -> None:
    files.write_csv(tmp_path / "t.csv", {"epoch": [1, 2], "loss": np.array([1 / 3, 1e-9], dtype=np.float32)})
    assert (tmp_path / "t.csv").read_bytes() == b"epoch,loss\n1,0.333333\n2,0.000000\n"


def test_csv_columns_must_be_equally_long(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shorter"):
        files.write_csv(tmp_path / "t.csv", {"x": [1, 2], "y": [1]})
    assert list(tmp_path.iterdir()) == []
