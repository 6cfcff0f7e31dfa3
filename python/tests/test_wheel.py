"""The wheel: in a new environment it needs nothing else."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import from_environment

SCRIPT = """
import json, sys, midashi, pyarrow as pa
from midashi.program import find_program
table = pa.table(json.load(sys.stdin))
with midashi.Classifier(sys.argv[1], threads=1) as classifier:
    predicted = classifier.predict(table)["predicted"].to_pylist()
print(json.dumps({"program": find_program(), "file": midashi.__file__, "predicted": predicted}))
"""


@pytest.fixture(scope="module")
def wheel() -> Path:
    return Path(from_environment("MIDASHI_WHEEL", "dist/midashi-….whl, which `make wheel` makes"))


def test_an_installed_wheel_needs_nothing_else(wheel, model, titles, predicted, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv/bin/python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True)
    kept = {name: value for name, value in os.environ.items() if not re.match("MIDASHI|ORT_|PYTHON|PATH", name)}
    few = titles.slice(0, 50)
    answer = subprocess.run(
        [python, "-c", SCRIPT, model],
        cwd=tmp_path,
        env=kept,
        input=json.dumps(few.to_pydict()),
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout)
    assert told["program"].startswith(str(tmp_path)) and told["file"].startswith(str(tmp_path))
    assert told["predicted"] == predicted["predicted"].to_pylist()[:50]


def test_a_wheel_of_another_version_may_lie_beside_the_new_one(monkeypatch, tmp_path, capsys):
    specification = importlib.util.spec_from_file_location("wheel_py", Path(__file__).parents[1] / "wheel.py")
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)

    def pip(command, **_):
        folder = Path(command[command.index("--wheel-dir") + 1])
        folder.mkdir(exist_ok=True)
        (folder / "midashi-0.2.0-py3-none-any.whl").write_bytes(b"new")

    monkeypatch.setattr(script.subprocess, "run", pip)
    (tmp_path / "dist").mkdir()
    for version in ("0.1.0", "0.2.0"):
        (tmp_path / "dist" / f"midashi-{version}-py3-none-any.whl").write_bytes(b"old")
    (tmp_path / "stage").mkdir()
    script.build(tmp_path / "stage", "any", tmp_path / "dist")
    assert "midashi-0.2.0-py3-none-any.whl" in capsys.readouterr().out
    assert {wheel.name[8:13]: wheel.read_bytes() for wheel in (tmp_path / "dist").iterdir()} == {
        "0.1.0": b"old",
        "0.2.0": b"new",
    }


def test_the_tag_is_the_oldest_glibc_that_loads_the_files(wheel, tmp_path):
    if shutil.which("objdump") is None:
        pytest.skip("SKIPPED: install objdump (Debian: apt-get install binutils)")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    files = [file for file in (tmp_path / "midashi/bin").iterdir() if not file.name.startswith("LICENSE")]
    assert len(files) == 2
    needed = 0
    for file in files:
        symbols = subprocess.run(["objdump", "-T", file], check=True, capture_output=True, text=True).stdout
        needed = max(needed, *(int(minor) for minor in re.findall(r"GLIBC_2\.(\d+)", symbols)))
    machine = re.escape(os.uname().machine)
    assert re.fullmatch(rf"midashi-[\d.]+-py3-none-manylinux_2_{needed}_{machine}\.whl", wheel.name)


def test_licences_are_in_the_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        licences = [name for name in archive.namelist() if re.search("LICENSE|COPYING", name)]
        assert all(len(archive.read(name)) > 500 for name in licences)
    assert [name.rsplit("/", 1)[1] for name in licences] == ["LICENSE.onnxruntime", "COPYING", "LICENSE"]
