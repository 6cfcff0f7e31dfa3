"""Spark: ``DataFrame.mapInArrow``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from midashi.classifier import Classifier, Path
from midashi.schema import added_columns
from midashi.shared import shared

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def for_spark(df: DataFrame, model: Path, **settings: Any) -> DataFrame:
    """A DataFrame with the columns of the predictions, computed by the executors as lazily as any other column.

    ``model`` is a path on the executors. With ``--archives model.tar.gz#model`` it is ``model`` or a folder below it.
    The program has as many threads as Spark gives a task cores (``spark.task.cpus``).

    :param settings: as those of :class:`midashi.Classifier`.
    """
    from pyspark.sql.pandas.types import from_arrow_schema
    from pyspark.sql.types import StructType

    if settings.get("threads") is None:
        settings["threads"] = int(df.sparkSession.conf.get("spark.task.cpus", "1") or 1)
    chosen = Classifier(model, **settings).settings

    def predict(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        # Spark gives a Python process the tasks of many partitions.
        yield from shared(chosen).predict(batches)

    added = from_arrow_schema(added_columns(chosen))
    return df.mapInArrow(predict, StructType(df.schema.fields + added.fields))
