"""What sources show and edits should show, in words, for metrics that compare pictures with text."""

from bench.types import ScoreBatch


def targets(batch: ScoreBatch) -> tuple[dict[int, str], dict[str, str]]:
    """Target prompts by their place in the batch, and for each other sample, by its id, why it has none."""
    return _texts(batch, "target")


def sources(batch: ScoreBatch) -> tuple[dict[int, str], dict[str, str]]:
    """The same of the words for the source."""
    return _texts(batch, "source")


def _texts(batch: ScoreBatch, which: str) -> tuple[dict[int, str], dict[str, str]]:
    texts, notes = {}, {}
    for place, sample in enumerate(batch.samples):
        query = getattr(sample, which)
        if isinstance(query, str) and query.strip():
            texts[place] = query
        else:
            kind = "no words" if isinstance(query, str | None) else f"the class index {query}"
            notes[sample.id] = f"its {which} is {kind}: undefined"
    return texts, notes
