"""Hands the configurations of a sweep to Dask, and collects their MLflow runs."""

import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import cloudpickle
import mlflow
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster, as_completed
from distributed.system import MEMORY_LIMIT
from mlflow import MlflowClient
from mlflow.entities import Run
from tqdm import tqdm

from digits.commands import clone
from digits.commands.sweep import worker
from digits.commands.sweep.grid import Configuration
from digits.common import paths
from digits.common.dvc import dvc
from digits.common.errors import UserError
from digits.common.git import GitError, git, uncommitted
from digits.tracking import run_content, store

COMMITTED = (*run_content.CODE, "params.yaml", ".dvc/config")  # what a task takes from the commit

MEMORY_PER_WORKER = 2 * 2**30  # bytes; training on all images takes half of it


@dataclass(frozen=True)
class Result:
    """A configuration with its MLflow run, or with the reason why it has none."""

    configuration: Configuration
    run: Run | None = None
    source: str = "known"  # to MLflow before the sweep; or "trained", or "restored" from DVC's cache
    error: str = ""  # the last lines of output after a failure


def sweep(
    configurations: Sequence[Configuration],
    scheduler: str | None = None,
    workers: int | None = None,
    on_result: Callable[[Result], object] = lambda _: None,
) -> tuple[str, list[Result]]:
    """Run each configuration at the commit that is checked out, unless MLflow has its run already.

    A bar shows the progress, and a configuration that fails is printed at once.

    Args:
        configurations: what to run.
        scheduler: the address of a Dask scheduler; None starts a cluster on this machine.
        workers: of the cluster on this machine; None makes one per core, if there is memory for them.
        on_result: called with each result as it comes; those that are known come first.

    Returns:
        The name of the sweep, which follows from the commit and the configurations, and the results as they came. In
        MLflow, each run has the tag `sweep.NAME`, whose value is its configuration.

    Raises:
        UserError: something is missing or not committed, so that nothing was run.
    """
    repository, commit = _clean_commit()
    variables = _logging_variables(scheduler)
    grid = sorted(json.dumps(configuration.sections, sort_keys=True) for configuration in configurations)
    name = hashlib.sha256(json.dumps([commit, *grid]).encode()).hexdigest()[:7]

    results, pending = list[Result](), list[Configuration]()
    with tqdm(total=len(configurations), desc="Configurations") as bar:

        def add(result: Result) -> None:
            results.append(result)
            on_result(result)
            bar.update()
            if result.error:
                bar.write(f"{result.configuration} failed:\n{result.error}", file=sys.stderr)

        with store.connect() as (client, experiment_id):
            known = _known_runs(experiment_id, commit)
            for configuration in configurations:
                if run := known.get(frozenset(run_content.flatten(configuration.sections).items())):
                    add(Result(configuration, _tagged(client, run, name, configuration)))
                else:
                    pending.append(configuration)
        if pending:
            checkout = _checkout(repository, commit, "" if scheduler else _cache_dir(), variables)
            with _cluster(scheduler, workers) as dask:
                for index, outcome in _outcomes(dask, checkout, [one.arguments for one in pending]):
                    add(_result(pending[index], outcome, name))
    return name, results


def _clean_commit() -> tuple[Path, str]:
    """The repository and the commit that is checked out. There must be no uncommitted changes."""
    try:
        repository, commit = Path(git("rev-parse", "--show-toplevel")), git("rev-parse", "HEAD")
    except GitError as error:
        raise UserError(f"digits sweep needs a Git commit; Git says: {error}") from error
    if files := ", ".join(uncommitted(COMMITTED)):
        raise UserError(f"a sweep runs what is committed, but these have changed: {files}; commit or stash them first")
    return repository, commit


def _logging_variables(scheduler: str | None) -> dict[str, str]:
    """The environment variables that say where and how to log, with a store that every worker can reach."""
    uri = store.tracking_uri()
    if scheduler and (not uri.startswith(("http://", "https://")) or (_is_local(uri) and not _is_local(scheduler))):
        raise UserError(
            f"workers on other machines cannot log to {store.without_password(uri)}; start an MLflow server that they "
            "reach over HTTP (docs/tracking-server.md), and set MLFLOW_TRACKING_URI to its address"
        )
    return {key: value for key, value in os.environ.items() if key.startswith("MLFLOW_")} | {"MLFLOW_TRACKING_URI": uri}


def _is_local(address: str) -> bool:
    return urlsplit(address).hostname in ("localhost", "127.0.0.1", "::1")


