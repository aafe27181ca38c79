"""Verify a run: rebuild it from its commit and params, and compare every output byte for byte."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import chdir
from dataclasses import dataclass
from functools import reduce
from operator import getitem
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from digits.apps import clone
from digits.apps.clone import Clone
from digits.apps.leaderboard import robustness
from digits.common import files, run_record
from digits.common.errors import UserError
from digits.tracking import pipeline_state, store
from digits.tracking import run as run_content
from digits.tracking.pipeline_state import State
from digits.tracking.run import HISTORY, METRICS, MODEL, NORMALIZED, RAW, STATE_TAG

REPORTS = [path for path in run_content.FILES if path.parent.name == "reports"]
TIMES = {"training_seconds", "training_images_per_second"}  # they differ every time

# What a damaged YAML, JSON or CSV file raises.
UNREADABLE = (YAMLError, AttributeError, LookupError, TypeError, ValueError)

Show = Callable[[str], object]


@dataclass(frozen=True)
class LoggedRun:
    """What MLflow has of a run."""

    run: Run
    metrics: list[tuple[str, float]]  # every epoch's, then the latest ones
    folder: Path  # of its files

    @property
    def tags(self) -> Mapping[str, str]:
        """The run's tags."""
        tags: Mapping[str, str] = self.run.data.tags
        return tags

    def __str__(self) -> str:
        return f"run {self.run.info.run_id} ({self.run.info.run_name})"


@dataclass(frozen=True)
class Verification:
    """How a rebuilt run compares.

    Attributes:
        same_environment: whether processor and versions are those that the run records, as far as it does.
        difference: the first output that differs, and the first metric; None if every output is identical.
        outputs: how many were compared.
    """

    same_environment: bool
    difference: str | None
    outputs: int


def verify(query: str, show: Show, show_stage: Show) -> Verification:
    """Rebuild a run in a temporary clone, without any cache, and compare. Nothing is written to MLflow.

    Args:
        query: a run's id, its name, or the first six or more digits of its state.
        show: called with lines about the run.
        show_stage: called with the name of each stage that starts.

    Raises:
        UserError: the run is not found, contradicts its own files, or cannot be rebuilt from its commit.
    """
    with TemporaryDirectory(prefix="digits-") as folder:
        with store.connect(create=False) as (client, experiment_id):
            logged = _download(client, _find(client, experiment_id, query), Path(folder))
        commit = logged.tags["mlflow.source.git.commit"]
        show(f"{logged}: state {logged.tags[STATE_TAG][:12]}, commit {commit[:12]}")
        if logged.tags.get("git.dirty") == "true":
            show("its code had uncommitted changes")
        with clone.at_commit(commit) as copy:
            state = _read_state(logged, copy)
            stages = [name for name, outs in _locked_outs(copy).items() if outs.keys() & state.outs.keys()]
            _check_code(logged, state, copy, stages)
            same_environment = _compare_environment(logged, show)
            copy.rebuild(stages, show_stage)
            return Verification(same_environment, _compare_outputs(logged, state, copy), len(state.outs))


def _find(client: MlflowClient, experiment_id: str, query: str) -> Run:
    """The one run that `query` names."""
    text = json.dumps(query, ensure_ascii=False)
    filters = [f"attributes.run_id = {text}", f"attributes.run_name = {text}"]
    if re.fullmatch("[0-9a-f]{6,64}", query):
        filters.append(f"tags.`{STATE_TAG}` LIKE '{query}%'")
    found = {run.info.run_id: run for each in filters for run in client.search_runs([experiment_id], each)}
    if not found:
        allowed = "a run's id, its name, or the first six or more digits of its state"
        raise UserError(f"MLflow has no run {query!r}; give {allowed}")
    if len(found) > 1:
        lines = [f"{run_id}  {run.info.run_name}" for run_id, run in found.items()]
        raise UserError("\n".join([f"{len(found)} runs match {query!r}; give the id of one:", *lines]))
    (run,) = found.values()
    return run


def _download(client: MlflowClient, run: Run, folder: Path) -> LoggedRun:
    run_id = run.info.run_id
    tags = {STATE_TAG, "mlflow.source.git.commit"} - set(run.data.tags)
    names = {path.name for path in run_content.FILES}
    artifacts = names - {item.path for item in client.list_artifacts(run_id)}
    if missing := sorted(tags | artifacts):
        raise UserError(f"run {run_id} cannot be verified: MLflow lacks its {', '.join(missing)}")
    for name in names:
        client.download_artifacts(run_id, name, str(folder))
    latest = {name: value for name, value in run.data.metrics.items() if _is_compared(name)}
    histories = [client.get_metric_history(run_id, name) for name in latest]
    by_epoch = [(_at(metric.key, metric.step), metric.value) for history in histories for metric in history]
    return LoggedRun(run, [*by_epoch, *latest.items()], folder)


def _is_compared(metric: str) -> bool:
    """Whether a metric follows from the state. What the leaderboard adds to the run, no file of the run has."""
    return metric not in TIMES and not metric.startswith(robustness.METRIC)


def _read_state(logged: LoggedRun, copy: Clone) -> State:
    """The state that the run's dvc.lock has; what MLflow shows of the run is the same.

    The clone has the run's params.yaml and dvc.lock from now on.
    """
    for name in ("params.yaml", "dvc.lock"):
        files.write_bytes(copy.root / name, (logged.folder / name).read_bytes())
    try:
        with chdir(copy.root):
            state = pipeline_state.read("track")
        difference = _contradiction(logged, state)
    except UserError as error:
        raise UserError(f"{logged} contradicts its own files: {str(error).removesuffix('; run: dvc repro')}") from error
    except UNREADABLE as error:
        raise UserError(f"{logged}: its files in MLflow are damaged: {' '.join(str(error).split())}") from error
    if difference:
        raise UserError(f"{logged} contradicts its own files: {difference}")
    return state


