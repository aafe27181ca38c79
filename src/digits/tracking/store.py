"""The MLflow store: which one it is, one process at a time where that matters, and clear errors."""

import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager, nullcontext
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import mlflow
import requests
import sqlalchemy
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Experiment, Metric
from mlflow.exceptions import MlflowException
from sqlalchemy.engine import make_url

from digits.common import paths
from digits.common.errors import UserError
from digits.tracking import experiment_page, moved_store

# Fail within 30 s if the server is unreachable. No retries: a repeated request may create something twice.
TIMEOUTS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}

BATCH = 1000  # metrics per request, the most that a server accepts

DEFAULT = "sqlite:///mlflow.db"
DATABASES = ("mssql", "mysql", "postgresql")
ALLOWED = (
    "must be an SQLite file (sqlite:///mlflow.db), a database of PostgreSQL, MySQL or SQL Server, or an MLflow server "
    "(http://localhost:5000); special characters in a password are percent-encoded"
)

REASSURANCE = "Nothing is lost: DVC has the model, metrics and plots. Run `dvc repro` once MLflow is reachable."


@contextmanager
def connect(*, create: bool = True) -> Iterator[tuple[MlflowClient, str]]:
    """A client of the store that MLFLOW_TRACKING_URI names, and the id of the experiment in MLFLOW_EXPERIMENT_NAME.

    By default the store is mlflow.db at the root of the repository, which is the working directory in the block.

    Args:
        create: whether to create the database and the experiment if they do not exist, instead of raising.

    Raises:
        UserError: the store cannot be used, now or at any time in the block; nothing is lost.
    """
    for name, value in TIMEOUTS.items():
        os.environ.setdefault(name, value)
    os.environ["MLFLOW_ENABLE_ASYNC_LOGGING"] = "false"  # the stage would end before the queue
    os.environ.pop("MLFLOW_REGISTRY_URI", None)  # models are where their runs are
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    uri = configured_uri()
    database = _database(uri)
    # One process at a time on an SQLite database, which MLflow does not create safely in parallel.
    lock = FileLock(f"{database}.lock") if database and create else nullcontext()
    try:
        if database:
            _check_file(database, create=create)
        with chdir(paths.repo_root()), lock:
            absolute = _absolute(uri, database)
            if not _is_server(uri):
                _check_database(absolute)
            mlflow.set_tracking_uri(absolute)
            client = MlflowClient()
            # Artifacts are next to an SQLite database; a server has its own place.
            folder = (database or Path("mlflow.db").absolute()).with_name("mlartifacts")
            experiment = _experiment(client, None if _is_server(uri) else folder.as_uri(), create=create)
            if database:
                moved_store.relocate(absolute, experiment.artifact_location, folder)
            yield client, str(experiment.experiment_id)
    except (MlflowException, requests.RequestException, sqlalchemy.exc.SQLAlchemyError) as error:
        reason = " ".join(str(error).split())[:300]
        line = without_password(f"MLflow at {uri} cannot be used: {reason}")
        raise UserError(f"{line}\n{REASSURANCE}" if create else line) from error


def log_metrics(client: MlflowClient, run_id: str, metrics: Sequence[Metric]) -> None:
    """Log any number of metrics."""
    for start in range(0, len(metrics), BATCH):
        client.log_batch(run_id, metrics[start : start + BATCH])


def configured_uri() -> str:
    """MLFLOW_TRACKING_URI; by default mlflow.db at the root of the repository.

    Raises:
        UserError: it is not the URI of a database or a server.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT
    try:
        is_valid = _is_valid_server(uri) if _is_server(uri) else _is_valid_database(uri)
    except (ValueError, sqlalchemy.exc.ArgumentError):  # such as a port that is no number
        is_valid = False
    if not is_valid:
        raise UserError(f"MLFLOW_TRACKING_URI: {ALLOWED}; got {without_password(uri)}")
    return uri


def tracking_uri() -> str:
    """The address of the store for a process in another folder: the path of an SQLite database is absolute.

    Characters such as % and ? are encoded. With its driver's name, MLflow does not make a folder of the encoded name.
    """
    uri = configured_uri()
    return _absolute(uri, _database(uri))


def without_password(text: str) -> str:
    """`text` with asterisks for the credentials of every URL, and all of those in MLFLOW_TRACKING_URI and its query.

    The driver's name that `tracking_uri` adds is left out.
    """
    address = (os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT).partition("://")[2]
    credentials, _, place = address.rpartition("@")
    password = credentials.partition(":")[2]
    secrets = [credentials, place.partition("?")[2], password, unquote(password), quote(unquote(password), safe="")]
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return re.sub(r"://[^/\s]+@", "://***@", text.replace("sqlite+pysqlite:", "sqlite:"))


def _absolute(uri: str, database: Path | None) -> str:
    return sqlalchemy.URL.create("sqlite+pysqlite", database=str(database)).render_as_string() if database else uri


def _is_server(uri: str) -> bool:
    return uri.startswith(("http://", "https://"))


def _is_valid_server(uri: str) -> bool:
    """Whether all libraries find the same host: a / in a password would end it for some."""
    address = urlsplit(uri)
    return bool(address.hostname) and address.port != 0 and ("@" in uri) == ("@" in address.netloc) and " " not in uri


def _is_valid_database(uri: str) -> bool:
    url = make_url(uri)
    kind = url.get_backend_name()
    return kind in DATABASES or (kind == "sqlite" and url.database not in (None, "", ":memory:"))


def _database(uri: str) -> Path | None:
    """The file of an SQLite database; None for every other store."""
    url = None if _is_server(uri) else make_url(uri)
    is_file = url is not None and url.get_backend_name() == "sqlite"
    return (paths.repo_root() / str(url.database)).resolve() if url is not None and is_file else None


def _check_file(database: Path, *, create: bool) -> None:
    if create and not database.parent.is_dir():
        raise MlflowException(f"there is no folder {database.parent}")
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


def _experiment(client: MlflowClient, place: str | None, *, create: bool) -> Experiment:
    """The experiment, created if it does not exist and `create` is set; `place` is where its artifacts go."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "digits"
    experiment = client.get_experiment_by_name(name)
    another = "or name another in MLFLOW_EXPERIMENT_NAME"
    if experiment is None and not create:
        raise UserError(f"MLflow has no experiment {name!r}: run `dvc repro`, {another}")
    if experiment is None:
        try:
            client.create_experiment(name, place, experiment_page.TAGS)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was faster
                raise
        return _experiment(client, place, create=create)
    if experiment.lifecycle_stage != "active":
        restore = f"mlflow experiments restore --experiment-id {experiment.experiment_id}"
        raise UserError(f"MLflow's experiment {name!r} is deleted; restore it with `{restore}`, {another}")
    if create:
        missing = {key: value for key, value in experiment_page.TAGS.items() if key not in experiment.tags}
        for key, value in missing.items():  # the others may be a user's
            client.set_experiment_tag(experiment.experiment_id, key, value)
    return experiment
