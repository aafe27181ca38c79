"""How fast is an epoch of convolutions? The recipe `cnn` with minmax, by Digits and by PyTorch in turn.

It is a part of `make bench`, takes six minutes on an idle machine, and writes benchmarks/convolutions.json and the
tables of benchmarks/README.md.
"""

import tempfile
from collections import defaultdict
from pathlib import Path

import report
from digits import params
from digits.common.errors import exit_on_user_error
from digits.data import download
from speed import Values, fits, make_task, save

ROUNDS = 3
EPOCHS = 3


def main() -> None:
    """Measure, and write the results."""
    values: Values = defaultdict(list)
    recipe = params.load().recipes["cnn"].model_copy(update={"epochs": EPOCHS, "normalization": "minmax"})
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "raw")
        download.fetch("mnist", raw)
        task = make_task(recipe, raw, Path(folder, "normalized.npz"))
        names = list(report.CONVOLUTION_TRAINERS)
        for number in range(ROUNDS):
            print(f"round {number + 1} of {ROUNDS}", flush=True)
            fits(names, {**task, "seed": number}, number % len(names), values)
    save(report.CONVOLUTIONS, values, report.CONVOLUTION_RATIOS)


if __name__ == "__main__":
    exit_on_user_error(main)
