"""The state of the pipeline: the params and outputs, in dvc.lock, of the stages that `track` depends on."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from digits.common.errors import UserError

TRACK = "track"


@dataclass(frozen=True)
class State:
    """Params and output hashes from dvc.lock."""

    params: Mapping[str, Any]  # the sections of params.yaml that the stages declare, by key
    outs: Mapping[str, str]  # the MD5 of each output, by path

    @property
    def fingerprint(self) -> str:
        """SHA-256 over params and outputs, in hexadecimal. Code is not part of it."""
        content = json.dumps({"params": self.params, "outs": self.outs}, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def read(root: Path = Path()) -> State:
    """The state of the repository in `root`.

    Raises:
        UserError: an output has changed since a later stage used it.
    """
    entries = locked_stages(root).values()
    params = {key: value for entry in entries for key, value in entry.get("params", {}).get("params.yaml", {}).items()}
    outs = {out["path"]: out.get("md5", "") for entry in entries for out in entry.get("outs", [])}
    for dep in (dep for entry in entries for dep in entry.get("deps", [])):
        if _is_stale(root, dep, outs):
            raise UserError(f"dvc.lock: {dep['path']} has changed since a stage used it; run: dvc repro")
    return State(params, outs)


def locked_stages(root: Path) -> dict[str, Any]:
    """The entries in dvc.lock of the stages that `track` depends on, directly or not, by name."""
    declared = YAML(typ="safe").load(root / "dvc.yaml")["stages"]
    locked = YAML(typ="safe").load(root / "dvc.lock")["stages"]
    # dvc.lock keeps the entries of stages that were removed from dvc.yaml.
    others = {name: entry for name, entry in locked.items() if name.split("@")[0] in declared and name != TRACK}
    pending = [dep if isinstance(dep, str) else next(iter(dep)) for dep in declared[TRACK]["deps"]]
    found = set[str]()
    while pending:
        path = Path(pending.pop())
        for name, entry in others.items():
            outs = [out["path"] for out in entry.get("outs", [])]  # the path, a folder that has it, or a file in it
            if name not in found and any(path.is_relative_to(out) or Path(out).is_relative_to(path) for out in outs):
                found.add(name)
                pending += [dep["path"] for dep in entry.get("deps", [])]
    return {name: others[name] for name in sorted(found)}


def _is_stale(root: Path, dep: Mapping[str, str], outs: Mapping[str, str]) -> bool:
    """Whether a dependency differs from the recorded output that it is, or is part of."""
    path, current = dep["path"], outs.get(dep["path"])
    if current is None and (root / path).is_file() and any(Path(path).is_relative_to(out) for out in outs):
        current = hashlib.md5((root / path).read_bytes(), usedforsecurity=False).hexdigest()
    return current not in (None, dep.get("md5"))
