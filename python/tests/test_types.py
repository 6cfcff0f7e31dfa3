"""The package has types, which mypy --strict accepts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def test_mypy_accepts_the_package():
    pytest.importorskip("mypy")
    folder = Path(__file__).parents[1]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "--cache-dir", "/dev/null"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert (folder / "src/midashi/py.typed").is_file()
