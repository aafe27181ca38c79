"""One MLflow run per state, even if several processes log it at once.

MLflow enforces no unique keys but its own ids. Each process creates what is missing, lists again, and keeps the
smallest id; so all keep the same one. They log the same content, too.
"""

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
import requests
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Param, Run, RunStatus, RunTag
from mlflow.exceptions import MlflowException

from digits.common import files
from digits.tracking import mlflow_model, registry, run_content, store, training_run
from digits.tracking.run_content import EXPERIMENTS_TAG, MODEL_TAG, STATE_TAG, TRAINING_TAG, RunContent
from digits.tracking.state import State

ATTEMPTS = 5


def log_run(state: State) -> None:
    """Log the state in the working directory: create its run, or complete it.

    Raises:
        UserError: the store cannot be used.
    """
    content = run_content.read(state)
    with store.connect() as (client, experiment_id):
        logger = _RunLogger(client, experiment_id, content)
        for attempt in reversed(range(ATTEMPTS)):
            try:
                training_run.mark_abandoned(client, experiment_id)
                logger.log()
                break
            except MlflowException as error:
                # Another process may have deleted a duplicate in the meantime. Everything here can be repeated.
                is_away = isinstance(error.__context__, (requests.ConnectionError, requests.Timeout))
                if is_away or not attempt:
                    raise


