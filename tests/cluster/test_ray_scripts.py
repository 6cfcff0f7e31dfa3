"""The scripts for Ray without Ray: what they ask of it, with a module in its place."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import EXAMPLES

#: A cluster with the resources in CLUSTER.
RAY = """
import json, os, types
init = lambda: None
cluster_resources = lambda: json.loads(os.environ["CLUSTER"])
data = types.SimpleNamespace(read_parquet=lambda path: path)
"""
#: Does each task where it is asked for, in an environment with none of the driver's variables.
TASKS = """
import os, sys, types
class Task:
    def __init__(self, work): self.work = work
    def options(self, num_cpus): return self
    def remote(self, command, *arguments):
        command = [os.environ.get("PROGRAM", command[0]), *command[1:]]
        kept = dict(os.environ)
        for name in ("MIDASHI_SET", "ORT_DYLIB_PATH"): os.environ.pop(name, None)
        try: return self.work(command, *arguments)
        finally: os.environ.update(kept)
class RayError(Exception): pass
def get(end):
    if os.environ.get("LOST"): raise RayError("the worker died")
    return end
remote, exceptions, ObjectRef = Task, types.SimpleNamespace(RayError=RayError), None
init = shutdown = lambda: None
"""
#: A sweep of two runs, of which the second fails.
SWEEP = """#!/bin/sh
case $1 in
  --list) for n in 1 2; do echo "{\\"number\\": $n, \\"name\\": \\"seed=$n\\", \\"after\\": null}"; done ;;
  --run) echo "run $2 with $MIDASHI_SET and $ORT_DYLIB_PATH"; [ "$2" = 1 ] || exit 2 ;;
  --collect) echo table; exit 2 ;;
esac
"""
MIDASHI = """
class for_ray:
    def __init__(self, texts, model, **settings):
        print(model, settings["concurrency"], settings["threads"])

    def write_parquet(self, folder):
        print("written to", folder)
"""


def classify(folder: Path, cluster: dict[str, float], *options: str) -> subprocess.CompletedProcess[str]:
    """Runs the recipe on a cluster with these resources."""
    modules = {"ray.py": RAY, "midashi.py": MIDASHI}
    for name, content in modules.items():
        (folder / name).write_text(content, encoding="utf-8")
    command = [sys.executable, EXAMPLES / "ray/classify_on_ray.py", "titles", "predicted", *options]
    environment = {**os.environ, "PYTHONPATH": str(folder), "CLUSTER": json.dumps(cluster)}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_the_actors_leave_a_cpu_for_reading(tmp_path):
    fits = classify(tmp_path, {"CPU": 4}, "--actors", "3")
    assert (fits.returncode, fits.stderr) == (0, "")
    assert fits.stdout == "model 3 1\nwritten to predicted\n"
    refused = classify(tmp_path, {"CPU": 4}, "--actors", "2", "--threads", "2")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "must leave a CPU for reading; the cluster has 4; give --autoscaling if it can grow" in refused.stderr


@pytest.fixture
def sweep(tmp_path):
    """Spreads the sweep in this folder."""
    (tmp_path / "ray.py").write_text(TASKS, encoding="utf-8")
    program = tmp_path / "sweep"
    program.write_text(SWEEP, encoding="utf-8")
    program.chmod(0o755)

    def spread(**variables: str) -> subprocess.CompletedProcess[str]:
        names = {"PYTHONPATH": str(tmp_path), "MIDASHI_SET": "run.threads=2", "ORT_DYLIB_PATH": "/a/library"}
        command = [sys.executable, EXAMPLES / "sweep/sweep_on_ray.py", program]
        environment = {**os.environ, **names, **variables}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    return spread


def test_the_runs_get_the_variables_and_every_result_is_printed(sweep):
    spread = sweep()
    assert spread.returncode == 2
    assert spread.stdout.splitlines() == [
        "run 1 with run.threads=2 and /a/library",
        "run 2 with run.threads=2 and /a/library",
        "table",
    ]
    assert spread.stderr.splitlines() == ["run 1 (seed=1): done", "run 2 (seed=2): exit code 2"]


def test_a_lost_task_and_a_machine_without_the_program_have_a_reason(sweep):
    lost = sweep(LOST="1")
    assert lost.stderr.splitlines() == [f"run {number} (seed={number}): the worker died" for number in (1, 2)]
    missing = sweep(PROGRAM="/no/such/sweep")
    assert missing.stdout == "table\n"
    for number, line in enumerate(missing.stderr.splitlines(), 1):
        assert line.startswith(f"run {number} (seed={number}): ")
        assert line.endswith("No such file or directory: '/no/such/sweep'")
    assert missing.stderr.count("\n") == 2


@pytest.mark.parametrize(("cluster", "options"), [({}, []), ({"CPU": 4}, ["--autoscaling"])])
def test_a_cluster_that_can_grow_gets_a_warning(tmp_path, cluster, options):
    warned = classify(tmp_path, cluster, "--actors", "60", *options)
    assert warned.returncode == 0
    assert "warning: --actors times --threads must leave a CPU" in warned.stderr
    assert warned.stdout.endswith("written to predicted\n")
