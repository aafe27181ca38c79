"""The MLflow store: which one it is, one process at a time where that matters, and clear errors."""

import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager, nullcontext
from pathlib import Path

import mlflow
import requests
import sqlalchemy
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException

from digits.common import paths
from digits.common.errors import UserError
from digits.tracking import experiment_page

# Fail within 30 s if the server is unreachable. No retries: a repeated request may create something twice.
TIMEOUTS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}

BATCH = 1000  # metrics per request, the most that a server accepts

REASSURANCE = "Nothing is lost: DVC has the model, metrics and plots. Run `dvc repro` once MLflow is reachable."


@contextmanager
def connect(*, create: bool = True) -> Iterator[tuple[MlflowClient, str]]:
    """A client of the store that MLFLOW_TRACKING_URI names, and the id of the experiment in MLFLOW_EXPERIMENT_NAME.

    By default the store is mlflow.db at the root of the repository, which is the working directory in the block, so
    that a relative database path starts there.

    Args:
        create: whether to create the database and the experiment if they do not exist, instead of raising.

    Raises:
        UserError: the store cannot be used, now or at any time in the block; nothing is lost.
    """
    for name, value in TIMEOUTS.items():
        os.environ.setdefault(name, value)
    os.environ["MLFLOW_ENABLE_ASYNC_LOGGING"] = "false"  # the stage would end before the queue
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    uri = _configured_uri()
    database = _database(uri)
    # One process at a time on an SQLite database, which MLflow does not create safely in parallel.
    lock = FileLock(f"{database}.lock") if database and create else nullcontext()
    try:
        if database:
            _check_file(database, create=create)
        with chdir(paths.repo_root()), lock:
            if not uri.startswith("http"):
                _check_database(uri)
            mlflow.set_tracking_uri(uri)
            client = MlflowClient()
            yield client, _experiment(client, uri, create=create)
    except (MlflowException, requests.RequestException, sqlalchemy.exc.SQLAlchemyError) as error:
        reason = " ".join(str(error).split())[:300]
        line = without_password(f"MLflow at {uri} cannot be used: {reason}")
        raise UserError(f"{line}\n{REASSURANCE}" if create else line) from error


def log_metrics(client: MlflowClient, run_id: str, metrics: Sequence[Metric]) -> None:
    """Log any number of metrics."""
    for start in range(0, len(metrics), BATCH):
        client.log_batch(run_id, metrics[start : start + BATCH])


def tracking_uri() -> str:
    """The address of the store for a process in another folder: the path of an SQLite database is absolute."""
    uri = _configured_uri()
    database = _database(uri)
    return f"sqlite:///{database}" if database else uri


def _configured_uri() -> str:
    return os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"


def without_password(text: str) -> str:
    """`text` with the credentials in its URLs replaced by asterisks."""
    return re.sub(r"://[^/\s]+@", "://***@", text)


def _database(uri: str) -> Path | None:
    """The file of an SQLite database; None for every other store."""
    return paths.repo_root() / uri.removeprefix("sqlite:///") if uri.startswith("sqlite:///") else None


def _check_file(database: Path, *, create: bool) -> None:
    if create and not database.parent.is_dir():
        raise MlflowException(f"there is no folder {database.parent} (percent-encoding is not supported)")
    if not create and not database.is_file():
        allowed = "run `dvc repro`, or name another in MLFLOW_TRACKING_URI"
        raise UserError(f"There is no MLflow store at {database}: {allowed}")


def _check_database(uri: str) -> None:
    """Connect once. MLflow itself would try for 100 s, and end with a traceback."""
    try:
        engine = sqlalchemy.create_engine(uri)
        engine.connect().close()
        engine.dispose()
    except ImportError as error:  # of the database's driver
        raise MlflowException(f"{error}") from error


def _experiment(client: MlflowClient, uri: str, *, create: bool) -> str:
    """The id of the experiment, created if it does not exist and `create` is set."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "digits"
    experiment = client.get_experiment_by_name(name)
    another = "or name another in MLFLOW_EXPERIMENT_NAME"
    if experiment is None and not create:
        raise UserError(f"MLflow has no experiment {name!r}: run `dvc repro`, {another}")
    if experiment is None:
        # Artifacts are next to an SQLite database; a server has its own place.
        folder = (_database(uri) or Path("mlflow.db").absolute()).parent / "mlartifacts"
        try:
            place = None if uri.startswith("http") else folder.as_uri()
            return str(client.create_experiment(name, place, experiment_page.TAGS))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return _experiment(client, uri, create=create)  # another process was faster
    if experiment.lifecycle_stage != "active":
        restore = f"mlflow experiments restore --experiment-id {experiment.experiment_id}"
        raise UserError(f"MLflow's experiment {name!r} is deleted; restore it with `{restore}`, {another}")
    if create:
        missing = {key: value for key, value in experiment_page.TAGS.items() if key not in experiment.tags}
        for key, value in missing.items():  # the others may be a user's
            client.set_experiment_tag(experiment.experiment_id, key, value)
    return str(experiment.experiment_id)
