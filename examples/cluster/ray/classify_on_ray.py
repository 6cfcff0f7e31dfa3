"""Classifies the texts of a Parquet data set on Ray. README.md has the command for `ray job submit`.

The job's working directory is the unpacked bundle, which Ray copies to every machine.
"""

import argparse

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
arguments = parser.parse_args()

ray.init()
available = ray.cluster_resources()["CPU"]
if arguments.actors * arguments.threads >= available:
    # Reading would wait for a CPU for ever.
    parser.error(f"--actors times --threads must leave a CPU for reading; the cluster has {available:g}")
texts = ray.data.read_parquet(arguments.input)
predicted = midashi.for_ray(
    texts,
    arguments.model,
    concurrency=arguments.actors,
    threads=arguments.threads,
    text_column=arguments.text_column,
    all=arguments.all,
    precision=arguments.precision,
)
predicted.write_parquet(arguments.output)
