"""Faults of disk, processes and locks, in the pipeline with stand-ins for the network."""

import fcntl
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from digits.common import files
from helpers.sandbox import ROOT, Sandbox, make_sandbox

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]

DOCTOR = ("python", "-c", "from digits.cli import main; main()", "doctor")

SAVE = """
import os, signal, sys, zipfile
from pathlib import Path
from digits import model, params
from digits.model import architectures, keras_file
recipe = params.load(Path("params.yaml")).recipe
if len(sys.argv) > 3:
    write = zipfile.ZipFile.writestr
    def write_and_die(archive, info, content):
        write(archive, info, content)
        if str(archive.filename).endswith(".partial.keras"):
            archive.fp.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    zipfile.ZipFile.writestr = write_and_die
network = architectures.build(recipe, int(sys.argv[2]))
keras_file.save(architectures.with_calibrated_softmax(network, "l2", 1.0), Path(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """Where `dvc repro` has run; the last stage is `report`."""
    root = tmp_path_factory.mktemp("faults") / "digits"
    sandbox = make_sandbox(root, stand_ins=True).having(PYTHONPATH=f"{root}/src")
    sandbox.repro("report")
    return sandbox


def test_killed_save_leaves_the_old_model_whole(tmp_path: Path) -> None:
    """Row 14."""
    path = tmp_path / "model.keras"

    def save(*arguments: str) -> int:
        command = [sys.executable, "-c", SAVE, str(path), *arguments]
        return subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT / "src")}, check=False).returncode

    assert save("0") == 0
    old = path.read_bytes()
    assert save("1", "kill") == -signal.SIGKILL
    assert path.read_bytes() == old
    assert len(list(tmp_path.iterdir())) == 2, "half of a file, under another name that Git ignores"
    assert save("1") == 0
    assert path.read_bytes() != old


def test_lock_of_a_live_process_is_explained(sandbox: Sandbox, tmp_path: Path) -> None:
    """Row 21; DVC waits for three seconds."""
    copy = sandbox.copy(tmp_path / "digits")
    copy.edit("params.yaml", "index: 1000", "index: 3")
    with (copy.root / ".dvc/tmp/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        output = copy.run("dvc", "repro", "report", ok=False)
    assert "Unable to acquire lock" in output
    assert "Traceback" not in output
    assert copy.repro("report") == ["predict_sample", "report"], "the lock of a process that has ended is none"


def test_empty_lock_of_a_killed_process_is_found(sandbox: Sandbox, tmp_path: Path) -> None:
    """Row 21: DVC was killed while it wrote its file of locks."""
    copy = sandbox.copy(tmp_path / "digits", PYTHONPATH=f"{tmp_path}/digits/src")
    copy.edit("params.yaml", "index: 1000", "index: 3")
    (copy.root / ".dvc/tmp/rwlock").write_text("")
    assert "rwlock" in copy.run("dvc", "repro", "report", ok=False)
    assert "-> rm .dvc/tmp/rwlock" in copy.run(*DOCTOR, ok=False)
    copy.run("rm", ".dvc/tmp/rwlock")
    assert copy.repro("report") == ["predict_sample", "report"]


def test_damaged_object_is_found_and_made_again(sandbox: Sandbox, tmp_path: Path) -> None:
    """Row 22: DVC would restore it as it is."""
    copy = sandbox.copy(tmp_path / "digits", PYTHONPATH=f"{tmp_path}/digits/src")
    model = copy.root / "data/model.keras"
    content = model.read_bytes()
    (entry,) = [path for path in (copy.root / ".dvc/cache/files/md5").glob("*/*") if path.read_bytes() == content]
    entry.chmod(0o644)
    entry.write_bytes(content[:-1])
    model.unlink()
    (line,) = [line for line in copy.run(*DOCTOR, ok=False).splitlines() if "rm -f" in line]
    command, _, then = line.strip().removeprefix("-> ").partition("; then ")
    copy.run("sh", "-c", command)
    copy.run(*then.split(), "report")
    assert model.read_bytes() == content
    assert "-> " not in copy.run(*DOCTOR)
    model.unlink()
    copy.run("dvc", "checkout", "--quiet")
    assert model.read_bytes() == content


def test_truncated_metrics_are_one_line(sandbox: Sandbox, tmp_path: Path) -> None:
    copy = sandbox.copy(tmp_path / "digits")
    path = copy.root / "reports/metrics.json"
    path.write_bytes(path.read_bytes()[:30])
    (line,) = copy.stage("report", ok=False).splitlines()
    assert line.startswith("reports/metrics.json: cannot be read (")
    (line,) = copy.stage("track", ok=False).splitlines()
    assert line.startswith("Nothing is logged, because dvc.lock does not match: reports/metrics.json modified")
    copy.repro("report")
    assert json.loads(path.read_bytes()) == files.read_json(sandbox.root / "reports/metrics.json")
