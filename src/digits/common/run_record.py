"""The duration and the environment of a training run, stored outside DVC under the SHA-256 of its model."""

import platform
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from digits.common import files, paths
from digits.common.errors import UserError

ABANDONED_AFTER = 7 * 24 * 3600  # seconds; a training run that was interrupted before is not expected to go on


@dataclass(frozen=True)
class RunRecord:
    """A training run on this machine: its start (seconds since 1970), its duration (s), the CPU and the versions."""

    started: float
    seconds: float
    cpu: str
    versions: dict[str, str]
    training: str = ""  # the identity of the training run, that of its checkpoint


def save(model: Path, started: float, seconds: float, training: str = "") -> None:
    """Record the training run that produced `model`."""
    files.write_json(_path(model), asdict(RunRecord(started, seconds, cpu(), versions(), training)))


def load(model: Path) -> RunRecord | None:
    """The training run that produced `model`; None if it took place elsewhere, or its record is damaged."""
    path = _path(model)
    with suppress(UserError):
        return RunRecord(**files.read_json(path)) if path.exists() else None
    return None


def versions() -> dict[str, str]:
    """The versions of Python and of the libraries that affect results, by name."""
    names = ("tensorflow", "keras", "numpy", "scipy", "matplotlib", "pillow")  # the last two decide the plots
    libraries = {name: metadata.version(name) for name in names}
    return {"python": platform.python_version(), **libraries}


def cpu() -> str:
    """The name of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _path(model: Path) -> Path:
    return paths.state_dir() / "runs" / f"{files.sha256(model)}.json"