def _contradiction(logged: LoggedRun, state: State) -> str | None:
    """The first value that is not what the run's files have."""
    content = YAML(typ="safe").load(logged.folder / "params.yaml")
    sections = {name: reduce(getitem, name.split("."), content) for name in state.params}
    return _first_difference(
        run_content.dotted(state.params), "in its dvc.lock", run_content.dotted(sections).items(), "in its params.yaml"
    ) or _first_difference(_expected(logged.folder, state), "in its files", _in_mlflow(logged), "in MLflow")


def _expected(folder: Path, state: State) -> dict[str, object]:
    """What MLflow must show of the state, by what it is called in a message."""
    params = {f"param {name}": str(value) for name, value in run_content.flatten(state.params).items()}
    digests = {"train": state.outs[str(NORMALIZED)], "test": state.outs[str(RAW)]}
    if state.params["normalize"]["validation_size"]:
        digests["validation"] = digests["train"]
    datasets = {f"dataset {context}": digest for context, digest in digests.items()}
    reports = {f"the MD5 of {path.name}": state.outs[str(path)] for path in REPORTS}
    return {**params, **datasets, **reports, **_metrics(folder), STATE_TAG: state.fingerprint}


def _in_mlflow(logged: LoggedRun) -> list[tuple[str, object]]:
    """What MLflow shows, under the same names."""
    params = [(f"param {name}", value) for name, value in logged.run.data.params.items()]
    inputs = logged.run.inputs.dataset_inputs if logged.run.inputs else []
    datasets = [(f"dataset {tag.value}", entry.dataset.digest) for entry in inputs for tag in entry.tags]
    reports = [(f"the MD5 of {path.name}", pipeline_state.md5_of(logged.folder / path.name)) for path in REPORTS]
    return [*params, *datasets, *reports, *logged.metrics, (STATE_TAG, logged.tags[STATE_TAG])]


def _check_code(logged: LoggedRun, state: State, copy: Clone, stages: Iterable[str]) -> None:
    """The run's code is the commit's: each stage's command, and its dependencies that no stage writes."""
    status = json.loads(copy.dvc("status", "--json", *stages)[-1])
    for stage, change in ((stage, change) for stage, changes in status.items() for change in changes):
        changed = ["dvc.yaml"] if change == "changed command" else change.get("changed deps", {})
        for path in changed:
            if path != "params.yaml" and not any(Path(path).is_relative_to(out) for out in state.outs):
                why = "; the run had uncommitted changes" if logged.tags.get("git.dirty") == "true" else ""
                raise UserError(f"not identical: the code of `{stage}` differs from the commit: {path}{why}")


def _compare_environment(logged: LoggedRun, show: Show) -> bool:
    """Whether the run was trained in this environment, or does not say; every difference is shown."""
    here = {"cpu": run_record.cpu()} | {f"version.{name}": value for name, value in run_record.versions().items()}
    then = {tag: value for tag, value in logged.tags.items() if tag in here}
    if not then:
        show("the environment of its training is not recorded")
        return True
    differing = [tag for tag in then if then[tag] != here[tag]]
    for tag in differing:
        show(f"the environment differs: {tag.removeprefix('version.')} {then[tag]} then, {here[tag]} here")
    return not differing


def _compare_outputs(logged: LoggedRun, state: State, copy: Clone) -> str | None:
    """The first output of the rebuilt pipeline that differs, and the first metric."""
    rebuilt = [out for outs in _locked_outs(copy).values() for out in outs.items()]
    sha256 = "SHA-256 of the model"
    then = {**state.outs, sha256: logged.tags.get("model.sha256")}
    here = [*rebuilt, (sha256, files.sha256(copy.root / MODEL))]
    metrics = _metrics(copy.root / "reports").items()
    lines = (
        _first_difference(then, "then", here, "here"),
        _first_difference(_metrics(logged.folder), "then", metrics, "here"),
    )
    return "\n".join(filter(None, lines)) or None


def _first_difference(
    expected: Mapping[str, object], there: str, found: Iterable[tuple[str, object]], here: str
) -> str | None:
    """The first value of `found` that is not the expected one, or is missing, as a line; None if there is none."""
    pairs = list(found)
    missing = [(name, "nothing") for name in expected if name not in dict(pairs)]
    for name, value in [*pairs, *missing]:
        if value != expected.get(name, "nothing"):
            return f"{name}: {expected.get(name, 'nothing')} {there}, {value} {here}"
    return None


def _metrics(folder: Path) -> dict[str, float]:
    """The metrics of history.csv and metrics.json as MLflow has them: each epoch's, then the latest ones."""
    epochs: list[dict[Any, Any]] = pd.read_csv(folder / HISTORY.name).to_dict(orient="records")
    *earlier, last = epochs
    scores, _ = run_content.read_scores(folder / METRICS.name)
    last |= scores
    by_epoch = {_at(name, row["epoch"]): row[name] for row in [*earlier, last] for name in row if name != "epoch"}
    return by_epoch | {str(name): value for name, value in last.items() if name != "epoch"}


def _at(metric: object, epoch: int) -> str:
    return f"{metric} at epoch {epoch}"


def _locked_outs(copy: Clone) -> dict[str, dict[str, str]]:
    """The MD5 of each output by path, by stage; in the order of the pipeline if it was rebuilt."""
    _, locked = pipeline_state.locked_stages(copy.root, without="track")
    return {name: pipeline_state.locked_outs(entry) for name, entry in locked.items()}
