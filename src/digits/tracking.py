"""MLflow: one run for one state of the pipeline, however often and from wherever the state is published."""

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import mlflow
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import (
    LoggedModel,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Param,
    Run,
    RunStatus,
    RunTag,
)
from mlflow.exceptions import MlflowException

from digits import artifacts, mlflow_model, registry, run_content, workspace
from digits import state as states
from digits.errors import InputError
from digits.run_content import MODEL, Results, milliseconds
from digits.state import State

FILES = ("params.yaml", "dvc.lock", "reports/metrics.json", "reports/history.csv", "reports/prediction.json")
PLOTS = Path("reports/plots")

SQLITE = "sqlite:///"

STATE_TAG = "digits.state"
EXPERIMENTS_TAG = "dvc.experiments"

METRICS_AT_ONCE = 1000  # a server refuses more

# Under the 30 s that an absent server may cost. One try only: MLflow would send again what makes a run, and a slow
# server make two; the next `dvc repro` is the second try.
PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "20", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}

ASYNCHRONOUS = "MLFLOW_ENABLE_ASYNC_LOGGING"  # what is queued when the stage ends would be lost


def publish(params: Mapping[str, Mapping[str, object]], lock: Path) -> State:
    """Publish the state that `lock`, the dvc.lock here, holds: a new run, or the one that it has, completed.

    Args:
        params: the sections of params.yaml that the stages read, by the keys that dvc.lock has for them.
        lock: the path of dvc.lock.

    Returns:
        The state.

    Raises:
        InputError: `params` are not those of the state, or the tracking server cannot be used; nothing is lost.
    """
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    os.environ[ASYNCHRONOUS] = "false"
    logging.getLogger("alembic").setLevel(logging.WARNING)
    state, results = states.read(lock, until="track"), run_content.read()
    if params != state.params:
        raise InputError(f"params.yaml is not what {lock} holds; run the whole pipeline: dvc repro")
    uri = _store()
    try:
        with _alone():
            mlflow.set_tracking_uri(uri)  # of the process, since the registry looks a model up by no other
            client = MlflowClient()
            with chdir(workspace.root()):  # where a new database says that its default experiment's artifacts are
                experiment_id = _experiment(client, uri)
            run = _run_of(client, experiment_id, state, results)
            _log(client, run, state, results)
    except MlflowException as error:
        raise InputError(
            f"MLflow at {uri} cannot be used: {' '.join(str(error).split())[:300]}\n"
            "Model, metrics and plots are safe with DVC; once MLflow answers, publish them by: dvc repro"
        ) from error
    return state


def _store() -> str:
    """The URI that MLFLOW_TRACKING_URI names, else mlflow.db at the root. A database's relative path starts there."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or SQLITE + "mlflow.db"
    return SQLITE + str(workspace.root() / uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else uri


@contextmanager
def _alone() -> Iterator[None]:
    """One publication at a time: MLflow neither creates a database nor finds-or-makes a run safely in parallel."""
    path = workspace.memory() / "mlflow.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        yield


def _experiment(client: MlflowClient, uri: str) -> str:
    """The id of the experiment that MLFLOW_EXPERIMENT_NAME names, made if it is not there."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "digits"
    if experiment := client.get_experiment_by_name(name):
        if experiment.lifecycle_stage != "active":
            raise InputError(
                f"MLflow's experiment {name!r} is deleted; bring it back by "
                f"`mlflow experiments restore --experiment-id {experiment.experiment_id}`, "
                "or name another in MLFLOW_EXPERIMENT_NAME"
            )
        return str(experiment.experiment_id)
    # A server has its own place for artifacts; a database has none, but for the working directory.
    is_server = urlsplit(uri).scheme in ("http", "https")
    location = None if is_server else (workspace.root() / "mlartifacts").as_uri()
    return str(client.create_experiment(name, artifact_location=location))


def _run_of(client: MlflowClient, experiment_id: str, state: State, results: Results) -> Run:
    """The run of `state`, made if it is not there, and named by the first DVC experiment that reached the state."""
    found = client.search_runs([experiment_id], f"tags.`{STATE_TAG}` = '{state.fingerprint}'", max_results=1)
    reaching = os.environ.get("DVC_EXP_NAME")
    if not found:
        started = results.timing.started if results.timing else time.time()
        name = reaching or f"{state.params['train']['recipe']}-{state.fingerprint[:7]}"
        tags = {STATE_TAG: state.fingerprint} | ({EXPERIMENTS_TAG: reaching} if reaching else {})
        return client.create_run(experiment_id, milliseconds(started), tags, name)
    run = found[0]
    names = run.data.tags.get(EXPERIMENTS_TAG, "").split()
    if reaching and reaching not in names:
        if not names:
            client.update_run(run.info.run_id, name=reaching)
        client.set_tag(run.info.run_id, EXPERIMENTS_TAG, " ".join([*names, reaching]))
    return run


