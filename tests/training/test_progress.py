"""The progress bar shows the epochs that are done, those before an interruption included."""

import pytest

from digits.training.progress import progress_bar


def test_bar_counts_epochs_and_shows_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(5) as on_epoch_end:
        on_epoch_end({"epoch": 4, "loss": 0.25})
        on_epoch_end({"epoch": 5, "loss": 0.125})
    shown = capsys.readouterr().err
    assert "5/5" in shown
    assert "loss=0.1250" in shown
    assert "epoch=" not in shown
