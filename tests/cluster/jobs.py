"""A job that a test submits as a user does, and whose processes it may kill."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from processes import below, programs, wait_until, written

#: Bytes that a process has written when it is in the middle of its rows: a part of its first batch of Spark's 2,000.
MIDDLE = 200_000


class Job:
    """A running job. What it says goes to a file, so that it never waits for its reader."""

    def __init__(self, command: list[str | Path], folder: Path, log: Path, **environment: str) -> None:
        self.log = log
        # The variables of the tests' own processes are not those of a user.
        environment = {**os.environ, **environment}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [str(word) for word in command], cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
            )

    def finish(self) -> str:
        """Waits for the job, which must succeed, and returns what it said."""
        code = self.process.wait(timeout=600)
        said = self.log.read_text(errors="replace")
        assert code == 0, "\n".join(said.splitlines()[-60:])
        return said

    def is_running(self) -> bool:
        return self.process.poll() is None


def working_program(parent: int) -> int:
    """A midashi-predict below `parent` that has answered some of its rows; waits until there is one."""

    def in_the_middle() -> list[int]:
        return [process for process in programs(parent) if written(process) > MIDDLE]

    return wait_until(in_the_middle, "a midashi-predict that works")[0]


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)


def ancestor(process: int, parent: int, is_it: Callable[[int], bool]) -> int:
    """The process above `process` and below `parent` for which `is_it` is true."""
    [found] = [one for one in below(parent) if is_it(one) and process in below(one)]
    return found
