"""How fast is Digits? Everything that is compared runs in turn, round after round, each in a new process.

Run it as `make bench` on an idle machine; it takes three quarters of an hour. It writes benchmarks/results.json and the
tables of benchmarks/README.md.
"""

import gzip
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import report
from digits import params
from digits.common import files, run_record
from digits.common.errors import UserError, exit_on_user_error
from digits.data import catalogue, download, idx
from digits.data.normalization import METHODS
from digits.data.split import split

ROUNDS = 5
GROWTH_ROUNDS = SWEEP_ROUNDS = 3
SHORT_SIZE = 5000  # training images of a short configuration

ROOT = report.ROOT
BASELINES = ROOT / "benchmarks/baselines"
PEERS = ROOT / ".venv-bench/bin/python"
PYTHONS = dict.fromkeys(("jax_scan", "jax_tuned", "pytorch", "pytorch_cnn"), str(PEERS))
# Prefixes of variables that would favour one library.
TUNING = ("CUDA_", "JAX_", "KMP_", "MKL_", "OMP_", "OPENBLAS_", "TF_", "XLA_")
DVC, DIGITS = (str(Path(sys.executable).with_name(name)) for name in ("dvc", "digits"))

Values = dict[str, list[float]]  # measurements by name, one value per round
Task = dict[str, Any]  # the arguments of `harness.Task`


@dataclass
class Ended:
    """A process that succeeded: wall time (s), peak memory (MB), and its output with the time of each line (s)."""

    seconds: float
    megabytes: float
    lines: list[tuple[float, str]]


def run(*command: str, folder: Path = ROOT, **variables: str) -> Ended:
    """Run a command to its end.

    Raises:
        UserError: it failed.
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
            raise UserError(f"{' '.join(command)} failed:\n{errors.read()[-2000:]}")
    return Ended(seconds, usage.ru_maxrss / 1024, lines)


def fits(names: Sequence[str], task: Task, first: int, values: Values) -> None:
    """Let each baseline train once, in turn, starting with number `first`."""
    for name in [*names[first:], *names[:first]]:
        script = str(BASELINES / f"{name}.py")
        ended = run(PYTHONS.get(name, sys.executable), script, json.dumps(task), PYTHONPATH="src")
        output = json.loads(ended.lines[-1][1])
        values[f"{name} fit"].append(output["ends"][-1])
        values[f"{name} epoch"].append(statistics.median(np.diff(output["ends"])))
        if output["accuracy"] is not None:
            values[f"{name} accuracy"].append(output["accuracy"])


def pipelines(clone: Path, empty: Path, mnist: Path, values: Values) -> None:
    """Run the tutorial's script, then the pipeline: from nothing, unchanged, and after a change."""
    script = str(ROOT / "benchmarks/tutorial.py")
    values["script"].append(run(sys.executable, script, str(mnist)).seconds)
    start_over(clone)
    from_nothing = run(DVC, "repro", folder=clone)
    values["from nothing"].append(from_nothing.seconds)
    for stage, seconds in stages(from_nothing):
        values[f"stage {stage}"].append(seconds)
    values["nothing changed"].append(run(DVC, "repro", folder=clone).seconds)
    values["empty pipeline"].append(run(DVC, "repro", folder=empty).seconds)
    edit(clone / "params.yaml", "epochs: 5", "epochs: 3")
    values["epochs changed"].append(run(DVC, "repro", folder=clone).seconds)


def edit(path: Path, old: str, new: str) -> None:
    """Replace `old` in a file, which must have it once."""
    text = path.read_text()
    if text.count(old) != 1:
        raise UserError(f"{path}: must have {old!r} once, which the benchmark changes")
    path.write_text(text.replace(old, new))


def stages(repro: Ended) -> Iterator[tuple[str, float]]:
    """The seconds from the start of each stage to the start of the next, DVC's part included."""
    starts = [(line.split("'")[1], second) for second, line in repro.lines if line.startswith("Running stage ")]
    for (stage, start), (_, end) in zip(starts, [*starts[1:], ("", repro.seconds)], strict=True):
        yield stage, end - start


def start_over(clone: Path) -> None:
    """Reset a clone to what Git has, DVC's cache included."""
    run("git", "checkout", "--quiet", "--force", ".", folder=clone)
    run("git", "clean", "--quiet", "--force", "-dx", folder=clone)


