"""The recipes of schedulers that need no Python: the same commands, with the environment that a scheduler sets."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
import yaml
from conftest import EXAMPLES
from predictions import assert_same
from processes import programs, wait_until, written

ARRAY = EXAMPLES / "slurm/array.sh"
SHARDS = 4


@pytest.mark.parametrize("script", sorted(EXAMPLES.rglob("*.sh")), ids=lambda path: path.name)
def test_every_script_is_valid(script):
    shell = script.read_text().splitlines()[0].removeprefix("#!")
    assert subprocess.run([shell, "-n", script]).returncode == 0
    assert os.access(script, os.X_OK)


def test_a_slurm_array_classifies_every_row_once(bundle, few, expected_few, tmp_path):
    output = tmp_path / "predicted.parquet"
    environment = recipe_environment(bundle, few, output) | {"SHARDS": str(SHARDS)}
    command = [ARRAY, "--text-column", "title", "--all"]
    # The first two tasks, and then the two that failed.
    for tasks in ([1, 2], [3, 4]):
        for task in tasks:
            subprocess.run(command, env=environment | slurm_array(task, tasks), check=True)
    assert_same(all_shards(output), expected_few)


@pytest.mark.parametrize("task", [0, SHARDS + 1])
def test_a_slurm_task_without_a_shard_is_refused(tmp_path, task):
    environment = recipe_environment(tmp_path, tmp_path, tmp_path) | {"SHARDS": str(SHARDS)}
    refused = subprocess.run([ARRAY], env=environment | slurm_array(task, [task]), capture_output=True, text=True)
    assert refused.returncode == 2
    assert f"found task {task} of the array, expected 1 to SHARDS={SHARDS}" in refused.stderr


@pytest.mark.parametrize("recipe", ["slurm/array.sh", "parallel/classify.sh"])
def test_the_number_of_shards_must_be_given(tmp_path, recipe):
    environment = recipe_environment(tmp_path, tmp_path, tmp_path) | slurm_array(1, [1])
    refused = subprocess.run([EXAMPLES / recipe], env=environment, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "SHARDS: the number of shards" in refused.stderr


def test_a_bundle_reads_single_keys_from_the_environment(bundle):
    def threads(*options):
        command = [bundle / "predict.sh", "新しいお知らせです", "--format", "csv", *options]
        environment = {"PATH": os.environ["PATH"], "MIDASHI_SET": "run.threads=1"}
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stderr

    assert "device cpu, 1 threads" in threads()
    assert "device cpu, 2 threads" in threads("--set", "run.threads=2")


def test_a_kubernetes_indexed_job_classifies_every_row_once(bundle, few, expected_few, tmp_path):
    job = yaml.safe_load((EXAMPLES / "kubernetes/job.yaml").read_text())
    assert (job["apiVersion"], job["kind"], job["spec"]["completionMode"]) == ("batch/v1", "Job", "Indexed")
    container = job["spec"]["template"]["spec"]["containers"][0]
    variables = {variable["name"]: variable for variable in container["env"]}
    assert int(variables["SHARDS"]["value"]) == job["spec"]["completions"]
    requested = variables["THREADS"]["valueFrom"]["resourceFieldRef"]["resource"]
    assert requested.removeprefix("requests.") in container["resources"]["requests"]
    mounts = tuple(mount["mountPath"] + "/" for mount in container["volumeMounts"])
    assert all(variables[name]["value"].startswith(mounts) for name in ("INPUT", "OUTPUT"))

    output = tmp_path / "predicted.parquet"
    # The data and the number of shards are the test's; the command is the manifest's.
    environment = recipe_environment(bundle, few, output) | {"SHARDS": str(SHARDS), "THREADS": "1"}
    assert set(variables) < set(environment) | {"BUNDLE"}
    command = [*container["command"][:2], container["command"][2] + " --text-column title --all"]
    for index in range(SHARDS):
        subprocess.run(command, env=environment | {"JOB_COMPLETION_INDEX": str(index)}, check=True)
    assert_same(all_shards(output), expected_few)


needs_parallel = pytest.mark.skipif(
    not shutil.which("parallel"), reason="GNU parallel is missing (Debian: apt-get install parallel)"
)


@needs_parallel
def test_more_threads_than_cores_are_one_process_at_a_time(tmp_path):
    # In place of a bundle's: it says which shard it was given, and fails beside another of its kind.
    script = tmp_path / "predict.sh"
    script.write_text('#!/bin/sh\nmkdir "$BUNDLE/running" || exit 1\nsleep 0.2; echo "$@"; rmdir "$BUNDLE/running"\n')
    script.chmod(0o755)
    environment = recipe_environment(tmp_path, tmp_path, tmp_path) | {"SHARDS": str(SHARDS), "THREADS": "10000"}
    done = subprocess.run([EXAMPLES / "parallel/classify.sh"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shards = [line.rsplit(" ", 1)[1] for line in done.stdout.splitlines() if "run.threads=10000" in line]
    assert shards == [f"{shard}/{SHARDS}" for shard in range(1, SHARDS + 1)]


@pytest.mark.parametrize("shards", ["0", "all"])
def test_a_number_of_shards_without_a_shard_is_refused(tmp_path, shards):
    environment = recipe_environment(tmp_path, tmp_path, tmp_path) | {"SHARDS": shards}
    refused = subprocess.run([EXAMPLES / "parallel/classify.sh"], env=environment, capture_output=True, text=True)
    assert refused.returncode == 2
    assert f"found SHARDS={shards}, expected a number from 1" in refused.stderr


@needs_parallel
def test_gnu_parallel_repeats_a_killed_shard_and_skips_finished_ones(bundle, few, expected_few, tmp_path):
    output = tmp_path / "predicted.parquet"
    environment = recipe_environment(bundle, few, output) | {"SHARDS": str(SHARDS), "PROCESSES": "2"}
    command = [EXAMPLES / "parallel/classify.sh", "--text-column", "title", "--all"]
    job = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)

    def at_work() -> list[int]:
        return [process for process in programs(job.pid) if written(process) > 0]

    victim = wait_until(at_work, "a process of parallel that has loaded the model")[0]
    os.kill(victim, signal.SIGKILL)
    _, said = job.communicate(timeout=600)
    assert job.returncode == 0, said
    assert_same(all_shards(output), expected_few)

    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert again.stderr.count("up to date") == SHARDS, again.stderr


def recipe_environment(bundle: Path, inputs: Path, output: Path) -> dict[str, str]:
    names = {"BUNDLE": bundle, "INPUT": f"{inputs}/*.parquet", "OUTPUT": output}
    return {"PATH": os.environ["PATH"]} | {name: str(value) for name, value in names.items()}


def slurm_array(task: int, tasks: list[int]) -> dict[str, str]:
    """The variables that Slurm sets for one task of an array."""
    numbers = {"ID": task, "MIN": min(tasks), "MAX": max(tasks), "COUNT": len(tasks)}
    return {f"SLURM_ARRAY_TASK_{name}": str(number) for name, number in numbers.items()} | {"SLURM_CPUS_PER_TASK": "1"}


def all_shards(output: Path) -> pa.Table:
    """The shards' files as one table."""
    files = sorted(output.parent.glob(f"{output.stem}-*-of-{SHARDS:05}.parquet"))
    assert len(files) == SHARDS
    return pa.concat_tables(map(pyarrow.parquet.read_table, files))
