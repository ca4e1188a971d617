"""The words of a sample, checked when it is read. No torch."""

from numbers import Integral

from bench.errors import BadSample, UserError
from bench.types import EditSample


def checked(sample: EditSample) -> EditSample:
    """The sample itself.

    Raises:
        BadSample: a query that is no text, class index or None, or text that files, tables and tokenizers refuse.
    """
    for name in ("source", "target"):
        query = getattr(sample, name)
        if not isinstance(query, str | Integral | None) or isinstance(query, bool):
            raise BadSample(placed(sample, f"{name} is {query!r}; expected text, a class index or null"))
    texts = {name: getattr(sample, name) for name in ("source", "target", "instruction", "type", "group")}
    texts |= {
        f"the {of} word of blend": word for of, word in zip(("source", "target"), sample.blend or (), strict=False)
    }
    for name, text in texts.items():
        if name not in ("source", "target") and not isinstance(text, str | None):
            raise BadSample(placed(sample, f"{name} is {text!r}; expected text or null"))
        if isinstance(text, str) and (why := unfit(text)):
            raise BadSample(placed(sample, f"{name} {why}"))
    return sample


def placed(sample: EditSample, why: str) -> str:
    """What is wrong with a sample's words, after its place in its list, where it has one."""
    return f"{sample.where}: {why}" if sample.where else why


def check_ids(ids: list[str], where: str) -> None:
    """Raises UserError for ids that cannot name files."""
    for id_ in ids:
        if why := unfit(id_):
            raise UserError(f"{where}: an id {why}; it names the files of the results")


def unfit(text: str) -> str | None:
    """Why a text cannot be written or read by others, if so: half a character, or NUL."""
    if "\0" in text:
        return f"holds the character NUL: {text!a}; take it out"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return f"holds half a character (a lone surrogate): {text!a}; write it whole"
    return None
