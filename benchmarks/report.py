"""The benchmark's results: medians and ratios, and the tables of benchmarks/README.md."""

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results.json"
CONVOLUTIONS = ROOT / "benchmarks/convolutions.json"
SERVING = ROOT / "benchmarks/serving.json"
README = ROOT / "benchmarks/README.md"
MARK = "<!-- `make bench` writes the tables between these lines -->\n"

# Ratios within a round: numerator and denominator.
RATIOS = {
    "fit: model.fit / Digits": ("keras_fit fit", "digits_fit fit"),
    "fit: model.fit tuned / Digits": ("keras_tuned fit", "digits_fit fit"),
    "fit: PyTorch / Digits": ("pytorch fit", "digits_fit fit"),
    "fit: JAX / Digits": ("jax_scan fit", "digits_fit fit"),
    "fit: JAX tuned / Digits": ("jax_tuned fit", "digits_fit fit"),
    "fit: scikit-learn / Digits": ("sklearn_mlp fit", "digits_fit fit"),
    "epoch: Digits / the matrix products": ("digits_fit epoch", "matmul_bound epoch"),
    "dvc repro from nothing / the script": ("from nothing", "script"),
    "dvc repro after a change of epochs / the script": ("epochs changed", "script"),
    "eight configurations: one dvc repro after the other / a sweep on 2 workers": (
        "eight in turn",
        "eight on 2 workers",
    ),
    "eight configurations: a sweep on 1 worker / on 2": ("eight on 1 workers", "eight on 2 workers"),
}

TRAINERS = {
    "digits_fit": "Digits",
    "jax_tuned": "JAX with the same optimizations, default XLA flags",
    "jax_scan": "JAX, one jitted scan per epoch",
    "keras_tuned": "Keras `model.fit` with XLA and 200 steps per execution",
    "sklearn_mlp": "scikit-learn `MLPClassifier`",
    "pytorch": "PyTorch, resident data, fused Adam",
    "keras_fit": "Keras `model.fit` as in the tutorial",
}

CONVOLUTION_RATIOS = {"epoch: PyTorch / Digits": ("pytorch_cnn epoch", "digits_fit epoch")}
CONVOLUTION_TRAINERS = {"digits_fit": "Digits", "pytorch_cnn": "PyTorch, channels last, resident data, fused AdamW"}

SWEEP_SIZE = 8
SWEEP_WORKERS = (1, 2)

GROWTH = (1, 3, 10)  # times the training images

BATCHES = (1, 32, 1000)  # images in a request
CLIENTS = (1, 16)
SERVERS = {
    "process": "in this process",
    "digits": "`digits serve`",
    "fastapi": "a bare FastAPI app with the same predictor",
    "keras": "`mlflow models serve`, Keras flavour",
    "encode": "*encoding the request alone*",
}

PROCESSES = {
    "script": "the tutorial's script, which trains on all 60,000 images",
    "from nothing": "`dvc repro` from a fresh clone: data, training, evaluation, plots, tracking",
    "epochs changed": "`dvc repro` after a change of `epochs` from 5 to 3",
    "nothing changed": "`dvc repro` with nothing changed",
    "empty pipeline": "`dvc repro` of an empty pipeline",
    "eight in turn": "`dvc repro` of eight configurations with 5,000 images, one after the other",
    "eight on 1 workers": "`digits sweep` of the eight on one worker",
    "eight on 2 workers": "`digits sweep` of the eight on two workers",
}


