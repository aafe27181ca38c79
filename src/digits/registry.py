"""The registered model `digits`: a version for each state, and the champion among them. The test set has no say."""

from collections.abc import Iterable, Mapping

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode

NAME = "digits"
CHAMPION = "champion"

DESCRIPTION = """Classifiers of handwritten digits: raw pixels 0..255, float32 (n, 28, 28), to ten probabilities.

Each version is one state of a DVC pipeline, which its description names; DVC derives it again byte for byte.
The alias `champion` is on the version with the best validation accuracy among those with the same validation
split; of equals, the oldest keeps it.
"""


def register(client: MlflowClient, run_id: str, model_id: str, description: str, tags: Mapping[str, str]) -> None:
    """Make the model of a run a version, if it is none yet, and let the champion be chosen anew.

    Args:
        client: of the store.
        run_id: of the run that the model belongs to.
        model_id: of the logged model.
        description: what to say of a new version.
        tags: of a new version: `validation_accuracy`, and `validation_split`, the same for models that may be
            compared.
    """
    try:
        client.create_registered_model(NAME, description=DESCRIPTION)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise
    versions = list(client.search_model_versions(f"name = '{NAME}'"))
    source = f"models:/{model_id}"
    mine = next((version for version in versions if version.source == source), None)
    if mine is None:
        mine = client.create_model_version(
            NAME, source, run_id, tags=dict(tags), description=description, model_id=model_id
        )
        versions.append(mine)
    reigning = str(client.get_registered_model(NAME).aliases.get(CHAMPION))
    # A champion that somebody registered by hand has no tags to be compared by.
    comparable = [version for version in versions if version.tags.keys() >= tags.keys()]
    peer = next((version for version in comparable if str(version.version) == reigning), mine)
    best = str(_best(comparable, peer).version)
    if best != reigning:
        client.set_registered_model_alias(NAME, CHAMPION, best)


def _best(versions: Iterable[ModelVersion], peer: ModelVersion) -> ModelVersion:
    """The best of the versions with `peer`'s validation split; of equals, the oldest."""
    peers = [version for version in versions if version.tags["validation_split"] == peer.tags["validation_split"]]
    return max(peers, key=lambda version: (float(version.tags["validation_accuracy"]), -int(version.version)))