def _cache_dir() -> str:
    """The folder of this repository's DVC cache, which workers on this machine share."""
    return str(Path(dvc("cache", "dir")).absolute())


def _known_runs(experiment_id: str, commit: str) -> dict[frozenset[tuple[str, str]], Run]:
    """The finished runs of a commit's unchanged code, by their params.

    Runs without the tag of the code come from versions that did not compare it.
    """
    wanted = (
        f"status = 'FINISHED' AND tags.`git.dirty` = 'false' AND tags.`{run_content.CODE_TAG}` != '' "
        f"AND tags.`{run_content.COMMIT_TAG}` = '{commit}'"
    )
    runs = mlflow.search_runs([experiment_id], wanted, output_format="list")
    return {frozenset(run.data.params.items()): run for run in runs}


def _tagged(client: MlflowClient, run: Run, sweep: str, configuration: Configuration) -> Run:
    client.set_tag(run.info.run_id, f"sweep.{sweep}", str(configuration))
    return run


def _result(configuration: Configuration, outcome: dict[str, Any], sweep: str) -> Result:
    if "error" in outcome:
        return Result(configuration, error=outcome["error"])
    try:
        with store.connect() as (client, experiment_id):
            found = client.search_runs([experiment_id], f"tags.`{run_content.STATE_TAG}` = '{outcome['state']}'")
            first = min(found, key=lambda run: str(run.info.run_id), default=None)  # the duplicate that is kept
            run = _tagged(client, first, sweep, configuration) if first else None
    except UserError as error:  # the other tasks go on, and the same sweep, rerun, finds this run
        return Result(configuration, error=str(error))
    source = "trained" if outcome["trained"] else "restored"
    return Result(configuration, run, source, "" if run else "its MLflow run has been deleted in the meantime")


def _checkout(repository: Path, commit: str, cache: str, variables: dict[str, str]) -> worker.Checkout:
    with TemporaryDirectory() as folder:
        bundle = Path(folder, "bundle")
        git("bundle", "create", "--quiet", str(bundle), "HEAD", folder=repository)
        subfolder = str(paths.repo_root().resolve().relative_to(repository.resolve()))
        name = f"digits-{commit[:7]}-{uuid.uuid4().hex[:8]}"
        return worker.Checkout(name, bundle.read_bytes(), commit, subfolder, cache, variables)


@contextmanager
def _cluster(scheduler: str | None, workers: int | None) -> Iterator[Client]:
    """A client of the scheduler, or of a cluster on this machine that ends with the block."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # its errors reach us as exceptions, too
    if scheduler:
        with Client(scheduler, timeout="10s") as client:
            yield client
        return
    size = workers or max(1, min(CPU_COUNT, MEMORY_LIMIT // MEMORY_PER_WORKER))
    # Started with SIGINT ignored, so that Ctrl-C reaches only this process, which then stops the workers.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        cluster = LocalCluster(
            n_workers=size,
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address="127.0.0.1:0",  # without one, Dask takes 8787, and warns if another sweep has it
            local_directory=str(paths.state_dir() / "sweep"),
            silence_logs=logging.CRITICAL,
        )
    except RuntimeError as error:
        reason: BaseException = error
        while reason.__cause__:
            reason = reason.__cause__
        advice = "look at ~/.config/dask and the variables DASK_..."
        raise UserError(f"Dask cannot start: {reason}; {advice}") from error
    finally:
        signal.signal(signal.SIGINT, handler)
    with cluster, Client(cluster) as client:
        yield client


def _outcomes(
    client: Client, checkout: worker.Checkout, tasks: Sequence[list[str]]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The outcome of each task by its index, as they come. Dask runs the tasks of a lost worker elsewhere."""
    sent = (clone, worker)
    for module in sent:
        cloudpickle.register_pickle_by_value(module)
    futures = {}
    try:
        try:
            client.register_plugin(checkout)
        except subprocess.CalledProcessError as error:
            raise UserError(f"a worker cannot unpack the repository: {error}") from error
        for index, overrides in enumerate(tasks):
            key = f"{checkout.name}-{index}"
            futures[client.submit(worker.run_task, checkout.name, overrides, key=key, pure=False)] = index
        for future in as_completed(futures):
            lost = future.exception()
            yield futures[future], {"error": f"{type(lost).__name__}: {lost}"} if lost else future.result()
            future.release()
    finally:
        with suppress(Exception):  # without the scheduler, or a worker, the tasks end by themselves
            client.cancel(list(futures))
            client.unregister_worker_plugin(checkout.name)
        for module in sent:
            cloudpickle.unregister_pickle_by_value(module)
