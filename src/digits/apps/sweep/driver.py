"""Hands the configurations of a sweep to Dask, and collects their MLflow runs."""

import hashlib
import logging
import os
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import cloudpickle
import git
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster, as_completed
from distributed.system import MEMORY_LIMIT
from dvc.exceptions import DvcException
from dvc.repo import Repo
from mlflow import MlflowClient
from mlflow.entities import Run

from digits.apps.sweep import worker
from digits.apps.sweep.grid import Configuration
from digits.apps.sweep.task import Outcome, Task
from digits.common import paths
from digits.common.errors import UserError
from digits.tracking import pipeline_state, store
from digits.tracking import run as run_content

COMMITTED = (*pipeline_state.CODE, "params.yaml", ".dvc/config")  # what a task takes from the commit

MEMORY_PER_WORKER = 2 * 2**30  # bytes; training on all images takes half of it


@dataclass(frozen=True)
class Result:
    """A configuration with its MLflow run, or with the reason why it has none."""

    configuration: Configuration
    run: Run | None = None
    ran: tuple[str, ...] = ()  # the stages that were executed
    error: str = ""


def sweep(
    configurations: Sequence[Configuration],
    on_result: Callable[[Result], object],
    scheduler: str | None = None,
    workers: int | None = None,
) -> str:
    """Run each configuration at the commit that is checked out, unless MLflow has its run already.

    Args:
        configurations: what to run.
        on_result: called with each result as it comes; those that are known come first.
        scheduler: the address of a Dask scheduler; None starts a cluster on this machine.
        workers: of the cluster on this machine; None makes one per core, as far as the memory goes.

    Returns:
        The name of the sweep, which follows from the commit and the configurations. In MLflow, each run has the tag
        `sweep.NAME`, whose value is its configuration.

    Raises:
        UserError: something is missing or not committed, so that nothing was run.
    """
    repository, commit = _clean_commit()
    environment = _logging_variables(scheduler)
    cache = _shared_cache(scheduler)
    texts = "\n".join(sorted(configuration.text for configuration in configurations))
    name = hashlib.sha256(f"{commit}\n{texts}".encode()).hexdigest()[:7]

    pending = []
    with store.connect() as (client, experiment_id):
        known = _known_runs(client, experiment_id, commit)
        for configuration in configurations:
            if run := known.get(_params(configuration)):
                on_result(Result(configuration, _tagged(client, run, name, configuration)))
            else:
                pending.append(configuration)
    if pending:
        tasks = [Task(one.text, environment, scheduler is not None, cache) for one in pending]
        with _cluster(scheduler, workers) as dask:
            for index, outcome in _outcomes(dask, _checkout(repository, commit), tasks):
                on_result(_result(pending[index], outcome, name))
    return name


def _clean_commit() -> tuple[git.Repo, str]:
    """The repository and the commit that is checked out, which must be all that there is."""
    try:
        repository = git.Repo(search_parent_directories=True)
        commit = repository.head.commit.hexsha
    except (git.GitError, ValueError) as error:
        raise UserError(
            "a sweep runs a commit, and there is none here; start it in the pipeline's repository"
        ) from error
    if changes := ", ".join(pipeline_state.uncommitted(repository, COMMITTED)):
        raise UserError(
            f"a sweep runs what is committed, but these have changed: {changes}; commit or stash them first"
        )
    return repository, commit


def _logging_variables(scheduler: str | None) -> dict[str, str]:
    """The environment variables that say where and how to log, with a store that every worker reaches."""
    uri = store.tracking_uri()
    if scheduler and (not uri.startswith(("http://", "https://")) or (_is_local(uri) and not _is_local(scheduler))):
        raise UserError(
            f"workers on other machines cannot log to {store.without_password(uri)}; start an MLflow server that they "
            "reach over HTTP (docs/tracking-server.md), and set MLFLOW_TRACKING_URI to its address"
        )
    own = {
        key: value for key, value in os.environ.items() if key.startswith(("MLFLOW_TRACKING_", "MLFLOW_EXPERIMENT_"))
    }
    return own | {"MLFLOW_TRACKING_URI": uri}


def _is_local(address: str) -> bool:
    return urlsplit(address).hostname in ("localhost", "127.0.0.1", "::1")


