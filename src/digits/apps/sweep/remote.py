"""Run the stages before `track` with DVC's remote: `python -m digits.apps.sweep.remote`.

What the remote has is restored, what is computed is pushed. It is pushed before it is logged, so that whatever MLflow
knows can be restored from the remote.
"""

import sys
from pathlib import Path

from dvc.cli import main as dvc
from dvc.exceptions import UploadError
from dvc.fs import generic
from dvc.repo import Repo
from dvc.stage import cache
from dvc.stage.serialize import to_single_stage_lockfile


def repro() -> int:
    """Run the stages, as `dvc repro --pull` does; returns its exit status.

    DVC would read the remote's whole run cache each time, which grows with the sweep; here a worker reads it once.
    """
    with Repo() as repo:
        stages = [stage.name for stage in repo.index.stages if stage.name != "track"]
        if Path(repo.stage_cache.cache_dir).exists():
            cache.StageCache.pull = lambda *_: None
    return int(dvc(["repro", "--pull", *stages]))


def push() -> None:
    """Push the run cache's entries of these stages, and all their outputs.

    `dvc push --run-cache` would push every entry each time, and leave out the outputs that Git keeps (`cache: false`),
    without which no other machine can restore a stage.

    Raises:
        UploadError: not all outputs could be pushed.
    """
    with Repo() as repo:
        entries = []
        for stage in repo.index.stages:
            if cache._can_hash(stage):
                entry = cache._get_stage_hash(stage), cache._get_cache_hash(to_single_stage_lockfile(stage))
                if Path(repo.stage_cache._get_cache_path(*entry)).exists():
                    entries.append(entry)
        for objects in repo.stage_cache.get_used_objs(entries).values():
            if failed := repo.cloud.push(objects).failed:
                raise UploadError(len(failed))
        local, remote = repo.cache.legacy, repo.cloud.get_remote_odb(None, "push", hash_name="md5-dos2unix")
        for entry in entries:  # after their outputs, so that nobody finds an entry without them
            path = repo.stage_cache._get_cache_path(*entry)
            generic.copy(local.fs, path, remote.fs, remote.fs.join(remote.path, *Path(path).parts[-4:]))


if __name__ == "__main__":
    status = repro()
    push()  # what the stages before a failure have computed, too
    sys.exit(status)
