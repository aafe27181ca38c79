"""How long a training really took, and where: remembered under the SHA-256 of the model it gave."""

import platform
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from digits import artifacts, workspace


@dataclass(frozen=True)
class Timing:
    """A training that took place here.

    Attributes:
        started: when, in seconds since 1970.
        seconds: from then to the end of each epoch, compilation included.
        images: how many there were in an epoch.
        cpu: the model of the processor.
        versions: of the libraries that decide the numbers, by name.
    """

    started: float
    seconds: list[float]
    images: int
    cpu: str
    versions: dict[str, str]


def record(model: Path, started: float, seconds: list[float], images: int) -> None:
    """Remember the training that gave `model`; the arguments are `Timing`'s."""
    timing = Timing(started, seconds, images, cpu(), versions())
    artifacts.write_json(_path(model), asdict(timing))


def find(model: Path) -> Timing | None:
    """The training that gave `model`, or None if it took place elsewhere."""
    path = _path(model)
    return Timing(**artifacts.read_json(path)) if path.exists() else None


def versions() -> dict[str, str]:
    """Of Python and of the libraries that decide the numbers, by name."""
    libraries = {name: metadata.version(name) for name in ("tensorflow", "keras", "numpy")}
    return {"python": platform.python_version(), **libraries}


def cpu() -> str:
    """The model of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _path(model: Path) -> Path:
    return workspace.memory() / "timings" / f"{artifacts.sha256(model)}.json"
