"""A sweep on two hosts: scheduler and MLflow on one, the workers on the other."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlflow import MlflowClient

from helpers import network, postgres
from helpers.mlflow_runs import runs
from helpers.network import Host
from helpers.sandbox import ROOT, make_sandbox
from helpers.sweeps import FEW, clones, dask, start, training, wait, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sweep")]

SECONDS = 20  # that the link is down


@contextmanager
def service(host: Host, folder: Path, *command: str) -> Iterator[str]:
    """Run `command --host ADDRESS --port PORT` on a host; gives `ADDRESS:PORT`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    folder.mkdir()
    with (folder / "log").open("wb") as log:
        command = (*command, "--host", host.address, "--port", port)
        running = subprocess.Popen(host.command(*command), cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        probe = host.command("python", "-c", f"import socket; socket.create_connection(('{host.address}', {port}))")
        wait_until(lambda: subprocess.run(probe, stderr=subprocess.DEVNULL, check=False).returncode == 0)
        yield f"{host.address}:{port}"
    finally:
        running.terminate()
        running.wait()


def test_sweep_survives_a_link_that_is_cut(tmp_path: Path) -> None:
    """Two workers log at once to MLflow on PostgreSQL; its machine and theirs have no file in common."""
    place = tmp_path / "workers"
    place.mkdir()
    with postgres.cluster() as cluster, network.two_hosts() as hosts:
        database = cluster.create_database("mlflow")
        mlflow = ["mlflow", "server", "--workers", "2", "--backend-store-uri", database, "--allowed-hosts", "*"]
        mlflow += ["--artifacts-destination", str(tmp_path / "served")]
        with (
            service(hosts[0], tmp_path / "mlflow", *mlflow) as store,
            dask(place, 2, hosts) as scheduler,
        ):
            sandbox = make_sandbox(tmp_path / "digits", {**FEW, "recipes.tutorial.epochs": 30}, stand_ins=True)
            sandbox = sandbox.having(PYTHONPATH=str(ROOT / "src"), MLFLOW_TRACKING_URI=f"http://{store}")
            sweep = start(sandbox, *hosts[0].command("digits", "sweep", "--seeds", "2", "--scheduler", scheduler))
            wait_until(lambda: training(place))
            hosts[0].link("down")
            time.sleep(SECONDS)
            hosts[0].link("up")
            output = wait(sandbox, sweep)
            assert sweep.returncode == 0, output
            assert not clones(place)
        found = [run for run in runs(tmp_path, database) if run.info.lifecycle_stage == "active"]
        assert sorted(run.data.params["train.seed"] for run in found) == ["0", "1"]
        assert {run.info.status for run in found} == {"FINISHED"}
        assert len(MlflowClient(database).search_model_versions("name = 'digits'")) == 2
