"""Classifies the texts of a Parquet data set on Spark. README.md has the command for spark-submit.

The bundle is unpacked into the folder `midashi`, here by hand and on the executors by `--archives bundle.tar.gz#midashi`.
"""

import argparse

import midashi
from pyspark.sql import SparkSession

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("input", help="Parquet files or folder, at an address that Spark reads")
parser.add_argument("output", help="folder that the job makes")
parser.add_argument("--model", default="midashi/model", help="folder on the driver and on the executors (%(default)s)")
parser.add_argument("--text-column", help="column of the texts; recognised by usual names by default")
parser.add_argument("--all", action="store_true", help="adds the probability of every category")
parser.add_argument("--precision", choices=["f32", "int8"], default="f32")
parser.add_argument("--partitions", type=int, help="number of tasks, for files with few row groups; Spark's own choice by default")
arguments = parser.parse_args()

spark = SparkSession.builder.appName("midashi").getOrCreate()
texts = spark.read.parquet(arguments.input)
if arguments.partitions:
    texts = texts.repartition(arguments.partitions)
predicted = midashi.for_spark(
    texts,
    arguments.model,
    text_column=arguments.text_column,
    all=arguments.all,
    precision=arguments.precision,
)
predicted.write.parquet(arguments.output)
