"""The cost of showing a training run in MLflow while it trains: the recipe cnn_fast with it and without, in turn.

Run it in a clone with `PYTHONPATH=src:tests python benchmarks/live.py`, after `make dev`; it takes a quarter of an
hour on an idle machine. It prints the seconds of the stage `train`, their ratio to the same round's without it, and the
seconds that its threads were ready to run but waited for a core, together.
"""

import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from helpers import browser

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 3
RECIPE = "cnn_fast"
ROOT = Path(__file__).parents[1]
STAGE = """
import runpy
from pathlib import Path

runpy.run_path("stages/train.py", run_name="__main__")
threads = Path("/proc/self/task").glob("*/schedstat")
print("waited", sum(int(thread.read_text().split()[1]) for thread in threads) / 1e9)
"""
UNSEEN = f"from digits.live import observer; observer.DELAY = 1e6\n{STAGE}"


@contextmanager
def stores(folder: Path) -> Iterator[dict[str, str]]:
    """The addresses of the stores by name; none for a training run that is not shown."""
    sqlite = f"sqlite:///{folder}/mlflow.db"
    command = ["mlflow", "server", "--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/server.db"]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with browser.server(*command, health="/health", environment=quiet, cwd=folder) as server:
        subprocess.run(["mlflow", "db", "upgrade", sqlite], stderr=subprocess.DEVNULL, check=True)  # noqa: S607
        yield {"none": "", "SQLite": sqlite, "server": server}


def make_clone(folder: Path) -> Path:
    """A clone with the recipe's training data."""
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)  # noqa: S607
    params = clone / "params.yaml"
    params.write_text(params.read_text().replace("recipe: tutorial", f"recipe: {RECIPE}"))
    subprocess.run([Path(sys.executable).with_name("dvc"), "repro", "--quiet", "normalize"], cwd=clone, check=True)
    return clone


def train(clone: Path, uri: str) -> tuple[float, float]:
    """The seconds of the stage, and those that its threads waited for a core, together."""
    source = {"PYTHONPATH": "src", "MLFLOW_TRACKING_URI": uri}
    started = time.perf_counter()
    output = subprocess.run(
        [sys.executable, "-c", STAGE if uri else UNSEEN],
        cwd=clone,
        env=os.environ | source,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        text=True,
    ).stdout
    return time.perf_counter() - started, float(output.rpartition("waited ")[2])


def main() -> None:
    """Train in each way, in turn."""
    seconds, waits = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    with TemporaryDirectory() as folder, stores(Path(folder)) as uris:
        clone = make_clone(Path(folder))
        for _ in range(ROUNDS):
            for name, uri in uris.items():
                total, waited = train(clone, uri)
                seconds[name].append(total)
                waits[name].append(waited)
                print(f"{name}: {total:.1f} s, of which threads waited {waited:.2f} s for a core", flush=True)
    for name, values in seconds.items():
        ratios = [value / without for value, without in zip(values, seconds["none"], strict=True)]
        relative = f"relative {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        print(f"{name}: {median(values):.1f} s, {relative}, waited {median(waits[name]):.2f} s")


if __name__ == "__main__":
    main()
