"""Temperature scaling: one number that makes a network's confidence agree with its accuracy.

Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from digits.common.types import Labels

RANGE = (0.2, 5.0)  # without a bound, a few images that are all correct would drive it to 0


def fit_temperature(logits: NDArray[np.float32], labels: Labels) -> float:
    """The temperature with the least cross-entropy of `softmax(logits / temperature)`, to four decimals.

    Args:
        logits: of images that the network was not trained on, (n, 10); if there are none, the temperature is 1.
        labels: of these images, (n,).
    """
    if not len(labels):
        return 1.0
    exact, rows = logits.astype(np.float64), np.arange(len(labels))

    def cross_entropy(log_temperature: float) -> float:
        return -float(log_softmax(exact / np.exp(log_temperature), axis=1)[rows, labels].mean())

    found = minimize_scalar(cross_entropy, bounds=np.log(RANGE), method="bounded", options={"xatol": 1e-6})
    return round(float(np.exp(found.x)), 4)
