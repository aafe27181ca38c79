"""The pages of MLflow, opened at the runs."""

import os
import socket
import subprocess
import sys
import time
import webbrowser
from pathlib import Path
from threading import Thread

from digits.commands.network import HOST, listen
from digits.tracking import experiment_page, store

START = 60  # seconds that the server may take


def show(port: int, *, open_browser: bool) -> None:
    """Print the address of the runs; unless the store is a server, serve its pages until Ctrl-C.

    Raises:
        UserError: the store or the port cannot be used.
    """
    with store.connect() as (_, experiment_id):
        pass
    uri = store.tracking_uri()
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
    environment = os.environ | {"MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    command = [str(Path(sys.executable).with_name("mlflow")), "ui", "--workers", "1", "--port", str(port)]
    # In a session of its own, it does not see Ctrl-C, at which it would print a traceback.
    with subprocess.Popen(command, env=environment, start_new_session=True) as server:  # noqa: S603
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
