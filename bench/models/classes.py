"""What class-conditional models are told."""

from bench.errors import BadSample
from bench.types import Query


def indices(queries: list[Query], classes: int) -> list[int]:
    """Row of each query in a table of classes whose last row, number `classes`, is the unconditional model's.

    Raises:
        BadSample: a query that is no class.
    """
    for query in queries:
        if isinstance(query, str):
            raise BadSample(f"this model takes class ids and got the text {query!r}; set data.queries=ids")
        if query is not None and not 0 <= query < classes:
            raise BadSample(f"this model takes class ids from 0 to {classes - 1} and got {query}")
    return [classes if query is None else query for query in queries]
