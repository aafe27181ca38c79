"""The registered model `digits`: one version for each state, and the champion by validation accuracy."""

from collections.abc import Mapping

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode

NAME = "digits"
CHAMPION = "champion"

DESCRIPTION = """Classifiers of handwritten digits: raw pixels 0..255, float32 (n, 28, 28), to ten probabilities.

Each version is one state of a DVC pipeline, which its description names. The alias `champion` is on the version with
the best validation accuracy among those with the same validation split; the oldest keeps it in a tie. The test set has
no say.
"""


def register(client: MlflowClient, run_id: str, model_id: str, description: str, tags: Mapping[str, str]) -> None:
    """Register the run's model unless it is registered, then update the champion.

    A version's tags have its `validation_accuracy`, and a `validation_split` that is equal for models to be compared.
    """
    try:
        client.create_registered_model(NAME, description=DESCRIPTION)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise
    source = f"models:/{model_id}"
    if not _versions(client, source):
        client.create_model_version(NAME, source, run_id, tags=dict(tags), description=description, model_id=model_id)
    version, *doubles = _versions(client, source)
    for double in doubles:  # another process registered it at the same moment
        client.delete_model_version(NAME, double.version)
    champion = None
    while (best := _best(client, version)) != champion:
        if best != client.get_registered_model(NAME).aliases.get(CHAMPION):
            client.set_registered_model_alias(NAME, CHAMPION, best)
        champion = best  # and look again: another process may have registered a better one


def _versions(client: MlflowClient, source: str = "") -> list[ModelVersion]:
    """All versions, or those of one logged model, oldest first."""
    found = client.search_model_versions(f"name = '{NAME}'")
    return sorted((one for one in found if source in ("", one.source)), key=lambda version: int(version.version))


def _best(client: MlflowClient, new: ModelVersion) -> str:
    """The version that should be champion: the best among the reigning one's peers, whose files are still there."""
    # A version that somebody registered by hand has no tags to be compared by.
    versions = [version for version in _versions(client) if version.tags.keys() >= new.tags.keys()]
    reigning = str(client.get_registered_model(NAME).aliases.get(CHAMPION))
    peer = next((version for version in versions if str(version.version) == reigning), new)
    peers = [version for version in versions if version.tags["validation_split"] == peer.tags["validation_split"]]
    ranked = sorted(peers, key=lambda version: -float(version.tags["validation_accuracy"]))
    return str(next((version for version in ranked if _has_files(client, version)), new).version)


def _has_files(client: MlflowClient, version: ModelVersion) -> bool:
    """Whether the logged model of a version exists; somebody may have deleted it."""
    model_id = str(version.source).removeprefix("models:/")
    try:
        client.get_logged_model(model_id)  # raises if it is deleted, though its files stay until `mlflow gc`
        return bool(client.list_logged_model_artifacts(model_id))
    except MlflowException:
        return False
