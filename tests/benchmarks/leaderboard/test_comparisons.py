"""Differences between recipes whose accuracies are known."""

import numpy as np
import pytest

from leaderboard.comparisons import accuracy_differences


def test_recipes_are_compared_with_the_next() -> None:
    right, wrong = np.ones((2, 50), bool), np.zeros((1, 50), bool)
    table = accuracy_differences({"good": right, "bad": wrong, "worse": wrong})
    assert table.to_dict("split", index=False) == {
        "columns": ["recipe", "other", "difference", "low", "high"],
        "data": [["good", "bad", 1, 1, 1], ["bad", "worse", 0, 0, 0]],
    }


def test_images_are_paired() -> None:
    """Both err on the same thousand images, one on 40 more: a difference that independent samples would hide."""
    generator = np.random.default_rng(0)
    better = generator.random((1, 4000)) > 0.25
    worse = better.copy()
    worse[0, np.flatnonzero(better)[:40]] = False
    (row,) = accuracy_differences({"better": better, "worse": worse}).to_dict("records")
    assert row["difference"] == pytest.approx(0.01)
    assert 0.006 < row["low"] < 0.0075 < 0.0125 < row["high"] < 0.014, "0.01 and two standard deviations, 0.0031"


def test_seeds_are_averaged() -> None:
    """One of two seeds is right about every image."""
    half = np.array([[True] * 30, [False] * 30])
    (row,) = accuracy_differences({"half": half, "none": np.zeros((1, 30), bool)}).to_dict("records")
    assert (row["difference"], row["low"], row["high"]) == (0.5, 0.5, 0.5)
