"""Whatever the bytes, a reader answers, or ends with one line. HYPOTHESIS_EXAMPLES sets how many inputs are tried."""

import os
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from ruamel.yaml import YAML

from digits import params
from digits.commands.predict import pictures
from digits.common.errors import UserError
from digits.data import idx
from digits.data.catalogue import TRAIN_IMAGES, TRAIN_LABELS
from helpers.factories import encode_idx, gzipped
from helpers.sandbox import ROOT

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "50"))
many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="HYPOTHESIS_EXAMPLES" not in os.environ,  # the same inputs each time, unless many are asked for
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

IMAGES = encode_idx(np.arange(2 * 784, dtype=np.uint64).astype(np.uint8).reshape(2, 28, 28))
LABELS = gzipped(encode_idx(np.array([3, 7], np.uint8)))
GOOD: dict[str, Any] = YAML(typ="safe").load(ROOT / "params.yaml")

edits = st.lists(st.tuples(st.integers(0, 2000), st.binary(max_size=4), st.integers(0, 4)), max_size=4)


def edited(content: bytes, changes: list[tuple[int, bytes, int]]) -> bytes:
    """Some bytes replaced, inserted or cut out."""
    for place, new, removed in changes:
        place %= len(content) + 1
        content = content[:place] + new + content[place + removed :]
    return content


def one_line(error: UserError) -> None:
    assert str(error)
    assert "\n" not in str(error)


def lines_start(error: UserError, start: str) -> None:
    assert str(error)
    assert all(line.startswith(start) for line in str(error).split("\n"))


headers = st.tuples(*[st.integers(0, 2**32 - 1) | st.integers(0, 60)] * 4).map(lambda sizes: struct.pack(">4I", *sizes))


@many
@given(
    st.builds(edited, st.just(gzipped(IMAGES)), edits)
    | st.builds(edited, st.just(IMAGES), edits).map(gzipped)
    | st.builds(bytes.__add__, headers, st.binary(max_size=100)).map(gzipped)
    | st.binary(max_size=100)
)
def test_idx_files_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / TRAIN_IMAGES).write_bytes(content)
    (tmp_path / TRAIN_LABELS).write_bytes(LABELS)
    try:
        images, labels = idx.read_train(tmp_path)
    except UserError as error:
        one_line(error)
    else:
        assert images.shape == (2, 28, 28)
        assert labels.tolist() == [3, 7]


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.dates() | st.binary(max_size=3)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
    max_leaves=5,
)


def paths_of(content: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Where params.yaml has something."""
    inner = [paths_of(value, (*path, key)) for key, value in content.items()] if isinstance(content, dict) else []
    return [path, *[found for each in inner for found in each]]


@many
@given(st.sampled_from(paths_of(GOOD)[1:]), values)
def test_params_are_read_or_refused(path: tuple[str, ...], value: Any) -> None:
    """Any value in the place of a section or a param."""

    def changed(content: Any, path: tuple[str, ...]) -> Any:
        return {**content, path[0]: changed(content[path[0]], path[1:])} if path else value

    try:
        params.check(changed(GOOD, path), "params.yaml")
    except UserError as error:
        lines_start(error, "params.yaml: ")


@many
@given(st.builds(edited, st.just((ROOT / "params.yaml").read_bytes()), edits) | st.binary(max_size=60))
def test_params_files_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    try:
        params.load(path)
    except UserError as error:
        lines_start(error, f"{path}: ")


def encoded(kind: str) -> bytes:
    """A 7 of 40 x 40 pixels."""
    picture = np.full((40, 40), 255, np.uint8)
    picture[8:12, 10:30] = 0
    picture[8:32, 26:30] = 0
    file = BytesIO()
    Image.fromarray(picture).save(file, kind)
    return file.getvalue()


@many
@given(
    st.builds(edited, st.sampled_from([encoded("PNG"), encoded("JPEG")]), edits)
    | st.builds(bytes.__add__, st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"]), st.binary(max_size=200))
)
def test_pictures_are_read_or_refused(content: bytes) -> None:
    try:
        picture = pictures.read(content)
    except UserError as error:
        one_line(error)
    else:
        assert picture.seen.shape == (28, 28)
        assert np.isfinite(picture.grey).all()


@many
@given(st.integers(8, 40), st.integers(8, 40), st.data())
def test_pixels_are_read_or_refused(height: int, width: int, data: st.DataObject) -> None:
    """Any pixels, of a few shades."""
    shades = data.draw(st.lists(st.integers(0, 255), min_size=1, max_size=4))
    seed = data.draw(st.integers(0, 2**32 - 1))
    coarse = np.random.default_rng(seed).choice(np.array(shades, np.uint8), (-(-height // 4), -(-width // 4)))
    file = BytesIO()
    Image.fromarray(coarse.repeat(4, 0).repeat(4, 1)[:height, :width]).save(file, "PNG")
    try:
        assert pictures.read(file.getvalue()).seen.max() > 0
    except UserError as error:
        one_line(error)
