"""Copy: the source unchanged. The left end of every trade-off plot (FlexIT's COPY row)."""

from bench.types import EditBatch, EditResult


class Copy:
    """Returns the source images."""

    version = 1

    def __call__(self, model, batch: EditBatch, noise) -> EditResult:
        return EditResult(batch.images)