def _shared_cache(scheduler: str | None) -> str:
    """This repository's DVC cache for workers on this machine. Those on other machines need a remote instead."""
    try:
        with Repo() as repo:
            if not scheduler:
                return str(repo.cache.local_cache_dir)
            committed = repo.config.load_one("repo")
            text = Path(repo.config.files["repo"]).read_text()
    except DvcException as error:
        raise UserError(f"{error}") from error
    url = committed.get("remote", {}).get(committed.get("core", {}).get("remote"), {}).get("url", "")
    if not url or url.startswith(("http://", "https://")) or url not in text:  # DVC makes a relative path absolute
        raise UserError(
            "workers on other machines exchange results through a DVC remote with an absolute address, not over plain "
            f"HTTP; .dvc/config has {url or 'none'}: add one with `dvc remote add --default NAME URL`, and commit it"
        )
    return ""


def _known_runs(client: MlflowClient, experiment_id: str, commit: str) -> dict[frozenset[tuple[str, str]], Run]:
    """The finished runs of a commit's unchanged code, by their params."""
    wanted = f"tags.`mlflow.source.git.commit` = '{commit}' AND tags.`git.dirty` = 'false' AND status = 'FINISHED'"
    known: dict[frozenset[tuple[str, str]], Run] = {}
    token = None
    while token != "":
        page = client.search_runs([experiment_id], wanted, page_token=token)
        known |= {frozenset(run.data.params.items()): run for run in page}
        token = page.token or ""
    return known


def _params(configuration: Configuration) -> frozenset[tuple[str, str]]:
    """The params of a configuration as MLflow has them."""
    return frozenset((key, str(value)) for key, value in run_content.flatten(configuration.sections).items())


def _tagged(client: MlflowClient, run: Run, sweep: str, configuration: Configuration) -> Run:
    client.set_tag(run.info.run_id, f"sweep.{sweep}", str(configuration))
    return run


def _result(configuration: Configuration, outcome: Outcome, sweep: str) -> Result:
    if outcome.error:
        return Result(configuration, None, outcome.ran, outcome.error)
    try:
        with store.connect() as (client, experiment_id):
            found = client.search_runs([experiment_id], f"tags.`{run_content.STATE_TAG}` = '{outcome.state}'")
            first = min(found, key=lambda run: str(run.info.run_id), default=None)  # the one that publishers keep
            run = _tagged(client, first, sweep, configuration) if first else None
    except UserError as error:  # the other tasks go on, and the same sweep once more will find this run
        return Result(configuration, None, outcome.ran, str(error))
    return Result(configuration, run, outcome.ran, "" if run else "its MLflow run has been deleted in the meantime")


def _checkout(repository: git.Repo, commit: str) -> worker.Checkout:
    with TemporaryDirectory() as folder:
        bundle = Path(folder, "bundle")
        repository.git.bundle("create", "--quiet", str(bundle), "HEAD")
        subfolder = paths.repo_root().relative_to(Path(repository.working_dir).resolve())
        return worker.Checkout(f"digits-{commit[:7]}-{uuid.uuid4().hex[:8]}", bundle.read_bytes(), str(subfolder))


@contextmanager
def _cluster(scheduler: str | None, workers: int | None) -> Iterator[Client]:
    """A client of the scheduler, or of a cluster on this machine that ends with the block."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # its errors reach us as exceptions, too
    if scheduler:
        with Client(scheduler, timeout="10s") as client:
            yield client
        return
    size = workers or max(1, min(CPU_COUNT, MEMORY_LIMIT // MEMORY_PER_WORKER))
    # Workers that are started while it is ignored keep ignoring Ctrl-C: it is for this process, which ends them.
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
    finally:
        signal.signal(signal.SIGINT, handler)
    with cluster, Client(cluster) as client:
        yield client


def _outcomes(client: Client, checkout: worker.Checkout, tasks: Sequence[Task]) -> Iterator[tuple[int, Outcome]]:
    """The outcome of each task by its index, as they come. Dask runs the tasks of a lost worker elsewhere."""
    cloudpickle.register_pickle_by_value(worker)
    futures = {}
    try:
        try:
            client.register_plugin(checkout)
        except subprocess.CalledProcessError as error:
            raise UserError(f"a worker cannot unpack the repository: {error}") from error
        for index, task in enumerate(tasks):
            key = f"{checkout.name}-{index}"
            futures[client.submit(worker.run_task, checkout.name, asdict(task), key=key, pure=False)] = index
        for future in as_completed(futures):
            fault = future.exception()
            outcome = Outcome(error=f"{type(fault).__name__}: {fault}") if fault else Outcome(**future.result())
            yield futures[future], outcome
            future.release()
    finally:
        with suppress(Exception):  # without the scheduler, or a worker, the tasks end by themselves
            client.cancel(list(futures))
            client.unregister_worker_plugin(checkout.name)
        cloudpickle.unregister_pickle_by_value(worker)
