"""The registered model `digits`: one version for each state, and the champion by validation accuracy."""

from collections.abc import Mapping
from typing import Any

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

NAME = "digits"
CHAMPION = "champion"
SPLIT = "validation_split"

PAGE = 10  # models per request when looking for the best
NOT_FOUND_CODES = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST")  # MLflow's for no alias, and for no model
BEST_FIRST: list[dict[str, Any]] = [
    {"field_name": "metrics.val_accuracy", "ascending": False},
    {"field_name": "creation_timestamp", "ascending": True},
]

DESCRIPTION = """Classifiers of handwritten digits: raw pixels 0..255, float32 (n, 28, 28), to ten probabilities.

Each version is one state of a DVC pipeline, which its description names. The alias `champion` is on the version with
the best validation accuracy among those with the champion's validation split; the oldest keeps it in a tie. It is not
chosen by test accuracy.
"""


def register(client: MlflowClient, run_id: str, model_id: str, description: str, tags: Mapping[str, str]) -> None:
    """Register the run's model unless it is registered, then update the champion.

    A version's tags have its `validation_accuracy`, and a `validation_split` that is equal for models to be compared.
    The model has the accuracy as its metric `val_accuracy`, and gets the tag of the split.
    """
    if not find_champion(client):  # with a champion there is a model, and MLflow would read every version to say so
        try:
            client.create_registered_model(NAME, description=DESCRIPTION)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
    if not versions(client, run_id, model_id):
        source = f"models:/{model_id}"
        client.create_model_version(NAME, source, run_id, tags=dict(tags), description=description, model_id=model_id)
    found = versions(client, run_id, model_id)
    if not found:
        return  # another process kept another run of the state, and unregistered this one
    version, *duplicates = found
    for duplicate in duplicates:  # another process registered it at the same moment
        _delete(client, duplicate)
    try:
        client.set_logged_model_tags(model_id, {SPLIT: tags[SPLIT]})
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            unregister(client, run_id)  # another process kept another run of the state, and deleted this one's model
        raise
    # Look again after each change: another process may have registered a better one.
    while True:
        champion = find_champion(client)
        best = str(_best(client, version, champion).version)
        if champion and str(champion.version) == best:
            break
        client.set_registered_model_alias(NAME, CHAMPION, best)


def unregister(client: MlflowClient, run_id: str) -> None:
    """Delete the versions of a run. Its model must be deleted already, so that no other process registers it again."""
    for version in versions(client, run_id):
        _delete(client, version)


def versions(client: MlflowClient, run_id: str | None, model_id: str = "") -> list[ModelVersion]:
    """The versions of a run, or of its model, oldest first, without those registered by hand, which lack the tags."""
    found = client.search_model_versions(f"name = '{NAME}' AND run_id = '{run_id}'")
    own = [version for version in found if SPLIT in version.tags and str(version.source).endswith(model_id)]
    return sorted(own, key=lambda version: int(version.version))


def _delete(client: MlflowClient, version: ModelVersion) -> None:
    try:
        client.delete_model_version(NAME, version.version)
    except MlflowException as error:  # another process has deleted it
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise


def find_champion(client: MlflowClient) -> ModelVersion | None:
    """The version with the alias, if there is one."""
    try:
        return client.get_model_version_by_alias(NAME, CHAMPION)
    except MlflowException as error:
        if error.error_code not in NOT_FOUND_CODES:
            raise
        return None


def _best(client: MlflowClient, new: ModelVersion, champion: ModelVersion | None) -> ModelVersion:
    """The version that should be champion: the best one of the champion's validation split whose files exist."""
    peer = champion if champion and SPLIT in champion.tags else new
    experiments = [str(experiment.experiment_id) for experiment in client.search_experiments()]
    own, token = f"tags.{SPLIT} = '{peer.tags[SPLIT]}'", None
    while token != "":  # the database sorts the models, and leaves out those that somebody deleted
        models = client.search_logged_models(experiments, own, None, PAGE, BEST_FIRST, token)
        for model in models:
            found = versions(client, model.source_run_id, model.model_id)
            if found and _has_files(client, model.model_id):
                return found[0]
        token = models.token or ""
    return new


def _has_files(client: MlflowClient, model_id: str) -> bool:
    try:
        return bool(client.list_logged_model_artifacts(model_id))
    except MlflowException:  # they are in a place that cannot be reached
        return False
