"""Does the pipeline learn what the tutorial learns? The mean test accuracy of both, over the number of runs.

Run it as `make bench-accuracy`; it writes benchmarks/accuracy.json. Both train on all 60,000 images.

The tutorial sets no seed, and neither do its runs here. A seed makes `model.fit` draw the same order of the
images in every epoch, which costs it accuracy: a seeded tutorial would be an unfair peer, so its figure only
stands beside.
"""

import multiprocessing
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from digits import artifacts, backend, datasets, idx, params, preprocessing
from digits.checkpoints import Checkpoint
from digits.errors import run_stage

RUNS = 5

Raw = tuple[idx.Bytes, idx.Bytes, idx.Bytes, idx.Bytes]


def tutorial(raw: Raw, seed: int | None) -> float:
    """The tutorial's lines, unseeded as they are or on a seed."""
    import tensorflow as tf

    from tutorial import trained  # which imports it too

    if seed is not None:
        tf.keras.utils.set_random_seed(seed)
    x_train, y_train, x_test, y_test = raw
    x_train = tf.keras.utils.normalize(x_train, axis=1)
    x_test = tf.keras.utils.normalize(x_test, axis=1)
    model = trained(x_train, y_train, verbose=0)
    return float(model.evaluate(x=x_test, y=y_test, verbose=0)[1])


def pipeline(raw: Raw, seed: int) -> float:
    """What the stages normalize, train and evaluate do, on a seed."""
    recipe = params.load().recipes["tutorial"]
    backend.start(recipe.threads)
    from digits import models, training

    splits = preprocessing.split(*raw, held_out=np.zeros(len(raw[0]), dtype=np.bool_), method="l2")
    network = models.build(recipe, seed)
    train, validation = ((splits[f"x_{name}"], splits[f"y_{name}"]) for name in ("train", "val"))
    with TemporaryDirectory() as folder:
        checkpoint = Checkpoint(Path(folder, "checkpoint.npz"), "benchmark")
        training.fit(network, recipe, seed, train, validation, checkpoint)
    predicted = models.probabilities(network, splits["x_test"]).argmax(axis=1)
    return float((predicted == splits["y_test"]).mean())


def measured(fit: Callable[..., float], raw: Raw, seeds: Iterable[int | None]) -> dict[str, Any]:
    """Test accuracies (0..1), their mean and spread; each fit in a process of its own."""
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawning, max_tasks_per_child=1) as pool:
        accuracies = list(pool.map(partial(fit, raw), seeds))
    return {
        "accuracies": [round(value, 4) for value in accuracies],
        "mean": round(float(np.mean(accuracies)), 5),
        "standard_deviation": round(float(np.std(accuracies, ddof=1)), 5),
    }


def main() -> None:
    """Train both, run after run."""
    with TemporaryDirectory() as folder:
        datasets.fetch("mnist", Path(folder))
        raw = idx.read(Path(folder))
    results = {
        "digits": measured(pipeline, raw, range(RUNS)),
        "tutorial": measured(tutorial, raw, [None] * RUNS),
        "tutorial, seeded": measured(tutorial, raw, range(RUNS)),
    }
    difference = 100 * (results["digits"]["mean"] - results["tutorial"]["mean"])
    versions = {name: metadata.version(name) for name in ("tensorflow", "keras", "numpy")}
    about = {"runs": RUNS, "difference_in_points": round(difference, 3), "versions": versions}
    artifacts.write_json(Path("benchmarks/accuracy.json"), results | about)
    for name, result in results.items():
        print(f"{name}: {result['mean']:.4f} +- {result['standard_deviation']:.4f}")


if __name__ == "__main__":
    run_stage(main)
