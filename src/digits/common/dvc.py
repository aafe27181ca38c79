"""DVC's command line."""

import subprocess
import sys
from pathlib import Path

from digits.common.errors import UserError


def dvc(*arguments: str, folder: Path | None = None) -> str:
    """Run DVC in a folder, by default the working directory, and return its output.

    Raises:
        UserError: DVC failed; the message is its own.
    """
    command = [str(Path(sys.executable).with_name("dvc")), *arguments]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    if ran.returncode:
        raise UserError(f"dvc {arguments[0]}: {' '.join(ran.stderr.split())}")
    return ran.stdout.strip()
