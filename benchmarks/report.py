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
    "fit: scikit-learn / Digits": ("sklearn_mlp fit", "ours fit"),
    "epoch: Digits / the matrix products": ("ours epoch", "floor epoch"),
    "dvc repro from nothing / the script": ("from nothing", "script"),
    "dvc repro after a change of epochs / the script": ("epochs changed", "script"),
    "10x images: normalize, seconds": ("10x normalize seconds", "1x normalize seconds"),
    "10x images: normalize, memory": ("10x normalize megabytes", "1x normalize megabytes"),
    "10x images: train, seconds": ("10x train seconds", "1x train seconds"),
    "10x images: train, memory": ("10x train megabytes", "1x train megabytes"),
}
GROWTH = ("normalize, seconds", "normalize, memory", "train, seconds", "train, memory")

TRAINERS = {
    "ours": "Digits",
    "jax_scan": "JAX, an epoch as one jitted scan",
    "keras_tuned": "Keras, `model.fit` with XLA and 200 steps an execution",
    "sklearn_mlp": "scikit-learn, `MLPClassifier`",
    "pytorch": "PyTorch, resident data, fused Adam",
    "keras_fit": "Keras, `model.fit` as in the tutorial",
}

PROCESSES = {
    "script": "the tutorial as a bare script",
    "from nothing": "`dvc repro` from nothing: data, training, evaluation, plots, tracking",
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
    return "\n".join([*_fits(results), "", *_processes(results), "", _growth(results), "", _where(results), ""])


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


def _growth(results: Mapping[str, Any]) -> str:
    times = {name: results["ratios"][f"10x images: {name}"]["median"] for name in GROWTH}
    return (
        f"Ten times the training images: normalize takes {times['normalize, seconds']:.1f} times the time and "
        f"{times['normalize, memory']:.1f} times the memory, train {times['train, seconds']:.1f} times the time and "
        f"{times['train, memory']:.1f} times the memory."
    )


def _where(results: Mapping[str, Any]) -> str:
    versions = results["versions"]
    libraries = ", ".join(f"{name} {versions[name]}" for name in ("tensorflow", "jax", "torch", "scikit-learn"))
    rounds = len(results["measured"]["ours fit"]["values"])
    return f"Medians of {rounds} rounds on {results['cores']} cores, {results['cpu']}; {libraries}."


def update_readme(results: Mapping[str, Any]) -> None:
    """Put the table between its marks."""
    before, _, after = README.read_text().split(MARK)
    README.write_text(f"{before}{MARK}\n{table(results)}\n{MARK}{after}")
