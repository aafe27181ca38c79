"""The state of the pipeline: the params and outputs, in dvc.lock, of the stages that `track` depends on."""

import hashlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from digits.common.errors import UserError

PIPELINE, LOCK = Path("dvc.yaml"), Path("dvc.lock")

CODE = ("src", "stages", "dvc.yaml")

Stages = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class State:
    """What was locked when the stages ran.

    Attributes:
        params: the sections of params.yaml that the stages declare, by key.
        outs: the MD5 of each output, by path.
    """

    params: Mapping[str, Any]
    outs: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over params and outputs, in hexadecimal. Code is not part of it."""
        content = json.dumps({"params": self.params, "outs": self.outs}, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def read(stage: str) -> State:
    """The state made of the stages that `stage` depends on, directly or not.

    Raises:
        UserError: these stages did not run on each other's outputs.
    """
    declared = YAML(typ="safe").load(PIPELINE)["stages"]
    locked = YAML(typ="safe").load(LOCK)["stages"]
    # dvc.lock keeps the entries of stages that were removed from dvc.yaml.
    others = {name: entry for name, entry in locked.items() if name.split("@")[0] in declared and name != stage}
    paths = [dep if isinstance(dep, str) else next(iter(dep)) for dep in declared[stage]["deps"]]
    used = [others[name] for name in sorted(_upstream(paths, others))]

    params = {key: value for entry in used for key, value in entry.get("params", {}).get("params.yaml", {}).items()}
    outs = {out["path"]: out["md5"] for entry in used for out in entry.get("outs", [])}
    for dep in (dep for entry in used for dep in entry.get("deps", [])):
        if _is_stale(dep, outs):
            raise UserError(f"{LOCK}: {dep['path']} has changed since a stage used it; run: dvc repro")
    return State(params, outs)


def _upstream(paths: list[str], stages: Stages) -> set[str]:
    """The names of the stages that produce `paths`, and of all stages before them."""
    pending, found = list(paths), set[str]()
    while pending:
        path = pending.pop()
        for name, entry in stages.items():
            if name not in found and any(_overlap(path, out["path"]) for out in entry.get("outs", [])):
                found.add(name)
                pending += [dep["path"] for dep in entry.get("deps", [])]
    return found


def _overlap(one: str, other: str) -> bool:
    """Whether two paths are the same, or one lies inside the other."""
    return Path(one).is_relative_to(other) or Path(other).is_relative_to(one)


def _is_stale(dep: Mapping[str, str], outs: Mapping[str, str]) -> bool:
    """Whether a dependency is no longer what an output of the state has."""
    path = Path(dep["path"])
    if dep["path"] in outs:
        return outs[dep["path"]] != dep["md5"]
    if path.is_file() and any(path.is_relative_to(out) for out in outs):
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() != dep["md5"]
    return False


def commit() -> str | None:
    """The Git commit that is checked out, or None outside a repository."""
    return _git("rev-parse", "HEAD")


def is_dirty() -> bool:
    """Whether code differs from the commit. Params, dvc.lock and reports do not count."""
    return bool(_git("status", "--porcelain", "--", *CODE))


def _git(*arguments: str) -> str | None:
    try:
        return subprocess.run(["git", *arguments], capture_output=True, check=True, text=True).stdout.strip()  # noqa: S603, S607
    except (OSError, subprocess.CalledProcessError):
        return None
