"""Plain English, wherever a person reads: phrases that crept in before stay out."""

import re
from pathlib import Path

import pytest

from helpers.sandbox import ROOT

BANNED = {
    "of one's own": "their own, its own",
    "has no say": "is not chosen by",
    "all the same": "still, nevertheless",
    "any more": "no longer",
    "as far as": "where, if",
    "THIS-REPOSITORY": "an address that nobody can copy",
    '"""What ': "name the thing first",
    "What differs": "the differences",
    "fault": "error",
    "publisher": "process that logs",
}

FOLDERS = ("src", "stages", "docs", "benchmarks/leaderboard")
SUFFIXES = {".py", ".md", ".jinja", ".yaml", ".html"}
FILES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile", "dvc.yaml", "params.yaml")),
    *sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*") if file.suffix in SUFFIXES),
]


@pytest.mark.parametrize("phrase", BANNED)
def test_phrase_is_not_used(phrase: str) -> None:
    pattern = re.compile(r"(?<!de)" + re.escape(phrase).replace(r"\ ", r"\s+"), re.IGNORECASE)
    found = [str(file.relative_to(ROOT)) for file in FILES if pattern.search(file.read_text())]
    assert not found, f"instead of {phrase!r}: {BANNED[phrase]}"


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 90


def test_links_lead_somewhere() -> None:
    """Those between the documents."""
    for file in FILES:
        if file.suffix == ".md":
            for link in re.findall(r"\]\(([^)#\s]+)", file.read_text()):
                assert "://" in link or Path(file.parent, link.replace("\\", "")).exists(), f"{file}: {link}"
