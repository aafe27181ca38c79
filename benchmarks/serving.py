"""How fast are predictions? The champion in this process, and served by `make serve`, for batches of several sizes.

It is a part of `make bench`, takes two minutes on an idle machine after `make repro`, and writes
benchmarks/serving.json and the tables of benchmarks/README.md. One client sends one request after the other, as JSON on
a kept connection.
"""

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import requests

import report
from digits.commands.predict import models
from digits.common import files, run_record
from digits.common.errors import UserError, exit_on_user_error
from digits.common.types import Pixels
from digits.data import download, idx

CHAMPION = "models:/digits@champion"
SECONDS = 8.0  # of requests, for each size of batch
MAKE = ("make", "--no-print-directory", "serve")


@contextmanager
def served() -> Iterator[str]:
    """The address of the champion, served until the block ends.

    Raises:
        UserError: it cannot be served.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen([*MAKE, f"PORT={port}"], cwd=report.ROOT, stdout=log, stderr=log, process_group=0)
        try:
            address = f"http://127.0.0.1:{port}"
            while not _answers(f"{address}/ping"):
                if server.poll() is not None:
                    log.seek(0)
                    raise UserError(log.read().decode()[-2000:])
                time.sleep(0.2)
            yield f"{address}/invocations"
        finally:
            if server.poll() is None:
                os.killpg(server.pid, 15)
            server.wait()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


def latencies(predict: Callable[[Pixels], object], images: Pixels) -> dict[str, float]:
    """Requests per second, and the median and the 99th percentile of their duration (ms)."""
    predict(images)
    seconds = []
    until = time.perf_counter() + SECONDS
    while (started := time.perf_counter()) < until:
        predict(images)
        seconds.append(time.perf_counter() - started)
    p50, p99 = 1000 * np.quantile(seconds, (0.5, 0.99))
    return {"requests_per_second": 1 / float(np.mean(seconds)), "p50": float(p50), "p99": float(p99)}


def measure() -> list[dict[str, object]]:
    """One row for each way to predict and size of batch."""
    with tempfile.TemporaryDirectory() as folder:
        download.fetch("mnist", Path(folder))
        images, _ = idx.read_test(Path(folder))
    in_process = models.load(CHAMPION)
    with served() as address, requests.Session() as session:

        def over_http(batch: Pixels) -> None:
            session.post(address, json={"inputs": batch.tolist()}, timeout=60).raise_for_status()

        return [
            {"way": way, "batch": size, **latencies(predict, images[:size])}
            for size in report.BATCHES
            for way, predict in (("in process", in_process), ("over HTTP", over_http))
        ]


def main() -> None:
    """Measure, and write the results."""
    rows = measure()
    files.write_json(report.SERVING, {"cpu": run_record.cpu(), "cores": os.cpu_count(), "rows": rows})
    report.update_readme()
    print("\n".join(report.serving(files.read_json(report.SERVING))))


if __name__ == "__main__":
    exit_on_user_error(main)
