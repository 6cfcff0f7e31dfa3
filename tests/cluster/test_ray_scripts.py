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


@pytest.mark.parametrize(("cluster", "options"), [({}, []), ({"CPU": 4}, ["--autoscaling"])])
def test_a_cluster_that_can_grow_gets_a_warning(tmp_path, cluster, options):
    warned = classify(tmp_path, cluster, "--actors", "60", *options)
    assert warned.returncode == 0
    assert "warning: --actors times --threads must leave a CPU" in warned.stderr
    assert warned.stdout.endswith("written to predicted\n")
