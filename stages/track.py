"""Stage track: the pipeline's results as one MLflow run; data/logged.json says which state was logged."""

from digits.common import files, paths
from digits.common.errors import exit_on_user_error
from digits.tracking import state
from digits.tracking.log_run import log_run


def main() -> None:
    paths.LOGGED.unlink(missing_ok=True)  # DVC keeps persistent outputs; a stale one would hide a failure
    state.check()
    current = state.read()
    log_run(current)
    files.write_json(paths.LOGGED, {"state": current.fingerprint})


if __name__ == "__main__":
    exit_on_user_error(main)