def sweeps(clone: Path, values: Values) -> None:
    """Run eight short configurations from nothing: one `dvc repro` after the other, then as sweeps."""
    start_over(clone)
    edit(clone / "params.yaml", "train_size: 55000", f"train_size: {SHORT_SIZE}")
    started = time.perf_counter()
    for seed in range(report.SWEEP_SIZE):
        edit(clone / "params.yaml", f"  seed: {max(seed - 1, 0)}  ", f"  seed: {seed}  ")
        run(DVC, "repro", folder=clone)
    values["eight in turn"].append(time.perf_counter() - started)
    for workers in report.SWEEP_WORKERS:
        start_over(clone)
        short = ("-S", f"normalize.train_size={SHORT_SIZE}", "--seeds", str(report.SWEEP_SIZE))
        sweep = run(DIGITS, "sweep", *short, "--workers", str(workers), folder=clone, PYTHONPATH="src")
        values[f"eight on {workers} workers"].append(sweep.seconds)


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
    """Put the dataset in `raw` into `clone`, with its training images repeated, and let the pipeline use them all."""
    shutil.copytree(raw, clone / "data/raw")
    x_train, y_train = idx.read_train(raw)
    for name, values in ((catalogue.TRAIN_IMAGES, x_train), (catalogue.TRAIN_LABELS, y_train)):
        repeated = np.concatenate([values] * times)
        header = struct.pack(f">{1 + repeated.ndim}I", idx.UNSIGNED_BYTES + repeated.ndim, *repeated.shape)
        content = gzip.compress(header + repeated.tobytes(), compresslevel=1, mtime=0)
        files.write_bytes(clone / "data/raw" / name, content)
    size = times * len(y_train) - params.load().normalize.validation_size
    edit(clone / "params.yaml", "train_size: 55000", f"train_size: {size}")


def make_task(recipe: params.Recipe, raw: Path, path: Path) -> Task:
    """The arguments of `harness.Task` except the seed; writes the normalized training and test images to `path`."""
    settings = params.load()
    sizes, normalize = settings.normalize, METHODS[recipe.normalization]
    (x_train, y_train), (x_test, y_test) = idx.read_train(raw), idx.read_test(raw)
    train, _ = split(y_train, sizes.train_size, sizes.validation_size, sizes.split_seed)
    files.write_arrays(
        path, x_train=normalize(x_train[train]), y_train=y_train[train], x_test=normalize(x_test), y_test=y_test
    )
    return {"data": str(path), "recipe": recipe.model_dump(), "threads": settings.train.threads}


def prepare(folder: Path) -> Task:
    """Make in an empty folder what `measure` needs, and return the task of the baselines."""
    raw, mnist, empty = folder / "raw", folder / "mnist.npz", folder / "empty"
    download.fetch("mnist", raw)
    (x_train, y_train), (x_test, y_test) = idx.read_train(raw), idx.read_test(raw)
    np.savez_compressed(mnist, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    task = make_task(params.load().recipes["tutorial"], raw, folder / "normalized.npz")
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
    # In another process: a forked child inherits its parent's peak memory.
    with ProcessPoolExecutor(1) as other:
        task = other.submit(prepare, folder).result()
    grown = {times: folder / f"grown-{times}" for times in report.GROWTH}
    values: Values = defaultdict(list)
    for number in range(ROUNDS):
        print(f"round {number + 1} of {ROUNDS}", flush=True)
        fits([*report.TRAINERS, "matmul_bound"], {**task, "seed": number}, number, values)
        pipelines(folder / "digits", folder / "empty", folder / "mnist.npz", values)
        if number < GROWTH_ROUNDS:
            growth(grown, values)
        if number < SWEEP_ROUNDS:
            sweeps(folder / "digits", values)
    return values


def versions() -> dict[str, str]:
    """The versions of everything that is compared."""
    listed = run(str(PEERS), "-m", "pip", "list", "--format", "json", "--disable-pip-version-check").lines[-1][1]
    peers = {package["name"]: package["version"] for package in json.loads(listed)}
    tools = {name: metadata.version(name) for name in ("dvc", "mlflow", "scikit-learn")}
    return run_record.versions() | tools | {name: peers[name] for name in ("jax", "torch")}


def save(path: Path, values: Values, pairs: Mapping[str, tuple[str, str]]) -> None:
    """Write the results with the ratios of `pairs`, and where they were measured; and the tables of the README."""
    results = report.results(values, pairs) | {
        "cpu": run_record.cpu(),
        "cores": os.cpu_count(),
        "versions": versions(),
    }
    files.write_json(path, results)
    report.update_readme()
    for name, ratio in results["ratios"].items():
        print(f"{name}: {ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})")


def main() -> None:
    """Measure, and write the results."""
    with tempfile.TemporaryDirectory() as folder:
        values = measure(Path(folder))
    save(report.RESULTS, values, report.RATIOS)


if __name__ == "__main__":
    exit_on_user_error(main)
