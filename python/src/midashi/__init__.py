"""Classifies texts in Arrow tables with a model that Midashi has fine-tuned.

``Classifier`` runs the program ``midashi-predict`` and exchanges Arrow record batches with it. ``for_spark``,
``for_ray``, ``for_polars``, ``for_duckdb`` and ``for_pandas`` put it into an engine, which they import when they are
called.
"""

from midashi.classifier import Classifier
from midashi.engines import for_duckdb, for_pandas, for_polars, for_ray, for_spark
from midashi.errors import (
    MidashiError,
    PredictError,
    PredictTimeout,
    ProcessDied,
    ProgramNotFound,
    ProgramNotStarted,
)
from midashi.settings import Settings

__all__ = [
    "Classifier",
    "MidashiError",
    "PredictError",
    "PredictTimeout",
    "ProcessDied",
    "ProgramNotFound",
    "ProgramNotStarted",
    "Settings",
    "for_duckdb",
    "for_pandas",
    "for_polars",
    "for_ray",
    "for_spark",
]
