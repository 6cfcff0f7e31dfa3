"""Spreads a sweep over a Ray cluster, a task per run.

    python sweep_on_ray.py --cpus 2 midashi-sweep --set run.threads=2 --sweep 'train.seed=1,2,3,4,5'

The arguments after this script's own options are the sweep's command line. Every node needs the programs and the folder
of the runs at the same paths, for example on NFS. The runs get this process's variables MIDASHI_* and ORT_DYLIB_PATH.
RAY_ADDRESS names the cluster; without it, Ray starts on this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys

import ray


@ray.remote
def do_run(command: list[str], number: int, folder: str, variables: dict[str, str], first: object) -> str | None:
    """Does one run in `folder`. Returns why it failed. Ray starts it when `first`, another run's task, has ended."""
    words = [*command, "--run", str(number)]
    try:
        code = subprocess.run(words, cwd=folder, env={**os.environ, **variables}, check=False).returncode
    except OSError as error:
        # This machine lacks the folder or the program.
        return f"{socket.gethostname()}: {error}"
    return f"exit code {code}" if code else None


def variables() -> dict[str, str]:
    """The environment variables that Midashi's programs read. Ray's workers on other machines lack this process's."""
    names = [name for name in os.environ if name.startswith("MIDASHI_") or name == "ORT_DYLIB_PATH"]
    return {name: os.environ[name] for name in names}


def reason(end: ray.ObjectRef[str | None]) -> str | None:
    """Waits for the end of a run's task. Returns why the run failed."""
    try:
        return ray.get(end)
    except ray.exceptions.RayError as error:
        # The task was lost for good, or the one before it.
        return str(error)


def main() -> int:
    """Lists the runs, spreads them, and collects their scores. Returns the exit code of the sweep."""
    parser = argparse.ArgumentParser(description="Spreads a sweep over a Ray cluster, a task per run.")
    parser.add_argument("--cpus", type=float, default=1, help="cores of a run, as many as run.threads (default: 1)")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the sweep's command line: midashi-sweep …")
    arguments = parser.parse_args()
    if not arguments.command:
        parser.error("the sweep's command line is missing; expected midashi-sweep and its options")

    listed = subprocess.run([*arguments.command, "--list"], stdout=subprocess.PIPE, check=False)
    if listed.returncode != 0:
        return listed.returncode
    runs = [json.loads(line) for line in listed.stdout.splitlines()]

    ray.init()
    task = do_run.options(num_cpus=arguments.cpus)
    ends: dict[int, ray.ObjectRef[str | None]] = {}
    for run in runs:
        # A run starts after the one whose work it takes over, even if that one failed.
        first = ends.get(run["after"])
        ends[run["number"]] = task.remote(arguments.command, run["number"], os.getcwd(), variables(), first)
    # A task whose worker dies is started again by Ray.
    for run in runs:
        failure = reason(ends[run["number"]])
        print(f"run {run['number']} ({run['name']}): {failure or 'done'}", file=sys.stderr, flush=True)
    ray.shutdown()
    return subprocess.run([*arguments.command, "--collect"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
