"""Test images whose label is likely wrong, because models that rarely err agree on another class."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digits.common.types import Labels


def likely_label_errors(
    actual: Labels, predicted: NDArray[np.integer], confidence: NDArray[np.floating], threshold: float = 0.9
) -> pd.DataFrame:
    """The images that all models take for the same wrong class, with a mean confidence of at least `threshold`.

    `actual` is (n,); the `predicted` classes and the `confidence` in them (0..1) are (models, n), of one model at
    least. One model's confident errors are its own; those that models of different seeds and architectures share point
    at the label. The mean, unlike the minimum, gives no veto to one hesitant model among many.

    They are candidates, for a person to look at: of those that another method found in ten test sets, people confirmed
    51% on average (Northcutt, Athalye, Mueller, "Pervasive Label Errors in Test Sets Destabilize Machine Learning
    Benchmarks", NeurIPS 2021 Datasets and Benchmarks, arXiv:2103.14749). Scores without them would flatter the models.

    Returns one row per image, most confident first; the index is the image's, `confidence` the mean to six decimals,
    as `metrics.predictions` rounds it.

    Raises:
        ValueError: the shapes do not fit.
    """
    if predicted.shape != confidence.shape or predicted.shape[1:] != actual.shape:
        shapes = f"{predicted.shape} and {confidence.shape}"
        raise ValueError(f"predicted and confidence must be (models, {len(actual)}), got {shapes}")
    mean = confidence.mean(axis=0, dtype=np.float64).round(6)
    agree = (predicted == predicted[0]).all(axis=0)
    found: NDArray[np.bool_] = agree & (predicted[0] != actual) & (mean >= threshold)
    table = pd.DataFrame({"actual": actual, "predicted": predicted[0], "confidence": mean})
    return table[found].sort_values("confidence", ascending=False, kind="stable")
