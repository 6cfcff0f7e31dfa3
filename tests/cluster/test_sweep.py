"""Sweeps that Ray spreads: the same files as without it, also if a worker dies; failed runs are named.

The programs are in the folder MIDASHI_BIN, or where `make build` puts them. `make setup` must have run.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="Ray is not installed")

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("MIDASHI_BIN", ROOT / "target" / "release"))
SCRIPT = ROOT / "examples" / "cluster" / "sweep" / "sweep_on_ray.py"

# A small model from scratch on the sample corpus.
SETTINGS = """
    model.scratch.layers=2 model.scratch.hidden_size=32 model.scratch.attention_heads=2
    model.scratch.intermediate_size=48 model.scratch.vocabulary_size=2000
    train.epochs=2 corpus.split.validation=0.1 run.threads=1
""".split()
OF_A_RUN = ["tokens.arrow", "training.parquet", "model/model.safetensors", "predictions.parquet", "metrics.json"]


def command(artifacts: Path, sweep: str, *more: str) -> list[str]:
    """The command line of a sweep whose runs are below `artifacts`."""
    settings = [*SETTINGS, f"run.artifacts={artifacts}", "run.name=base", *more]
    words = [str(BIN / "midashi-sweep"), "--config", "data/scratch.toml", "--sweep", sweep]
    return words + [word for setting in settings for word in ("--set", setting)]


def on_ray(sweep: list[str]) -> subprocess.Popen[str]:
    """Starts a sweep on two cores of a cluster of its own."""
    environment = {**os.environ, "RAY_ADDRESS": "local"}
    words = [sys.executable, str(SCRIPT), "--cpus", "1", *sweep]
    return subprocess.Popen(
        words, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def files(artifacts: Path) -> dict[str, bytes]:
    """The files of a sweep over the seeds 1 and 2."""
    base = artifacts / "base"
    paths = [base / "sweep.parquet"]
    paths += [base / "sweep" / f"train.seed={seed}" / name for seed in (1, 2) for name in OF_A_RUN]
    return {str(path.relative_to(base)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of the sweep without Ray."""
    artifacts = tmp_path_factory.mktemp("plain")
    subprocess.run(command(artifacts, "train.seed=1,2"), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return files(artifacts)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code of a process, and all that it printed."""
    try:
        output, errors = process.communicate(timeout=600)
    finally:
        process.kill()
    return process.returncode, output + errors


def same(found: dict[str, bytes], expected: dict[str, bytes]) -> bool:
    """Whether the files are equal; without a page of bytes in the message if not."""
    return not [name for name in expected if found[name] != expected[name]]


def test_a_sweep_on_ray_is_the_sweep(tmp_path: Path, plain: dict[str, bytes]) -> None:
    code, printed = ended(on_ray(command(tmp_path, "train.seed=1,2")))
    assert code == 0, printed
    assert same(files(tmp_path), plain)
    assert "| accuracy " in printed


def test_a_worker_that_is_killed_is_replaced_and_the_files_are_the_same(
    tmp_path: Path, plain: dict[str, bytes]
) -> None:
    sweep = on_ray(command(tmp_path, "train.seed=1,2"))
    killed = kill_a_worker(sweep)
    code, printed = ended(sweep)
    assert code == 0, printed
    assert killed, "no worker was at work"
    assert same(files(tmp_path), plain)


def test_a_failed_run_is_named_and_the_others_are_in_the_table(tmp_path: Path) -> None:
    sweep = command(tmp_path, "train.learning_rate.encoder=1e36,1e-3", "train.epochs=1")
    code, printed = ended(on_ray(sweep))
    assert code == 2, printed
    assert "error: 1 of 2 runs failed" in printed
    assert "train.learning_rate.encoder=1e36 failed in train: the loss is" in printed
    assert (tmp_path / "base" / "sweep" / "train.learning_rate.encoder=1e-3" / "metrics.json").exists()


def test_a_wrong_sweep_ends_before_ray_starts(tmp_path: Path) -> None:
    code, printed = ended(on_ray(command(tmp_path, "train.sed=1,2")))
    assert code == 2
    assert "unknown key train.sed; did you mean train.seed?" in printed
    assert not (tmp_path / "base").exists()


def kill_a_worker(sweep: subprocess.Popen[str]) -> bool:
    """Kills the Ray worker in which a run trains, as soon as there is one."""
    while sweep.poll() is None:
        parents = processes()
        for process, (parent, _) in parents.items():
            if "midashi-train" not in parents[process][1]:
                continue
            ancestors = [process]
            while parent in parents:
                ancestors.append(parent)
                parent = parents[parent][0]
            workers = [other for other in ancestors if parents[other][1].startswith("ray::")]
            if workers and sweep.pid in ancestors:
                os.kill(workers[0], signal.SIGKILL)
                return True
        time.sleep(0.01)
    return False


def processes() -> dict[int, tuple[int, str]]:
    """The parent and the command line of every process."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], check=True, capture_output=True, text=True)
    fields = [line.split(maxsplit=2) for line in listed.stdout.splitlines()]
    return {int(pid): (int(parent), words) for pid, parent, words in fields}
