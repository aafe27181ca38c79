"""Does the pipeline learn what the tutorial learns? The mean test accuracy of both over several runs.

Run it as `make bench-accuracy`; it writes benchmarks/accuracy.json. Both train on all 60,000 images.

The tutorial sets no seed, and neither do its runs here: a seed makes `model.fit` use the same order of the images in
every epoch, which costs accuracy. The seeded figure is reported next to it.
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

from digits import params
from digits.common import files
from digits.common.errors import exit_on_user_error
from digits.common.types import Labels, Pixels
from digits.data import download, idx
from digits.data.normalization import l2

RUNS = 5

Raw = tuple[Pixels, Labels, Pixels, Labels]


# Each imports TensorFlow by itself: the tutorial's is not set up as Digits sets it up.


def tutorial(raw: Raw, seed: int | None) -> float:
    """The tutorial's code, with a seed or without."""
    import tensorflow as tf

    from tutorial import trained

    if seed is not None:
        tf.keras.utils.set_random_seed(seed)
    x_train, y_train, x_test, y_test = raw
    x_train = tf.keras.utils.normalize(x_train, axis=1)
    x_test = tf.keras.utils.normalize(x_test, axis=1)
    model = trained(x_train, y_train, verbose=0)
    return float(model.evaluate(x=x_test, y=y_test, verbose=0)[1])


def pipeline(raw: Raw, seed: int) -> float:
    """The stages normalize, train and evaluate, without a validation set."""
    from digits.model import architectures, inference
    from digits.training import trainer

    settings = params.load()
    recipe, threads = settings.recipes["tutorial"], settings.train.threads
    trainer.configure(recipe, threads)
    x_train, y_train, x_test, y_test = raw
    network = architectures.build(recipe, seed)
    trainer.fit(network, recipe, seed, threads, (l2(x_train), y_train))
    classifier = architectures.with_calibrated_softmax(network, recipe.normalization, temperature=1)
    predicted = inference.predict(classifier, x_test).argmax(axis=1)
    return float((predicted == y_test).mean())


def measured(fit: Callable[..., float], raw: Raw, seeds: Iterable[int | None]) -> dict[str, Any]:
    """Test accuracies (0..1), their mean and spread; each fit in a new process."""
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawning, max_tasks_per_child=1) as pool:
        accuracies = list(pool.map(partial(fit, raw), seeds))
    return {
        "accuracies": [round(value, 4) for value in accuracies],
        "mean": round(float(np.mean(accuracies)), 5),
        "standard_deviation": round(float(np.std(accuracies, ddof=1)), 5),
    }


def main() -> None:
    """Train both, several times."""
    with TemporaryDirectory() as folder:
        download.fetch("mnist", Path(folder))
        raw = (*idx.read_train(Path(folder)), *idx.read_test(Path(folder)))
    results = {
        "digits": measured(pipeline, raw, range(RUNS)),
        "tutorial": measured(tutorial, raw, [None] * RUNS),
        "tutorial, seeded": measured(tutorial, raw, range(RUNS)),
    }
    difference = 100 * (results["digits"]["mean"] - results["tutorial"]["mean"])
    versions = {name: metadata.version(name) for name in ("tensorflow", "keras", "numpy")}
    details = {"runs": RUNS, "difference_in_points": round(difference, 3), "versions": versions}
    files.write_json(Path("benchmarks/accuracy.json"), results | details)
    for name, result in results.items():
        print(f"{name}: {result['mean']:.4f} ± {result['standard_deviation']:.4f}")


if __name__ == "__main__":
    exit_on_user_error(main)