@dataclass(frozen=True)
class _RunLogger:
    client: MlflowClient
    experiment_id: str
    content: RunContent

    def log(self) -> None:
        self.delete_untrue_runs()
        if not self.runs() and not self.take_over_training_run():
            experiment = os.environ.get("DVC_EXP_NAME")
            tags = dict(self.content.tags) | ({EXPERIMENTS_TAG: experiment} if experiment else {})
            self.client.create_run(self.experiment_id, self.content.started, tags, experiment or self.content.name)
        while True:
            run, *duplicates = self.runs()
            self.log_missing(run)
            for duplicate in duplicates:
                self.delete(duplicate)
            # A duplicate's version may have been the champion, and another process may have created a smaller id.
            if not duplicates and self.runs()[0].info.run_id == run.info.run_id:
                break
        for pending in self.training_runs():  # the state was known already
            self.client.delete_run(pending.info.run_id)

    def delete(self, run: Run) -> None:
        for model in self.models(run):
            self.client.delete_logged_model(model.model_id)
        registry.unregister(self.client, run.info.run_id)
        self.client.delete_run(run.info.run_id)

    def delete_untrue_runs(self) -> None:
        """Delete the runs that have the model or the scores of another state; MLflow cannot overwrite a metric."""
        for run in self.runs():
            if run.data.tags.get(MODEL_TAG) != self.content.tags[MODEL_TAG] or self.has_other_scores(run):
                sys.stderr.write(f"Run {run.info.run_id} had the results of another state; the state is logged anew\n")
                self.delete(run)

    def has_other_scores(self, run: Run) -> bool:
        """Whether a score was logged, but not this state's. Values that a user added are ignored."""
        for name, value in self.content.scores.items():
            if run.data.metrics.get(name, value) != value:
                history = self.client.get_metric_history(run.info.run_id, name)
                return value not in [metric.value for metric in history]
        return False

    def training_runs(self) -> list[Run]:
        """The runs of the training run that have no state yet."""
        identity = self.content.tags.get(TRAINING_TAG)
        return training_run.find_pending(self.client, self.experiment_id, identity) if identity else []

    def take_over_training_run(self) -> bool:
        """Give the state to a run that was logged while it trained, if there is one."""
        for run in self.training_runs():
            if run.data.params.items() <= self.content.params.items():
                tags = [RunTag(name, value) for name, value in self.content.tags.items()]
                self.client.log_batch(run.info.run_id, tags=tags)
                if training_run.has_given_name(run):
                    self.client.update_run(run.info.run_id, name=self.content.name)
                return True
        return False

    def runs(self) -> list[Run]:
        """The runs of the state, by id."""
        found = self.client.search_runs([self.experiment_id], f"tags.`{STATE_TAG}` = '{self.content.tags[STATE_TAG]}'")
        return sorted(found, key=lambda run: str(run.info.run_id))

    def log_missing(self, run: Run) -> None:
        """Log what the run lacks; its status is set last. Tags, name and description of a finished run are kept."""
        is_finished = run.info.status == RunStatus.to_string(RunStatus.FINISHED)
        if not is_finished:
            self.log_values(run)
        self.join_experiment(run)
        if not (is_finished and self.has_artifacts(run)):
            self.log_artifacts(run)
        model = self.log_model(run)
        if self.content.version_tags:
            note = self.content.tags[run_content.NOTE_TAG]
            registry.register(self.client, run.info.run_id, model.model_id, note, self.content.version_tags)
        if not is_finished:
            self.client.set_terminated(run.info.run_id, end_time=run_content.end_time(run))

    def join_experiment(self, run: Run) -> None:
        """Add the DVC experiment to the run's tag. The first one names the run, unless a user has."""
        experiment = os.environ.get("DVC_EXP_NAME")
        names = run.data.tags.get(EXPERIMENTS_TAG, "").split()
        if experiment and experiment not in names:
            if not names and run.info.run_name == self.content.name:
                self.client.update_run(run.info.run_id, name=experiment)
            self.client.set_tag(run.info.run_id, EXPERIMENTS_TAG, " ".join([*names, experiment]))

    def log_values(self, run: Run) -> None:
        params = [Param(key, value) for key, value in self.content.params.items()]
        self.client.log_batch(run.info.run_id, params=params)
        store.log_metrics(self.client, run.info.run_id, run_content.metrics(self.content, run))
        self.client.log_inputs(run.info.run_id, self.content.datasets)

    def has_artifacts(self, run: Run) -> bool:
        """Whether the run's files are those of the state; comments in params.yaml and code in dvc.lock may differ."""
        with TemporaryDirectory() as folder, suppress(OSError, MlflowException):  # raised if a file is missing
            for path, content in self.content.artifacts.items():
                logged = Path(self.client.download_artifacts(run.info.run_id, path, folder)).read_bytes()
                if logged != content and path not in ("params.yaml", "dvc.lock"):
                    return False
            return True
        return False

    def log_artifacts(self, run: Run) -> None:
        with TemporaryDirectory() as folder:
            for path, content in self.content.artifacts.items():
                files.write_bytes(Path(folder, path), content)
            self.client.log_artifacts(run.info.run_id, folder)

    def models(self, run: Run) -> list[LoggedModel]:
        """The run's models, by id."""
        found = self.client.search_logged_models([self.experiment_id], f"source_run_id = '{run.info.run_id}'")
        return sorted(found, key=lambda model: str(model.model_id))

    def log_model(self, run: Run) -> LoggedModel:
        """The run's model: created, linked to the run, and given its metrics and files, unless it has them."""
        run_id = run.info.run_id
        if not self.models(run):
            tags = {"sha256": self.content.tags[MODEL_TAG]}
            self.client.create_logged_model(self.experiment_id, "classifier", run_id, tags=tags, model_type="keras")
        model, *duplicates = self.models(run)
        for duplicate in duplicates:
            self.client.delete_logged_model(duplicate.model_id)
        outputs = self.client.get_run(run_id).outputs
        if model.model_id not in [output.model_id for output in (outputs.model_outputs if outputs else [])]:
            self.client.log_outputs(run_id, [LoggedModelOutput(model.model_id, len(self.content.history))])
        if model.status != LoggedModelStatus.READY or not self.has_model_file(model):
            self.client.log_batch(run_id, metrics=run_content.metrics(self.content, run, model.model_id))
            with TemporaryDirectory() as folder:
                mlflow_model.write(Path(folder, "model"), self.content, model)
                self.client.log_model_artifacts(model.model_id, str(Path(folder, "model")))
            self.client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
        return model

    def has_model_file(self, model: LoggedModel) -> bool:
        """Whether MLflow would serve the state's model."""
        with TemporaryDirectory() as folder, suppress(OSError, MlflowException):
            path = mlflow.artifacts.download_artifacts(f"{model.artifact_location}/data/model.keras", dst_path=folder)
            return Path(path).read_bytes() == self.content.model.read_bytes()
        return False