def results(values: Mapping[str, Sequence[float]], pairs: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Median and spread of each series of measurements, and of the ratios of `pairs` within rounds."""
    ratios = {
        name: [a / b for a, b in zip(values[over], values[under], strict=True)] for name, (over, under) in pairs.items()
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


def tables() -> str:
    """The tables of the README, in Markdown, from the files of results."""
    results, convolutions, served = (json.loads(path.read_bytes()) for path in (RESULTS, CONVOLUTIONS, SERVING))
    parts = [*(part(results) for part in (_fits, _processes, _growth)), _where(results)]
    parts += [_convolutions(convolutions), _where(convolutions), serving(served)]
    return "\n".join(line for part in parts for line in (*part, ""))


def _fits(results: Mapping[str, Any]) -> Iterator[str]:
    measured = results["measured"]
    yield "| 5 epochs of the tutorial's recipe, 55,000 images | fit | relative | per extra epoch | test accuracy |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    digits = measured["digits_fit fit"]["median"]
    for name, title in TRAINERS.items():
        fit, epoch, accuracy = (measured[f"{name} {what}"] for what in ("fit", "epoch", "accuracy"))
        spread = f"{100 * accuracy['min']:.2f} to {100 * accuracy['max']:.2f} %"
        relative = fit["median"] / digits
        yield f"| {title} | {fit['median']:.1f} s | {relative:.1f} | {epoch['median']:.2f} s | {spread} |"
    bound = measured["matmul_bound epoch"]["median"]
    yield f"| *the eight matrix products of each step alone* | | | *{bound:.2f} s* | |"


def _convolutions(results: Mapping[str, Any]) -> Iterator[str]:
    measured = results["measured"]
    yield "| the recipe cnn with minmax, with its augmentation, 55,000 images | per epoch | relative |"
    yield "| --- | ---: | ---: |"
    digits = measured["digits_fit epoch"]["median"]
    for name, title in CONVOLUTION_TRAINERS.items():
        epoch = measured[f"{name} epoch"]["median"]
        yield f"| {title} | {epoch:.1f} s | {epoch / digits:.1f} |"


def serving(results: Mapping[str, Any]) -> Iterator[str]:
    """The table of predictions, and where they were measured."""
    yield "| predictions of the champion | images | requests per second | median | 99th percentile | sixteen clients |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    rows = {(row["way"], row["batch"], row["clients"]): row for row in results["rows"]}
    for way, title in SERVERS.items():
        for batch in BATCHES:
            one, all_at_once = rows[way, batch, 1], rows.get((way, batch, CLIENTS[-1]))
            numbers = f"{_rate(one)} | {one['p50']:,.2f} ms | {one['p99']:,.2f} ms |"
            yield f"| {title} | {batch:,} | {numbers} {_rate(all_at_once) if all_at_once else ''} |"
    yield ""
    yield "Times are those of one client; the last column has the requests per second of sixteen clients together."
    where = f"clients and server share the {results['cores']} cores, {results['cpu']}"
    yield f"Medians of {results['rounds']} rounds; {where}."
    soak, (first, *_, last) = results["soak"], results["soak"]["megabytes"]
    yield (
        f"{soak['requests']:,} requests of sixteen clients to `digits serve`: {len(soak['errors'])} errors; the server "
        f"had {first:,.0f} MB before and {last:,.0f} MB after."
    )


def _rate(row: Mapping[str, float]) -> str:
    rate = row["requests_per_second"]
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


def _processes(results: Mapping[str, Any]) -> Iterator[str]:
    measured = results["measured"]
    yield "| whole processes | wall time |"
    yield "| --- | ---: |"
    for name, title in PROCESSES.items():
        yield f"| {title} | {measured[name]['median']:.1f} s |"


def _growth(results: Mapping[str, Any]) -> Iterator[str]:
    measured = results["measured"]
    yield "| the whole process of a stage, by number of training images | 60,000 | 180,000 | 600,000 |"
    yield "| --- | ---: | ---: | ---: |"
    for stage in ("normalize", "train"):
        for unit, title in (("seconds", "s"), ("megabytes", "MB at the peak")):
            medians = (measured[f"{times}x {stage} {unit}"]["median"] for times in GROWTH)
            yield f"| {stage} | " + " | ".join(f"{value:,.{unit == 'seconds':d}f} {title}" for value in medians) + " |"


def _where(results: Mapping[str, Any]) -> Iterator[str]:
    versions = results["versions"]
    libraries = ", ".join(f"{name} {versions[name]}" for name in ("tensorflow", "jax", "torch", "scikit-learn"))
    rounds = len(results["measured"]["digits_fit fit"]["values"])
    yield f"Medians of {rounds} rounds on {results['cores']} cores, {results['cpu']}; {libraries}."


def update_readme() -> None:
    """Replace the tables between the marks by those of the result files."""
    before, _, after = README.read_text().split(MARK)
    README.write_text(f"{before}{MARK}\n{tables()}\n{MARK}{after}")
