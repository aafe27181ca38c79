"""The first table of README: test accuracy and training time of the tutorial's `model.fit` and of `tutorial`.

Run it as `make bench-accuracy`; it writes benchmarks/accuracy.json. Both train on the same 55,000 images, each fit in a
new process, in turn for each seed. The tutorial sets no seed, and neither does its row: with a seed, `model.fit` takes
the images in the same order in every epoch, which costs accuracy.
"""

import multiprocessing
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

from digits import params
from digits.common import files, run_record
from digits.common.errors import exit_on_user_error
from digits.common.types import Labels, Pixels
from digits.data import download, idx
from digits.data.normalization import METHODS
from digits.data.split import split

SEEDS = range(5)
RECIPE = "tutorial"

Raw = tuple[Pixels, Labels, Pixels, Labels]
Fit = tuple[float, float]  # test accuracy (0..1) and seconds of training


# Each imports TensorFlow by itself: the tutorial's is not set up as Digits sets it up.


def model_fit(raw: Raw, _seed: int) -> Fit:
    """The tutorial's code."""
    import tensorflow as tf

    from tutorial import trained

    x_train, y_train, x_test, y_test = raw
    x_train = tf.keras.utils.normalize(x_train, axis=1)
    x_test = tf.keras.utils.normalize(x_test, axis=1)
    started = time.perf_counter()
    model = trained(x_train, y_train, verbose=0)
    seconds = time.perf_counter() - started
    return float(model.evaluate(x=x_test, y=y_test, verbose=0)[1]), seconds


def recipe_fit(raw: Raw, seed: int) -> Fit:
    """Train and evaluate as the stages do, without validation after each epoch."""
    from digits.model import architectures
    from digits.model.predictor import Predictor
    from digits.training import trainer

    settings = params.load()
    recipe, threads = settings.recipes[RECIPE], settings.train.threads
    trainer.configure(recipe, threads)
    x_train, y_train, x_test, y_test = raw
    network = architectures.build(recipe, seed)
    history = trainer.fit(network, recipe, seed, threads, (METHODS[recipe.normalization](x_train), y_train))
    classifier = architectures.with_calibrated_softmax(network, recipe.normalization, temperature=1)
    predicted = Predictor(classifier)(x_test).argmax(axis=1)
    return float((predicted == y_test).mean()), history[-1]["seconds"]


def in_new_process(fit: Callable[..., Fit], *arguments: object) -> Fit:
    """Call `fit` in a new process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(fit, *arguments).result()


def read_images() -> Raw:
    """The images that the default pipeline trains on, and the test images."""
    sizes = params.load().normalize
    with TemporaryDirectory() as folder:
        download.fetch("mnist", Path(folder))
        images, labels = idx.read_train(Path(folder))
        train, _ = split(labels, sizes.train_size, sizes.validation_size, sizes.split_seed)
        return images[train], labels[train], *idx.read_test(Path(folder))


def main() -> None:
    """Train both, for each seed in turn."""
    raw = read_images()
    fits = defaultdict[str, list[Fit]](list)
    for seed in SEEDS:
        fits["model.fit"].append(in_new_process(model_fit, raw, seed))
        fits[RECIPE].append(in_new_process(recipe_fit, raw, seed))
        for name, pairs in fits.items():
            print(f"seed {seed}, {name}: {pairs[-1][0]:.4f} in {pairs[-1][1]:.1f} s", flush=True)
    rows = {
        name: {
            "mean_accuracy": round(statistics.mean(accuracy for accuracy, _ in pairs), 5),
            "standard_deviation": round(statistics.stdev(accuracy for accuracy, _ in pairs), 5),
            "median_seconds": round(statistics.median(seconds for _, seconds in pairs), 2),
            "accuracies": [round(accuracy, 4) for accuracy, _ in pairs],
            "seconds": [round(seconds, 2) for _, seconds in pairs],
        }
        for name, pairs in fits.items()
    }
    versions = {name: metadata.version(name) for name in ("tensorflow", "keras", "numpy")}
    machine = {"cpu": run_record.cpu(), "cores": os.cpu_count()}
    files.write_json(Path("benchmarks/accuracy.json"), {**machine, "versions": versions, "rows": rows})


if __name__ == "__main__":
    exit_on_user_error(main)
