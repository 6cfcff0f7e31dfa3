"""Classifies the texts of a Parquet data set on Ray. README.md has the command for `ray job submit`.

The job's working directory is the unpacked bundle, which Ray copies to every machine.
"""

import argparse
import sys

import midashi
import ray

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("input", help="Parquet file or folder, at an address that every machine reads")
parser.add_argument("output", help="folder of the predictions")
parser.add_argument("--model", default="model", help="folder on every machine, from the working directory (%(default)s)")
parser.add_argument("--text-column", help="column of the texts; recognised by usual names by default")
parser.add_argument("--all", action="store_true", help="adds the probability of every category")
parser.add_argument("--precision", choices=["f32", "int8"], default="f32")
parser.add_argument("--actors", type=int, default=1, help="number of processes on all machines (%(default)s)")
parser.add_argument("--threads", type=int, default=1, help="threads and CPUs of each (%(default)s)")
parser.add_argument("--batch-size", type=int, default=4096, help="rows that an actor gets at a time (%(default)s)")
parser.add_argument("--autoscaling", action="store_true", help="take more actors than the cluster has CPUs: it will grow")
arguments = parser.parse_args()

ray.init()
available = ray.cluster_resources().get("CPU", 0)
if arguments.actors * arguments.threads >= available:
    # Reading would wait for a CPU for ever.
    message = f"--actors times --threads must leave a CPU for reading; the cluster has {available:g}"
    # A head without CPUs, as KubeRay's, gets its workers when there is work.
    if not arguments.autoscaling and available > 0:
        parser.error(f"{message}; give --autoscaling if it can grow")
    print(f"warning: {message}; the job waits until it has grown", file=sys.stderr)
texts = ray.data.read_parquet(arguments.input)
predicted = midashi.for_ray(
    texts,
    arguments.model,
    concurrency=arguments.actors,
    batch_size=arguments.batch_size,
    threads=arguments.threads,
    text_column=arguments.text_column,
    all=arguments.all,
    precision=arguments.precision,
)
predicted.write_parquet(arguments.output)