def _log(client: MlflowClient, run: Run, state: State, results: Results) -> None:
    """Give the run all that belongs to it. Whatever is there already stays or is replaced; nothing doubles."""
    run_id = run.info.run_id
    model = _logged_model(client, run, results)
    _log_values(client, run, state, results, model)
    client.log_inputs(run_id, run_content.datasets(results.dataset))
    for path in FILES:
        client.log_artifact(run_id, path)
    client.log_artifacts(run_id, str(PLOTS), "plots")
    table = artifacts.read_table(Path("data/predictions.csv")).to_dict(orient="split", index=False)
    client.log_dict(run_id, table, "predictions.json")
    if model.status != LoggedModelStatus.READY:
        with TemporaryDirectory() as folder:
            mlflow_model.write(Path(folder, "model"), MODEL, model, run_content.example())
            client.log_model_artifacts(model.model_id, str(Path(folder, "model")))
        client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    if results.dataset == "mnist" and results.validation_accuracy is not None:
        tags = {
            "validation_accuracy": str(results.validation_accuracy),
            "validation_split": run_content.validation_split(state),
            STATE_TAG: state.fingerprint,
        }
        registry.register(client, run_id, model.model_id, run_content.description(state, results), tags)
    if run.info.status != RunStatus.to_string(RunStatus.FINISHED):
        ended = run.info.start_time + milliseconds(results.timing.seconds[-1]) if results.timing else None
        client.set_terminated(run_id, end_time=ended)


def _log_values(client: MlflowClient, run: Run, state: State, results: Results, model: LoggedModel) -> None:
    """Log what the run lacks of its parameters and metrics, and set its tags."""
    # MLflow never changes a parameter, not even its spelling.
    knobs = run_content.params(state).items()
    params = [Param(key, str(value)) for key, value in knobs if key not in run.data.params]
    metrics = _missing(client, run, model.model_id, run_content.metrics(results, run.info.start_time, model.model_id))
    tags = run_content.tags(state, results)
    if results.timing is None and run_content.NOTE_TAG in run.data.tags:
        del tags[run_content.NOTE_TAG]  # it may know how long the training took; this machine does not
    client.log_batch(run.info.run_id, params=params, tags=[RunTag(key, value) for key, value in tags.items()])
    for at in range(0, len(metrics), METRICS_AT_ONCE):
        client.log_batch(run.info.run_id, metrics=metrics[at : at + METRICS_AT_ONCE])


def _logged_model(client: MlflowClient, run: Run, results: Results) -> LoggedModel:
    """The run's model, recorded if it is not yet, and named as its output."""
    run_id, experiment_id = run.info.run_id, run.info.experiment_id
    found = client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'", max_results=1)
    model = (
        found[0]
        if found
        else client.create_logged_model(
            experiment_id, "classifier", run_id, tags={"sha256": artifacts.sha256(MODEL)}, model_type="keras"
        )
    )
    outputs = client.get_run(run_id).outputs
    if model.model_id not in [output.model_id for output in (outputs.model_outputs if outputs else [])]:
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, results.last_epoch)])
    return model


def _missing(client: MlflowClient, run: Run, model_id: str, metrics: list[Metric]) -> list[Metric]:
    """Those of `metrics` that the run, or the model if it is theirs, has no value of at their step."""
    times = {
        (metric.key, metric.step): metric.timestamp
        for key in client.get_run(run.info.run_id).data.metrics
        for metric in client.get_metric_history(run.info.run_id, key)
    }
    of_model = {metric.key for metric in client.get_logged_model(model_id).metrics or []}
    missing = []
    for metric in metrics:
        time_there = times.get((metric.key, metric.step))
        if time_there is None or (metric.model_id and metric.key not in of_model):
            # At the time that the run may have it at, or it would be there twice.
            when = metric.timestamp if time_there is None else time_there
            missing.append(Metric(metric.key, metric.value, when, metric.step, model_id=metric.model_id))
    return missing
