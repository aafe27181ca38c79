"""A paired bootstrap over the test images, to compare the accuracies of recipes."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import bootstrap

RESAMPLES = 2000


def accuracy_differences(correct: Mapping[str, NDArray[np.bool_]]) -> pd.DataFrame:
    """One row for each recipe but the last: its test accuracy minus that of the next one.

    Takes an array by recipe, (seeds, n): whether each model is right about each test image. Columns: `recipe`, `other`,
    `difference` of the mean accuracies (-1..1), and `low` and `high`, the ends of its 95 % interval. Recipes tend to
    err on the same images, so both are resampled with the same images. The seeds are not resampled: the interval
    leaves out their variation.
    """
    generator = np.random.default_rng(0)
    rows = []
    for recipe, other in pairwise(correct):
        differences = correct[recipe].mean(axis=0) - correct[other].mean(axis=0)
        resampled = bootstrap(
            (differences,), np.mean, n_resamples=RESAMPLES, batch=100, method="percentile", rng=generator
        )
        low, high = resampled.confidence_interval
        rows.append((recipe, other, differences.mean(), low, high))
    return pd.DataFrame(rows, columns=["recipe", "other", "difference", "low", "high"])
