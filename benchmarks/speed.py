"""How fast is it? All that is compared runs in one go, round after round, each in a process of its own.

Run it as `make bench`, with nothing else running: it takes a quarter of an hour. It writes benchmarks/results.json,
and README's table from that.
"""

import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import report
from digits import artifacts, datasets, idx, params, preprocessing, timings
from digits.errors import InputError, run_stage

ROUNDS = 5
GROWTH_ROUNDS = 3

ROOT = report.ROOT
CONTESTANTS = ROOT / "benchmarks/contestants"
PEERS = ROOT / ".venv-bench/bin/python"
PYTHONS = dict.fromkeys(("jax_scan", "jax_tuned", "pytorch"), str(PEERS))
TUNING = ("CUDA_", "JAX_", "KMP_", "MKL_", "OMP_", "OPENBLAS_", "TF_", "XLA_")  # variables that would favour somebody
DVC = str(Path(sys.executable).with_name("dvc"))

Values = dict[str, list[float]]  # what was measured by name, a value a round


@dataclass
class Ended:
    """A process that ended well: its wall time (s), its peak memory (MB), its output and when each line came (s)."""

    seconds: float
    megabytes: float
    lines: list[tuple[float, str]]


def run(*command: str, folder: Path = ROOT, **variables: str) -> Ended:
    """Run a command to its end.

    Raises:
        InputError: it failed.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(TUNING)}
    environment = inherited | {"PYTHONUNBUFFERED": "1", "MPLBACKEND": "Agg", **variables}
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=errors
        )
        lines = [(time.perf_counter() - started, line.rstrip()) for line in process.stdout or ()]
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise InputError(f"{' '.join(command)} failed:\n{errors.read()[-2000:]}")
    return Ended(seconds, usage.ru_maxrss / 1024, lines)


def fits(task: dict[str, Any], first: int, values: Values) -> None:
    """Let each contestant train once, in turn from the one with number `first` on."""
    names = [*report.TRAINERS, "floor"]
    for name in names[first:] + names[:first]:
        script = str(CONTESTANTS / f"{name}.py")
        ended = run(PYTHONS.get(name, sys.executable), script, json.dumps(task), PYTHONPATH="src")
        told = json.loads(ended.lines[-1][1])
        values[f"{name} fit"].append(told["ends"][-1])
        values[f"{name} epoch"].append(statistics.median(np.diff(told["ends"])))
        if told["accuracy"] is not None:
            values[f"{name} accuracy"].append(told["accuracy"])


def pipelines(clone: Path, empty: Path, mnist: Path, values: Values) -> None:
    """Run the tutorial's script, and the pipeline in each of its situations."""
    script = str(ROOT / "benchmarks/tutorial.py")
    values["script"].append(run(sys.executable, script, str(mnist)).seconds)
    start_over(clone)
    from_nothing = run(DVC, "repro", folder=clone)
    values["from nothing"].append(from_nothing.seconds)
    for stage, seconds in stages(from_nothing):
        values[f"stage {stage}"].append(seconds)
    values["nothing changed"].append(run(DVC, "repro", folder=clone).seconds)
    values["empty pipeline"].append(run(DVC, "repro", folder=empty).seconds)
    knobs = clone / "params.yaml"
    knobs.write_text(knobs.read_text().replace("epochs: 5", "epochs: 3"))
    values["epochs changed"].append(run(DVC, "repro", folder=clone).seconds)


def stages(repro: Ended) -> Iterator[tuple[str, float]]:
    """How long each stage took from its start to that of the next, DVC's part included."""
    starts = [(line.split("'")[1], at) for at, line in repro.lines if line.startswith("Running stage ")]
    for (stage, at), (_, after) in zip(starts, [*starts[1:], ("", repro.seconds)], strict=True):
        yield stage, after - at


def start_over(clone: Path) -> None:
    """Leave of a clone what Git has; its cache goes, too."""
    run("git", "checkout", "--quiet", "--force", ".", folder=clone)
    run("git", "clean", "--quiet", "--force", "-dx", folder=clone)


