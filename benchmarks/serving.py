"""The speed of predictions, in this process and over HTTP, beside other servers of the same model.

It is a part of `make bench`, takes seven minutes on an idle machine after `make repro`, and writes
benchmarks/serving.json and the tables of benchmarks/README.md. All servers run; the clients ask one after the other, in
each round, on kept connections. Requests are encoded beforehand; a separate row has that time.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import psutil
import requests

import report
from digits.commands.predict import models
from digits.common import files, run_record
from digits.common.errors import UserError, exit_on_user_error
from digits.common.types import Pixels
from digits.data import download, idx
from digits.model import keras_file

CHAMPION = "models:/digits@champion"
ROUNDS = 3
SECONDS = 3.0  # of requests, for each size of batch and number of clients, in each round
SOAK = 20_480  # requests of one image each: 320 of each client in each quarter

Rows = dict[tuple[str, int, int], list[dict[str, float]]]  # by way, images in a request and number of clients


@contextmanager
def served(*command: str, port: int) -> Iterator[psutil.Process]:
    """A server, once it answers, until the block ends.

    Raises:
        UserError: it did not start.
    """
    with tempfile.TemporaryFile() as log:
        server = psutil.Popen([*command, "--port", str(port)], cwd=report.ROOT, stdout=log, stderr=subprocess.STDOUT)
        try:
            while not _answers(f"http://127.0.0.1:{port}/ping"):
                if server.poll() is not None:
                    log.seek(0)
                    raise UserError(log.read().decode()[-2000:])
                time.sleep(0.2)
            yield server
        finally:
            if server.is_running():
                for process in [*server.children(recursive=True), server]:
                    process.terminate()
            server.wait()


def free_port() -> int:
    """A port that no program has."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


def encode(images: Pixels) -> bytes:
    """The body of a request."""
    return json.dumps({"inputs": images.tolist()}).encode()


def latencies(ask: Callable[..., object], *arguments: object) -> list[float]:
    """The duration of each call (s), one after the other."""
    found = []
    until = time.perf_counter() + SECONDS
    while (started := time.perf_counter()) < until:
        ask(*arguments)
        found.append(time.perf_counter() - started)
    return found


def client(port: int, body: bytes, *, reconnect: bool = False) -> Callable[[], object]:
    """A function that sends a request on its own connection, and raises unless the status is 200.

    With `reconnect`, it connects again once if the server has closed the connection: a server that is busy for five
    seconds closes those of waiting clients, as if they were idle.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Content-Type": "application/json"}

    def send() -> http.client.HTTPResponse:
        connection.request("POST", "/invocations", body, headers)
        return connection.getresponse()

    def ask() -> None:
        try:
            response = send()
        except ConnectionError:
            connection.close()
            if not reconnect:
                raise
            response = send()
        content = response.read()
        if response.status != 200:
            raise UserError(f"status {response.status}: {content[:300]!r}")

    ask()
    return ask


def clients_at_once(port: int, body: bytes, clients: int) -> dict[str, float]:
    """Requests per second of all clients together, and quantiles of their duration (ms)."""
    with ThreadPoolExecutor(clients) as pool:
        found = pool.map(lambda _: latencies(client(port, body, reconnect=True)), range(clients))
        return summary([seconds for each in found for seconds in each], clients)


def summary(seconds: list[float], clients: int = 1) -> dict[str, float]:
    """Requests per second, the median and the 99th percentile (ms)."""
    p50, p99 = 1000 * np.quantile(seconds, (0.5, 0.99))
    return {"requests_per_second": clients / float(np.mean(seconds)), "p50": float(p50), "p99": float(p99)}


def soak(port: int, server: psutil.Process, body: bytes) -> dict[str, object]:
    """Many requests of sixteen clients: the errors, and the memory of the server (MB) after each quarter."""
    clients = report.CLIENTS[-1]
    memory = [server.memory_info().rss / 1e6]
    errors: list[str] = []

    def ask_often(_: int) -> None:
        ask = client(port, body)
        for _ in range(SOAK // 4 // clients):
            try:
                ask()
            except (OSError, http.client.HTTPException, UserError) as error:
                errors.append(str(error))

    with ThreadPoolExecutor(clients) as pool:
        for _ in range(4):
            list(pool.map(ask_often, range(clients)))
            memory.append(server.memory_info().rss / 1e6)
    return {"requests": SOAK, "errors": errors, "megabytes": memory}


def measure(images: Pixels, folder: Path) -> dict[str, object]:
    """The medians over the rounds for each way to predict, and the soak of `digits serve`."""
    model = models.download(CHAMPION, folder)
    in_process = models.load(str(model))
    keras_flavour = folder / "keras"
    _save_with_keras_flavour(model, keras_flavour)
    scripts = Path(sys.executable).parent
    mlflow = (str(scripts / "mlflow"), "models", "serve", "--env-manager", "local", "--model-uri", str(keras_flavour))
    fastapi = (sys.executable, str(report.ROOT / "benchmarks/baselines/fastapi_app.py"), str(model))
    commands = {"digits": (str(scripts / "digits"), "serve"), "fastapi": fastapi, "keras": mlflow}
    rows: Rows = defaultdict(list)
    with ExitStack() as stack:
        ports = {way: free_port() for way in commands}
        servers = {way: stack.enter_context(served(*commands[way], port=ports[way])) for way in commands}
        for _ in range(ROUNDS):
            for size in report.BATCHES:
                batch = images[:size]
                rows["encode", size, 1].append(summary(latencies(encode, batch)))
                rows["process", size, 1].append(summary(latencies(in_process, batch)))
                for way, port in ports.items():
                    for clients in report.CLIENTS:
                        rows[way, size, clients].append(clients_at_once(port, encode(batch), clients))
        soaked = soak(ports["digits"], servers["digits"], encode(images[:1]))
    return {"rounds": ROUNDS, "soak": soaked, "rows": [_median(key, found) for key, found in rows.items()]}


def _save_with_keras_flavour(model: Path, folder: Path) -> None:
    import mlflow

    mlflow.keras.save_model(keras_file.load(model), str(folder))


def _median(key: tuple[str, int, int], found: list[dict[str, float]]) -> dict[str, object]:
    way, size, clients = key
    medians = {name: float(np.median([row[name] for row in found])) for name in found[0]}
    return {"way": way, "batch": size, "clients": clients, **medians}


def main() -> None:
    """Measure, and write the results."""
    with tempfile.TemporaryDirectory() as folder:
        download.fetch("mnist", Path(folder, "raw"))
        images, _ = idx.read_test(Path(folder, "raw"))
        results = measure(images, Path(folder))
    files.write_json(report.SERVING, {"cpu": run_record.cpu(), "cores": os.cpu_count(), **results})
    report.update_readme()
    print("\n".join(report.serving(files.read_json(report.SERVING))))


if __name__ == "__main__":
    exit_on_user_error(main)
