"""The side of training: when the follower starts, and what cannot stop training."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from digits.common import files, paths
from digits.live import observer


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").touch()
    files.write_bytes(paths.MODEL, b"weights")


def test_short_training_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started = list[Any]()
    monkeypatch.setattr(subprocess, "Popen", lambda *arguments, **_: started.append(arguments))
    with observer.observed(Path("checkpoint.npz")):
        pass
    assert started == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this scheduling policy")
def test_training_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    followers = list[Any]()

    def start(*_: object, **options: Any) -> object:
        followers.append(popen(["cat"], **options))
        return followers[-1]

    popen = subprocess.Popen
    monkeypatch.setattr(observer, "DELAY", 0)
    monkeypatch.setattr(subprocess, "Popen", start)
    with observer.observed(Path("checkpoint.npz")):
        time.sleep(0.1)
        (policy,) = [os.sched_getscheduler(follower.pid) for follower in followers]
    followers[0].wait()
    assert policy == os.SCHED_IDLE


def test_process_that_cannot_start_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("Cannot allocate memory")

    monkeypatch.setattr(observer, "DELAY", 0)
    monkeypatch.setattr(subprocess, "Popen", refuse)
    with observer.observed(Path("checkpoint.npz")):
        time.sleep(0.1)
    line = "MLflow does not show this training run while it trains: Cannot allocate memory"
    assert capsys.readouterr().err.splitlines() == ["", line]
