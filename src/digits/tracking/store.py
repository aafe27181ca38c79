"""The MLflow store: which one it is, one process at a time where that matters, and errors in one line."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import chdir, contextmanager, nullcontext
from pathlib import Path

import mlflow
import requests
import sqlalchemy
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from digits.common import paths
from digits.common.errors import UserError

# An absent server must fail within 30 s. MLflow would repeat requests that create something; `dvc repro` is the retry.
TIMEOUTS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}


@contextmanager
def connect(*, create: bool = True) -> Iterator[tuple[MlflowClient, str]]:
    """A client of the store that MLFLOW_TRACKING_URI names, and the id of the experiment in MLFLOW_EXPERIMENT_NAME.

    By default the store is mlflow.db at the root of the repository, where a relative database path starts, too: in the
    block, the root is the working directory.

    Args:
        create: whether to create the database and the experiment if they do not exist, instead of raising.

    Raises:
        UserError: the store cannot be used, now or at any time in the block; nothing is lost.
    """
    for name, value in TIMEOUTS.items():
        os.environ.setdefault(name, value)
    os.environ["MLFLOW_ENABLE_ASYNC_LOGGING"] = "false"  # the stage would end before the queue
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    uri = _configured_uri()
    try:
        with chdir(paths.repo_root()), _exclusive(uri) if create else nullcontext():
            if not create:
                _check_exists(uri)
            if not uri.startswith("http"):
                _check_database(uri)
            mlflow.set_tracking_uri(uri)
            client = MlflowClient()
            yield client, _experiment(client, uri, create=create)
    except (MlflowException, requests.RequestException, sqlalchemy.exc.SQLAlchemyError) as error:
        reason = " ".join(str(error).split())[:300]
        reassurance = (
            "\nNothing is lost: DVC has the model, metrics and plots. Run `dvc repro` once MLflow is reachable."
        )
        line = without_password(f"MLflow at {uri} cannot be used: {reason}")
        raise UserError(line + reassurance if create else line) from error


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


@contextmanager
def _exclusive(uri: str) -> Iterator[None]:
    """One process at a time on an SQLite database, which MLflow does not create safely in parallel."""
    database = _database(uri)
    if database and not database.parent.is_dir():
        raise UserError(
            f"MLflow at {uri} cannot be used: there is no folder {database.parent} (percent-encoding is not supported)"
        )
    with FileLock(f"{database}.lock") if database else nullcontext():
        yield


def _check_exists(uri: str) -> None:
    database = _database(uri)
    if database and not database.is_file():
        raise UserError(
            f"There is no MLflow store at {database}: run `dvc repro`, or name another in MLFLOW_TRACKING_URI"
        )


def _check_database(uri: str) -> None:
    """Connect once. MLflow itself would try for 100 s, and end with a traceback."""
    try:
        engine = sqlalchemy.create_engine(uri)
        engine.connect().close()
        engine.dispose()
    except (ImportError, sqlalchemy.exc.ArgumentError) as error:
        raise MlflowException(f"{error}") from error


def _experiment(client: MlflowClient, uri: str, *, create: bool) -> str:
    """The id of the experiment, created if it does not exist and `create` is set."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "digits"
    experiment = client.get_experiment_by_name(name)
    if experiment is None and not create:
        raise UserError(
            f"MLflow has no experiment {name!r}: run `dvc repro`, or name another in MLFLOW_EXPERIMENT_NAME"
        )
    if experiment is None:
        try:
            return str(client.create_experiment(name, artifact_location=_artifact_location(uri)))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return _experiment(client, uri, create=create)  # another process was faster
    if experiment.lifecycle_stage != "active":
        raise UserError(
            f"MLflow's experiment {name!r} is deleted; restore it with "
            f"`mlflow experiments restore --experiment-id {experiment.experiment_id}`, "
            "or name another in MLFLOW_EXPERIMENT_NAME"
        )
    return str(experiment.experiment_id)


def _artifact_location(uri: str) -> str | None:
    """A folder next to an SQLite database; a server has its own place."""
    database = _database(uri) or Path("mlflow.db").absolute()
    return None if uri.startswith("http") else (database.parent / "mlartifacts").as_uri()
