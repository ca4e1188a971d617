"""What edits should show, in words, for metrics that compare pictures with text."""

from bench.types import ScoreBatch


def targets(batch: ScoreBatch) -> tuple[dict[int, str], dict[str, str]]:
    """Target prompts by their place in the batch, and for each other sample, by its id, why it has none."""
    texts, notes = {}, {}
    for place, sample in enumerate(batch.samples):
        if isinstance(sample.target, str) and sample.target.strip():
            texts[place] = sample.target
        else:
            kind = "no words" if isinstance(sample.target, str | None) else f"the class index {sample.target}"
            notes[sample.id] = f"its target is {kind}: undefined"
    return texts, notes
