"""Processes that an engine started, from /proc."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

PROC = Path("/proc")
TICK = os.sysconf("SC_CLK_TCK")
Value = TypeVar("Value")


def programs(parent: int) -> list[int]:
    """The processes of midashi-predict below `parent`."""
    return [process for process in below(parent) if is_program(process)]


def is_program(process: int) -> bool:
    return read(process, "comm").strip() == "midashi-predict"


def has_argument(start: str) -> Callable[[int], bool]:
    """Whether a process has an argument that begins with `start`."""
    return lambda process: any(argument.startswith(start) for argument in read(process, "cmdline").split("\0"))


def below(parent: int) -> list[int]:
    """The processes that `parent` started, and those that they started."""
    parents = {int(entry.name): parent_of(entry) for entry in PROC.iterdir() if entry.name.isdigit()}
    found, level = set(), {parent}
    while level:
        level = {process for process, started_by in parents.items() if started_by in level} - found
        found |= level
    return sorted(found)


def parent_of(entry: Path) -> int:
    return status(int(entry.name), "PPid")


def status(process: int, key: str) -> int:
    """A number of /proc/PROCESS/status, such as VmRSS in KiB; 0 if the process has ended."""
    return number_after(read(process, "status"), f"{key}:")


def written(process: int) -> int:
    """The bytes that the process wrote to files and pipes."""
    return number_after(read(process, "io"), "wchar:")


def processor_seconds(process: int) -> float:
    """The seconds that processors worked for the process; 0 if it has ended."""
    fields = read(process, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK if fields else 0.0


def number_after(text: str, key: str) -> int:
    lines = [line for line in text.splitlines() if line.startswith(key)]
    return int(lines[0].split()[1]) if lines else 0


def read(process: int, name: str) -> str:
    try:
        return (PROC / str(process) / name).read_text(errors="replace")
    except OSError:
        return ""


def wait_until(condition: Callable[[], Value], what: str, seconds: float = 300) -> Value:
    """Waits until the condition is true, and returns its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.01)
    raise TimeoutError(f"{what}: not within {seconds} s")
