"""Measures what Spark and Ray add to one plain midashi-predict with as many threads, and the memory of the programs.

    python tests/cluster/overhead.py BUNDLE --rows 20000 110000 200000

BUNDLE is an unpacked bundle (examples/cluster/bundle.sh). Each engine has two processes with one thread, the plain process
has two threads. The engines are started, and have classified some rows, before the clock runs. The last line of each
engine is the slope between the fewest and the most rows, in which no start-up is left.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import titles
from processes import processor_seconds, programs, status

# Spark would take the python3 of PATH.
os.environ.setdefault("PYSPARK_PYTHON", sys.executable)

THREADS = 2


@dataclass
class Figures:
    """Of one run: seconds, seconds of all programs' processors, and the largest memory of a program in MiB."""

    seconds: float
    processor: float
    memory: float


class Watch(threading.Thread):
    """Looks at the programs below this process ten times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.processor: dict[int, list[float]] = {}
        self.memory = 0.0
        self._ends = threading.Event()

    def run(self) -> None:
        while not self._ends.wait(0.1):
            self.look()

    def look(self) -> None:
        for process in programs(os.getpid()):
            seconds = processor_seconds(process)
            if seconds > 0:
                self.processor.setdefault(process, [seconds, seconds])[1] = seconds
            # Without the mapped files, which all programs share.
            self.memory = max(self.memory, status(process, "RssAnon") / 1024)

    def end(self) -> None:
        self._ends.set()
        self.join()
        self.look()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000, 110_000, 200_000])
    parser.add_argument("--rounds", type=int, default=1, help="of which the median is taken")
    parser.add_argument("--batch-size", type=int, default=4096, help="rows that an actor of Ray gets at a time")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    arguments = parser.parse_args()
    os.environ["PYTHONPATH"] = str(arguments.bundle.resolve())
    sys.path.insert(0, os.environ["PYTHONPATH"])
    with tempfile.TemporaryDirectory() as folder:
        measure(arguments, Path(folder))


def measure(arguments: argparse.Namespace, folder: Path) -> None:
    inputs = {rows: titles.write(folder / str(rows), rows) for rows in sorted(arguments.rows)}
    print("| | rows | seconds | rows a second | processor seconds | largest memory of a process, MiB |")
    print("|---|---|---|---|---|---|")
    slopes = {}
    for name in arguments.engines:
        with ENGINES[name](arguments.bundle.resolve(), arguments.batch_size) as classify:
            classify(next(iter(inputs.values())), folder / f"{name}-warm")
            medians = {rows: median(classify, source, folder, arguments.rounds) for rows, source in inputs.items()}
        for rows, run in medians.items():
            speed = f"{rows / run.seconds:,.0f} | {run.processor:.1f} | {run.memory:.0f}"
            print(f"| {name} | {rows:,} | {run.seconds:.1f} | {speed} |", flush=True)
        least, most = min(medians), max(medians)
        if least < most:
            slopes[name] = (medians[most].seconds - medians[least].seconds) / (most - least)
            print(f"| {name}, the slope | {most - least:,} | | {1 / slopes[name]:,.0f} | | |", flush=True)
    if "plain" in slopes:
        for name, slope in slopes.items():
            print(f"{name}: {100 * (slope / slopes['plain'] - 1):+.1f} % against the plain process, start-up apart")


def median(classify: Callable[[Path, Path], None], source: Path, folder: Path, rounds: int) -> Figures:
    runs = [run(classify, source, folder / f"{source.name}-{number}") for number in range(rounds)]
    keys = ("seconds", "processor", "memory")
    return Figures(*(statistics.median(getattr(run, key) for run in runs) for key in keys))


def run(classify: Callable[[Path, Path], None], source: Path, output: Path) -> Figures:
    watch = Watch()
    watch.look()
    before = {process: seconds[1] for process, seconds in watch.processor.items()}
    watch.start()
    start = time.perf_counter()
    classify(source, output)
    seconds = time.perf_counter() - start
    watch.end()
    shutil.rmtree(output) if output.is_dir() else output.unlink()
    processor = sum(last - before.get(process, 0.0) for process, (_, last) in watch.processor.items())
    return Figures(seconds, processor, watch.memory)


@contextmanager
def plain(bundle: Path, batch_size: int) -> Iterator[Callable[[Path, Path], None]]:
    """A process for each run, whose time has the start of the program."""

    def classify(source: Path, output: Path) -> None:
        command = [bundle / "predict.sh", "--set", f"run.threads={THREADS}", "--text-column", "title"]
        command += ["--input", f"{source}/*.parquet", "--output", f"{output}.parquet"]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        Path(f"{output}.parquet").rename(output)

    yield classify


@contextmanager
def spark(bundle: Path, batch_size: int) -> Iterator[Callable[[Path, Path], None]]:
    import midashi
    from pyspark.sql import SparkSession

    settings = {"spark.sql.files.maxPartitionBytes": "512k", "spark.ui.enabled": "false"}
    builder = SparkSession.builder.master(f"local-cluster[{THREADS},1,1024]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")

    def classify(source: Path, output: Path) -> None:
        texts = session.read.parquet(str(source))
        midashi.for_spark(texts, bundle / "model", text_column="title").write.parquet(str(output))

    yield classify
    session.stop()


@contextmanager
def ray(bundle: Path, batch_size: int) -> Iterator[Callable[[Path, Path], None]]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import midashi
    import ray
    from ray.cluster_utils import Cluster

    # A CPU for the actor and one for reading, of which one works most of the time.
    raylet = {"num_cpus": 2, "object_store_memory": 300_000_000}
    cluster = Cluster(initialize_head=True, head_node_args=raylet)
    for _ in range(THREADS - 1):
        cluster.add_node(**raylet)
    ray.init(address=cluster.address, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False

    def classify(source: Path, output: Path) -> None:
        texts = ray.data.read_parquet(source)
        rows = midashi.for_ray(texts, bundle / "model", concurrency=THREADS, batch_size=batch_size, text_column="title")
        rows.write_parquet(output)

    yield classify
    ray.shutdown()
    cluster.shutdown()


ENGINES = {"plain": plain, "spark": spark, "ray": ray}

if __name__ == "__main__":
    main()
