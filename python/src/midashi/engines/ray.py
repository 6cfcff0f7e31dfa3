"""Ray Data: ``Dataset.map_batches`` with an actor class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Union

import pyarrow as pa

from midashi.classifier import Classifier, Path

if TYPE_CHECKING:
    from ray.data import Dataset


def for_ray(
    dataset: Dataset,
    model: Path,
    concurrency: Union[int, tuple[int, int]] = 1,
    batch_size: int = 4096,
    **settings: Any,
) -> Dataset:
    """A dataset with the columns of the predictions, computed by actors, each with the model in memory.

    ``model`` is a path on the machines of the actors; a relative path begins at the job's ``working_dir``.

    :param concurrency: number of actors, or the least and the most.
    :param batch_size: rows that an actor gets at a time.
    :param settings: as those of :class:`midashi.Classifier`. An actor occupies as many CPUs as ``threads``, 1 by default.
    """
    threads = settings.setdefault("threads", 1)
    return dataset.map_batches(
        Predictor,
        fn_constructor_args=(Classifier(model, **settings),),
        batch_format="pyarrow",
        batch_size=batch_size,
        concurrency=concurrency,
        num_cpus=threads,
        zero_copy_batch=True,
    )


class Predictor:
    """The actor."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier

    def __call__(self, table: pa.Table) -> pa.Table:
        return self._classifier.predict(table)
