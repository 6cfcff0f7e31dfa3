"""Ray Data: ``Dataset.map_batches`` with an actor class."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Union

import pyarrow as pa

from midashi.classifier import Classifier, Path
from midashi.errors import ProcessDied

if TYPE_CHECKING:
    from ray.data import Dataset

logger = logging.getLogger(__name__)

#: As often as Spark tries a task by default.
ATTEMPTS = 4


def for_ray(
    dataset: Dataset,
    model: Path,
    concurrency: Union[int, tuple[int, int]] = 1,
    batch_size: int = 4096,
    **settings: Any,
) -> Dataset:
    """A dataset with the columns of the predictions, computed by actors, each with the model in memory.

    ``model`` is a path on the machines of the actors; a relative path begins at the job's ``working_dir``. A batch
    whose program was killed is repeated.

    :param concurrency: number of actors, or the least and the most. Ray needs at least one more CPU to read and
        write with: where actors occupy all CPUs, the job waits for ever.
    :param batch_size: rows that an actor gets at a time, and of a block of the result. Ray queues several of
        them for an actor: a dataset with few of them for each actor leaves actors without work.
    :param settings: as those of :class:`midashi.Classifier`. An actor occupies as many CPUs as ``threads``, 1 by
        default.
    """
    from ray.data import ActorPoolStrategy

    least, most = (concurrency, concurrency) if isinstance(concurrency, int) else concurrency
    if settings.get("threads") is None:
        settings["threads"] = 1
    # An actor gets a block at a time. To Ray, small files or a million titles are one block.
    return dataset.repartition(target_num_rows_per_block=batch_size).map_batches(
        Predictor,
        fn_constructor_args=(Classifier(model, **settings),),
        batch_format="pyarrow",
        batch_size=batch_size,
        compute=ActorPoolStrategy(min_size=least, max_size=most),
        num_cpus=settings["threads"],
        zero_copy_batch=True,
    )


class Predictor:
    """The actor."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier

    def __call__(self, table: pa.Table) -> pa.Table:
        # Ray repeats the batch of an actor that dies, but not of one that raises an error.
        for _ in range(ATTEMPTS - 1):
            try:
                return self._classifier.predict(table)
            except ProcessDied as error:
                logger.warning("%s; the batch is repeated", error)
        return self._classifier.predict(table)
