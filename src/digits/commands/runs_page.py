"""`digits ui`: MLflow's pages, opened at the runs."""

import os
import socket
import subprocess
import sys
import time
import webbrowser
from pathlib import Path
from threading import Thread

from digits.commands.network import HOST, listen
from digits.common import paths
from digits.tracking import experiment_page, store

START = 60  # seconds that the server may take


def show_runs(port: int, *, open_browser: bool) -> None:
    """Print the address of the runs; unless the store is a server, serve its pages until Ctrl-C.

    Raises:
        UserError: the store or the port cannot be used.
    """
    with store.connect(create=False) as (_, experiment_id):
        pass
    uri = store.configured_uri()
    if uri.startswith("http"):
        address = store.without_password(experiment_page.address(uri, experiment_id))
        print(f"The runs: {address}")
        if open_browser:
            webbrowser.open(address)
        return
    listen(port).close()
    address = experiment_page.address(f"http://{HOST}:{port}", experiment_id)
    print(f"The runs: {address} (Ctrl-C to stop)", flush=True)
    if open_browser:
        Thread(target=_open_once_up, args=[port, address], daemon=True).start()
    # Background jobs, for language models, would be 2 GB of processes.
    variables = {"MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    _run("ui", "--workers", "1", "--host", HOST, "--port", str(port), **variables)


def _run(*arguments: str, **variables: str) -> None:
    """Run MLflow until it ends, in the folder where the path of an SQLite database starts."""
    command = [str(Path(sys.executable).with_name("mlflow")), *arguments]
    # In a session of its own, it does not see Ctrl-C, at which it would print a traceback.
    with subprocess.Popen(  # noqa: S603
        command, cwd=paths.repo_root(), env=os.environ | variables, start_new_session=True
    ) as server:
        try:
            sys.exit(server.wait())
        finally:
            server.terminate()


def _open_once_up(port: int, address: str) -> None:
    for _ in range(START):
        time.sleep(1)
        try:
            socket.create_connection((HOST, port)).close()
        except OSError:
            continue
        webbrowser.open(address)
        return