def growth(grown: dict[int, Path], values: Values) -> None:
    """Normalize, and train on, each of the grown datasets."""
    for times, clone in grown.items():
        for stage in ("normalize", "train"):
            ended = run(sys.executable, f"stages/{stage}.py", folder=clone, PYTHONPATH="src")
            values[f"{times}x {stage} seconds"].append(ended.seconds)
            values[f"{times}x {stage} megabytes"].append(ended.megabytes)
        shutil.rmtree(clone / ".digits")


def clone_to(path: Path) -> Path:
    """A clone of what is committed here."""
    run("git", "clone", "--quiet", str(ROOT), str(path))
    return path


def grow(raw: Path, times: int, clone: Path) -> None:
    """Put the dataset in `raw` into `clone`, with its training images that many times over."""
    shutil.copytree(raw, clone / "data/raw")
    x_train, y_train, _, _ = idx.read(raw)
    for name, values in ((idx.TRAIN_IMAGES, x_train), (idx.TRAIN_LABELS, y_train)):
        content = gzip.compress(idx.encode(np.concatenate([values] * times)), compresslevel=1)
        artifacts.write_bytes(clone / "data/raw" / name, content)


def task_of(recipe: params.Recipe, raw: Path, path: Path) -> dict[str, Any]:
    """What `contest.Task` takes but the seed; the pipeline's training and test images, in a file for all."""
    settings = params.load().normalize
    arrays = idx.read(raw)
    held_out = preprocessing.hold_out(arrays[1], settings.validation_size, settings.validation_seed)
    artifacts.write_arrays(path, **preprocessing.split(*arrays, held_out, settings.method))
    names = ("hidden", "learning_rate", "batch_size", "epochs", "threads")
    return {"data": str(path), **{name: getattr(recipe, name) for name in names}}


def prepare(folder: Path) -> dict[str, Any]:
    """Put into an empty folder what `measure` runs on, and give the contestants' task."""
    raw, mnist, empty = folder / "raw", folder / "mnist.npz", folder / "empty"
    datasets.fetch("mnist", raw)
    np.savez_compressed(mnist, **dict(zip(("x_train", "y_train", "x_test", "y_test"), idx.read(raw), strict=True)))
    task = task_of(params.load().recipes["tutorial"], raw, folder / "normalized.npz")
    empty.mkdir()
    run("git", "init", "--quiet", folder=empty)
    run(DVC, "init", "--quiet", folder=empty)
    (empty / "dvc.yaml").write_text("stages: {}\n")
    clone_to(folder / "digits")
    for times in report.GROWTH:
        grow(raw, times, clone_to(folder / f"grown-{times}"))
    return task


def measure(folder: Path) -> Values:
    """All rounds."""
    # In another process, since one that a large process starts is said to have been as large itself.
    with ProcessPoolExecutor(1) as other:
        task = other.submit(prepare, folder).result()
    grown = {times: folder / f"grown-{times}" for times in report.GROWTH}
    values: Values = defaultdict(list)
    for number in range(ROUNDS):
        print(f"round {number + 1} of {ROUNDS}", flush=True)
        fits({**task, "seed": number}, number, values)
        pipelines(folder / "digits", folder / "empty", folder / "mnist.npz", values)
        if number < GROWTH_ROUNDS:
            growth(grown, values)
    return values


def versions() -> dict[str, str]:
    """Of all that is compared."""
    listed = run(str(PEERS), "-m", "pip", "list", "--format", "json", "--disable-pip-version-check").lines[-1][1]
    peers = {package["name"]: package["version"] for package in json.loads(listed)}
    ours = {name: metadata.version(name) for name in ("dvc", "mlflow", "scikit-learn")}
    return timings.versions() | ours | {name: peers[name] for name in ("jax", "torch")}


def main() -> None:
    """Measure, and write what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        values = measure(Path(folder))
    results = report.results(values) | {"cpu": timings.cpu(), "cores": os.cpu_count(), "versions": versions()}
    artifacts.write_json(report.RESULTS, results)
    report.update_readme(results)
    print(report.table(results))
    for name, ratio in results["ratios"].items():
        print(f"{name}: {ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})")


if __name__ == "__main__":
    run_stage(main)
