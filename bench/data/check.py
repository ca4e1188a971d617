"""Reading every sample of a data set once, and counting what its users should know before they spend a GPU on it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tqdm import tqdm

from bench.data import own
from bench.data.base import Count
from bench.data.preprocess import NATIVE
from bench.data.reading import read
from bench.types import EditData

CLIP_TOKENS = 77
"""Of CLIP's text encoder, start and end included; what is beyond is cut off."""


@dataclass(frozen=True)
class Finding:
    """What one sample is like, `size` its picture's height and width; `error` is None for one that can be read."""

    id: str
    error: str | None = None
    prompts: tuple[str, ...] = ()
    size: tuple[int, int] = (0, 0)
    masked: bool = False
    whole: bool = False
    empty: bool = False
    bare: bool = False


def check(data: EditData, limit: int | None) -> tuple[list[Count], list[Finding]]:
    """Counts over the first `limit` samples, and those that cannot be read."""
    findings = list(tqdm(_findings(data, limit), total=len(data.ids[:limit]), unit="sample", disable=None, leave=False))
    bad = [finding for finding in findings if finding.error is not None]
    masked = sum(finding.masked for finding in findings)
    prompts = [prompt for finding in findings for prompt in finding.prompts]
    rows = [Count("unreadable samples", len(bad), 0), Count("samples with a mask", masked)]
    if masked:
        rows.append(Count("masks over the whole frame (no background to score)", sum(f.whole for f in findings)))
        rows.append(Count("masks without an edit pixel inside the border", sum(f.empty for f in findings), 0))
    if bare := sum(finding.bare for finding in findings):
        rows.append(Count("samples without captions (for methods that follow instructions)", bare))
    expected = None if getattr(data, "brackets", None) == "keep" else 0
    rows.append(Count("prompts that still hold brackets", sum("[" in p or "]" in p for p in prompts), expected))
    if data.size == NATIVE:
        rows += _sizes([finding.size for finding in findings if finding.error is None])
    rows.append(Count(f"prompts over {CLIP_TOKENS} CLIP tokens (cut off there)", sum(map(_too_long, prompts)), 0))
    return rows, bad


def _sizes(found: list[tuple[int, int]]) -> list[Count]:
    """The smallest and the largest side, and the sizes that most pictures have."""
    if not found:
        return []
    counts = Counter(found).most_common()
    rows = [Count("shortest side", min(map(min, found))), Count("longest side", max(map(max, found)))]
    rows += [Count(f"pictures of {width}x{height} px", n) for (height, width), n in counts[:_SHOWN]]
    others = sum(n for _, n in counts[_SHOWN:])
    return [*rows, *([Count(f"pictures of {len(counts) - _SHOWN} other sizes", others)] if others else [])]


_SHOWN = 8


def _findings(data: EditData, limit: int | None) -> Iterator[Finding]:
    for found, bad in read(data, range(len(data.ids[:limit])), _AT_ONCE, _inspect):
        yield from found
        yield from (Finding(id_, entry["error"]) for id_, entry in bad.items())


_AT_ONCE = 8


def _inspect(data: EditData, index: int) -> Finding:
    """What one sample is like; the pictures are let go of. Raises: BadSample: it cannot be read."""
    sample = own.sample(data, index)
    bare = sample.lacks_captions
    texts = (sample.instruction,) if bare else (sample.source, sample.target)
    prompts = tuple(text for text in texts if isinstance(text, str))
    found = Finding(sample.id, prompts=prompts, size=sample.image.shape[1:], bare=bare)
    if sample.mask is None:
        return found
    inner = sample.mask[1:-1, 1:-1]
    return replace(found, masked=True, whole=bool(sample.mask.all()), empty=not inner.any())


def _too_long(prompt: str) -> bool:
    """By CLIP's own tokenizer, which open_clip brings along; most prompts are too short to need it."""
    if len(prompt.encode()) <= CLIP_TOKENS - 2:
        return False
    from open_clip.tokenizer import SimpleTokenizer

    global _tokenizer
    _tokenizer = _tokenizer or SimpleTokenizer()
    return len(_tokenizer.encode(prompt)) > CLIP_TOKENS - 2


_tokenizer = None
