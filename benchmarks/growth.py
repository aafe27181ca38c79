"""Does publishing slow down as a store grows? Log 1,000 made-up states, one after the other, and watch time and memory.

Run it as `make bench-growth`; it takes ten minutes. It writes benchmarks/growth.json, and prints the table of
docs/tracking-server.md.
"""

import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from ruamel.yaml import YAML

from digits.common import files, run_record
from digits.common.errors import exit_on_user_error
from digits.tracking import state
from digits.tracking.log_run import log_run
from helpers import browser, postgres
from helpers.factories import make_results, write_yaml

STATES = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
PART = 100  # states per row of the table
EPOCHS = 5

RESULTS = Path(__file__).with_name("growth.json").resolve()

Row = Mapping[str, float]


@contextmanager
def sqlite(folder: Path) -> Iterator[str]:
    """The URI of a new database file."""
    yield f"sqlite:///{folder}/mlflow.db"


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """The address of an MLflow server on a new PostgreSQL cluster."""
    with postgres.cluster() as cluster:
        command = ["mlflow", "server", "--backend-store-uri", cluster.create_database("mlflow")]
        command += ["--artifacts-destination", str(folder / "artifacts")]
        with browser.server(*command, health="/health", environment={}, cwd=folder) as address:
            yield address


def make_state(number: int, accuracy: float) -> None:
    """Turn the results in the working directory into another state of the same size."""
    lock: dict[str, Any] = YAML(typ="safe").load(Path("dvc.lock"))
    lock["stages"]["train"]["outs"][-1]["md5"] = f"model {number}"
    write_yaml(Path("dvc.lock"), lock)
    steps = range(1, EPOCHS + 1)
    history = {name: [1 / step for step in steps] for name in ("loss", "accuracy", "val_loss")}
    files.write_csv(
        Path("reports/history.csv"),
        {"epoch": steps, **history, "val_accuracy": [accuracy - 1 / step for step in steps]},
    )
    files.write_bytes(Path("data/model.keras"), b"model %d" % number)


def megabytes() -> tuple[float, float]:
    """The peak memory of this process, and the memory of the MLflow server's processes now."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    served = [process.memory_info().rss for process in psutil.Process().children(True) if "python" in process.name()]
    return peak, sum(served) / 2**20


def measure(uri: str, folder: Path) -> list[Row]:
    """Log every state to a store; one row for each hundred."""
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    rows, seconds, draw = list[Row](), list[float](), np.random.default_rng(0)
    tree = folder / "tree"
    tree.mkdir()
    with chdir(tree):
        make_results(tree, EPOCHS, 0.97)
        for number in range(1, STATES + 1):
            os.environ["MLFLOW_TRACKING_URI"] = uri  # MLflow unsets it
            make_state(number, draw.normal(0.97, 0.01))
            current = state.read()
            started = time.perf_counter()
            log_run(current)
            seconds.append(time.perf_counter() - started)
            if number % PART == 0:
                client, served = megabytes()
                rows.append(
                    {"states": number, "seconds": statistics.median(seconds), "client": client, "server": served}
                )
                print(rows[-1], flush=True)
                seconds.clear()
    return rows


def table(stores: Mapping[str, list[Row]]) -> str:
    """The rows of all stores as a Markdown table."""
    lines = ["| store | states | seconds per state | client, MB | server, MB |", "| --- | ---: | ---: | ---: | ---: |"]
    for store, rows in stores.items():
        for row in rows:
            first, last = row["states"] - PART + 1, row["states"]
            cells = [store, f"{first:,} to {last:,}", f"{row['seconds']:.2f}", f"{row['client']:.0f}"]
            lines.append(" | ".join(["", *cells, f"{row['server']:.0f}", ""]).strip())
    return "\n".join(lines)


def main() -> None:
    """Measure both stores, and write the results."""
    stores = dict[str, list[Row]]()
    for store, make in {"PostgreSQL": server, "SQLite": sqlite}.items():
        with tempfile.TemporaryDirectory() as folder, make(Path(folder)) as uri:
            stores[store] = measure(uri, Path(folder))
        files.write_json(RESULTS, {"cpu": run_record.cpu(), "cores": os.cpu_count(), "stores": stores})
    print(table(stores))


if __name__ == "__main__":
    exit_on_user_error(main)
