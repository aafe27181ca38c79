"""What the benchmark found, in numbers and as README's table."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results.json"
README = ROOT / "README.md"
MARK = "<!-- the table between these lines is written by `make bench` -->\n"

# Ratios of what ran in the same round, over and under.
RATIOS = {
    "fit: model.fit / Digits": ("keras_fit fit", "ours fit"),
    "fit: model.fit tuned / Digits": ("keras_tuned fit", "ours fit"),
    "fit: PyTorch / Digits": ("pytorch fit", "ours fit"),
    "fit: JAX / Digits": ("jax_scan fit", "ours fit"),
    "fit: JAX tuned / Digits": ("jax_tuned fit", "ours fit"),
    "fit: scikit-learn / Digits": ("sklearn_mlp fit", "ours fit"),
    "epoch: Digits / the matrix products": ("ours epoch", "floor epoch"),
    "dvc repro from nothing / the script": ("from nothing", "script"),
    "dvc repro after a change of epochs / the script": ("epochs changed", "script"),
}

TRAINERS = {
    "ours": "Digits",
    "jax_tuned": "JAX, the same with all that makes Digits fast but its flags",
    "jax_scan": "JAX, an epoch as one jitted scan",
    "keras_tuned": "Keras, `model.fit` with XLA and 200 steps an execution",
    "sklearn_mlp": "scikit-learn, `MLPClassifier`",
    "pytorch": "PyTorch, resident data, fused Adam",
    "keras_fit": "Keras, `model.fit` as in the tutorial",
}

GROWTH = (1, 3, 10)  # times the training images

PROCESSES = {
    "script": "the tutorial as a bare script, which trains on all 60,000 images",
    "from nothing": "`dvc repro` from nothing but the download cache: data, training, evaluation, plots, tracking",
    "epochs changed": "`dvc repro` after a change of `epochs` from 5 to 3",
    "nothing changed": "`dvc repro` with nothing changed",
    "empty pipeline": "`dvc repro` of an empty pipeline",
}


def results(values: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Median and spread of each series of measurements, and of the ratios within rounds."""
    ratios = {
        name: [a / b for a, b in zip(values[over], values[under], strict=True)]
        for name, (over, under) in RATIOS.items()
    }
    return {
        "measured": {name: _summary(series) for name, series in values.items()},
        "ratios": {name: _summary(series) for name, series in ratios.items()},
    }


def _summary(series: Sequence[float]) -> dict[str, Any]:
    digits = 5
    summary: dict[str, Any] = {"median": round(statistics.median(series), digits)}
    summary |= {"min": round(min(series), digits), "max": round(max(series), digits)}
    return summary | {"values": [round(value, digits) for value in series]}


def table(results: Mapping[str, Any]) -> str:
    """README's tables, in Markdown."""
    return "\n".join([*_fits(results), "", *_processes(results), "", *_growth(results), "", _where(results), ""])


def _fits(results: Mapping[str, Any]) -> Iterator[str]:
    measured = results["measured"]
    yield "| 5 epochs of the tutorial's recipe, 55,000 images | fit | times ours | an epoch more | test accuracy |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    ours = measured["ours fit"]["median"]
    for name, title in TRAINERS.items():
        fit, epoch, accuracy = (measured[f"{name} {what}"] for what in ("fit", "epoch", "accuracy"))
        spread = f"{100 * accuracy['min']:.2f} to {100 * accuracy['max']:.2f} %"
        yield f"| {title} | {fit['median']:.1f} s | {fit['median'] / ours:.1f} x | {epoch['median']:.2f} s | {spread} |"
    yield f"| *the eight matrix products of each step alone* | | | *{measured['floor epoch']['median']:.2f} s* | |"


def _processes(results: Mapping[str, Any]) -> Iterator[str]:
    measured = results["measured"]
    yield "| from start to end | wall time |"
    yield "| --- | ---: |"
    for name, title in PROCESSES.items():
        yield f"| {title} | {measured[name]['median']:.1f} s |"


def _growth(results: Mapping[str, Any]) -> Iterator[str]:
    measured = results["measured"]
    yield "| the stage, its start included, on MNIST's training images | once | 3 times | 10 times |"
    yield "| --- | ---: | ---: | ---: |"
    for stage in ("normalize", "train"):
        for unit, title in (("seconds", "s"), ("megabytes", "MB at its peak")):
            medians = (measured[f"{times}x {stage} {unit}"]["median"] for times in GROWTH)
            yield f"| {stage} | " + " | ".join(f"{value:,.{unit == 'seconds':d}f} {title}" for value in medians) + " |"


def _where(results: Mapping[str, Any]) -> str:
    versions = results["versions"]
    libraries = ", ".join(f"{name} {versions[name]}" for name in ("tensorflow", "jax", "torch", "scikit-learn"))
    rounds = len(results["measured"]["ours fit"]["values"])
    return f"Medians of {rounds} rounds on {results['cores']} cores, {results['cpu']}; {libraries}."


def update_readme(results: Mapping[str, Any]) -> None:
    """Put the table between its marks."""
    before, _, after = README.read_text().split(MARK)
    README.write_text(f"{before}{MARK}\n{table(results)}\n{MARK}{after}")
