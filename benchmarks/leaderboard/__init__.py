"""The study: every recipe with several seeds, compared in accuracy, time, calibration and robustness.

`python -m leaderboard` runs it; `make leaderboard` sets the path.
"""

import digits.model  # noqa: F401 (sets TensorFlow up before anything here imports it)
