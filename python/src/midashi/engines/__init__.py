"""One module for each engine. An engine is imported when its function is called."""

from midashi.engines.duckdb import for_duckdb
from midashi.engines.pandas import for_pandas
from midashi.engines.polars import for_polars
from midashi.engines.ray import for_ray
from midashi.engines.spark import for_spark

__all__ = ["for_duckdb", "for_pandas", "for_polars", "for_ray", "for_spark"]
