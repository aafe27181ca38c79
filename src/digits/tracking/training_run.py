"""A training run in MLflow before its state is known; `track` makes it the run of the state.

Its identity is that of its checkpoint: the params, data and code of the training run.
"""

import os
import time
from collections.abc import Mapping, Sequence

from mlflow import MlflowClient
from mlflow.entities import Param, Run, RunStatus

from digits.common import run_record
from digits.tracking import run_content, store
from digits.tracking.run_content import EPOCH_SECONDS_TAG, EXPERIMENTS_TAG, MODEL_TAG, NOTE_TAG, STATE_TAG, TRAINING_TAG

NOTE = "In training; `track` will add the results."

RUNNING, KILLED = RunStatus.to_string(RunStatus.RUNNING), RunStatus.to_string(RunStatus.KILLED)
SUFFIX = ", in training"  # of the name


def find(client: MlflowClient, experiment_id: str, identity: str) -> list[Run]:
    """The runs of a training run: those with a state first, then by id."""
    runs = client.search_runs([experiment_id], f"tags.`{TRAINING_TAG}` = '{identity}'")
    return sorted(runs, key=lambda run: (is_pending(run), str(run.info.run_id)))


def find_pending(client: MlflowClient, experiment_id: str, identity: str) -> list[Run]:
    """Those without a state."""
    return [run for run in find(client, experiment_id, identity) if is_pending(run)]


def is_pending(run: Run) -> bool:
    """Whether the run has no state yet."""
    return STATE_TAG not in run.data.tags


def has_given_name(run: Run) -> bool:
    """Whether the run still has the name given here."""
    return str(run.info.run_name).endswith(SUFFIX)


def find_abandoned(client: MlflowClient, experiment_id: str) -> list[Run]:
    """The training runs that began over a week ago and are still RUNNING."""
    latest = round(1000 * (time.time() - run_record.ABANDONED_AFTER))
    begun = f"attributes.start_time < {latest} AND tags.`{TRAINING_TAG}` != ''"
    return list(client.search_runs([experiment_id], f"{begun} AND attributes.status = '{RUNNING}'"))


def mark_abandoned(client: MlflowClient, experiment_id: str) -> None:
    """Mark as KILLED the training runs that were abandoned; a resumed one is RUNNING again."""
    for run in find_abandoned(client, experiment_id):
        client.set_terminated(run.info.run_id, KILLED)
        client.set_tag(run.info.run_id, NOTE_TAG, "Abandoned: it began over a week ago and never ended.")


class TrainingRun:
    """Logs a training run while it trains, to the end or in several parts.

    Processes that do so at once for the same identity keep one run, and log the same points.
    """

    def __init__(self, identity: str, params: Mapping[str, str]) -> None:
        self._identity = identity
        self._params = params
        self._source = run_content.source_tags()  # here, since `connect` works in the folder of the store
        self._logged: dict[str, int] = {}  # the number of epochs, by run

    def log(self, history: Sequence[Mapping[str, float]]) -> None:
        """Log the rows that were not logged yet, unless the run has a state already.

        Raises:
            UserError: the store cannot be used.
        """
        with store.connect() as (client, experiment_id):
            run = self._open(client, experiment_id, history)
            run_id = run.info.run_id
            if is_pending(run):
                if run_id not in self._logged:
                    client.log_batch(run_id, params=[Param(key, value) for key, value in self._params.items()])
                new = history[self._logged.get(run_id, 0) :]
                store.log_metrics(client, run_id, run_content.epoch_metrics(new, run))
                self._logged[run_id] = len(history)

    def delete_if_known(self, model: str) -> None:
        """Delete a run without a state if MLflow has a finished one of the same params and model, given by its SHA-256.

        After an edit of the code that changed no result, DVC does not run `track`.
        """
        with store.connect() as (client, experiment_id):
            same_model = f"tags.`{MODEL_TAG}` = '{model}' AND attributes.status = 'FINISHED'"
            finished = client.search_runs([experiment_id], same_model)
            if any(self._params.items() <= run.data.params.items() for run in finished):
                for run in find_pending(client, experiment_id, self._identity):
                    client.delete_run(run.info.run_id)

    def end(self, status: str, reason: str) -> None:
        """Set the status of a run without a state: FAILED with the reason, or KILLED."""
        with store.connect() as (client, experiment_id):
            for run in find_pending(client, experiment_id, self._identity):
                client.set_terminated(run.info.run_id, status)
                if reason:
                    client.set_tag(run.info.run_id, NOTE_TAG, f"Training failed: {reason}")

    def _open(self, client: MlflowClient, experiment_id: str, history: Sequence[Mapping[str, float]]) -> Run:
        """The run, created if there is none; RUNNING, unless it has a state. Duplicates are deleted."""
        while not (found := find(client, experiment_id, self._identity)):
            self._create(client, experiment_id, history)
        run, *duplicates = found
        for duplicate in filter(is_pending, duplicates):
            client.delete_run(duplicate.info.run_id)
        if is_pending(run) and run.info.status != RUNNING:
            client.update_run(run.info.run_id, RUNNING)
            client.set_tag(run.info.run_id, NOTE_TAG, NOTE)
        return run

    def _create(self, client: MlflowClient, experiment_id: str, history: Sequence[Mapping[str, float]]) -> None:
        seconds = history[-1]["seconds"]
        experiment = os.environ.get("DVC_EXP_NAME")
        tags = {
            **self._source,
            **run_content.environment_tags(run_record.cpu(), run_record.versions()),
            **({EXPERIMENTS_TAG: experiment} if experiment else {}),
            TRAINING_TAG: self._identity,
            EPOCH_SECONDS_TAG: f"{seconds / len(history):.3f}",
            NOTE_TAG: NOTE,
        }
        name = experiment or f"{self._params['train.recipe']}{SUFFIX}"
        client.create_run(experiment_id, round(1000 * (time.time() - seconds)), tags, name)
