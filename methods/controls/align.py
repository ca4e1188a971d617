"""Which tokens of the source prompt a target prompt's tokens correspond to (prompt-to-prompt, section 3). No torch.

Which tokens a word has is told by one of two rules. `offsets`: those that the tokenizer made of its characters.
`published`: the original code's, which splits the prompt at single spaces and counts the tokens' characters, and so is
wrong behind further spaces, curly quotes, other scripts and accents of their own; kept to repeat published runs.
"""

import re
from unicodedata import category, normalize

import numpy as np

from bench.errors import BadSample
from bench.types import Token

_LEFT, _UP, _DIAGONAL = 1, 2, 3
# Thai, Lao, Burmese, Khmer, Hangul, kana, ideographs: words stand side by side, or with endings
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u11ff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ufaff\U00020000-\U0003ffff]"
)


def positions(prompt: str, tokens: list[Token], word: str | None, rule: str = "offsets") -> list[int]:
    """Positions of a word's tokens, wherever it stands in the prompt. By offsets "cat" is in "Cat, “cat” and dog", but
    not in "cats"; as published only between single spaces and as it is written."""
    if not word:
        return []
    if rule == "published":
        found = zip(prompt.split(" "), _counted(prompt, tokens), strict=False)
        return [position for one, places in found if one == word for position in places]
    return sorted({position for span in _spans(prompt, word) for position in _within(tokens, *span)})


def _words(prompt: str, tokens: list[Token], rule: str) -> list[tuple[str, list[int]]]:
    """The words of a prompt with the positions of their tokens."""
    if rule == "published":
        return list(zip(prompt.split(" "), _counted(prompt, tokens), strict=True))
    return [(word[0], _within(tokens, *word.span())) for word in re.finditer(r"\S+", prompt)]


def _counted(prompt: str, tokens: list[Token]) -> list[list[int]]:
    """Positions of the tokens of each word: a word is full once it has as many characters."""
    words = prompt.split(" ")
    found: list[list[int]] = [[] for _ in words]
    at = length = 0
    for position, (_, characters, _) in enumerate(tokens[1:-1], 1):
        if at == len(words):
            break
        found[at].append(position)
        length += len(characters)
        if length >= len(words[at]):
            at, length = at + 1, 0
    return found


def _within(tokens: list[Token], start: int, end: int) -> list[int]:
    """Positions of the tokens that share a character with a part of the prompt."""
    return [position for position, (*_, (a, b)) in enumerate(tokens) if max(a, start) < min(b, end)]


def _spans(prompt: str, word: str) -> list[tuple[int, int]]:
    """Where a word stands in a prompt, letter case and composition of accents aside; in scripts without spaces between
    words, wherever its characters do."""
    pieces = [_plain(character) for character in prompt]
    at = [i for i, piece in enumerate(pieces) for _ in piece]  # the prompt's character behind each of the text's
    text, sought = "".join(pieces), _plain(word.strip())
    found = (match.span() for match in re.finditer(re.escape(sought), text))
    ends = (
        (a, b) for a, b in found if not _joined(text[:a][-1:], text[a]) and not _joined(text[b - 1], text[b : b + 1])
    )
    return [(at[a], at[b - 1] + 1) for a, b in ends]


def _plain(text: str) -> str:
    return normalize("NFD", text.casefold())


def _joined(left: str, right: str) -> bool:
    """Whether two neighbouring characters, either of which may be none, are of one word."""
    if not left or not right:
        return False
    if category(right)[0] == "M" or "\u200d" in (left, right):  # accents; joined emoji
        return True
    return all(c == "_" or (category(c)[0] in "LMN" and not _UNSPACED.match(c)) for c in (left, right))


def refinement(source: list[Token], target: list[Token], context: int) -> tuple[np.ndarray, np.ndarray]:
    """Refine: global alignment (Needleman-Wunsch) of the two prompts' ids; match 1, mismatch -1, gap 0.

    Returns:
        `mapper` int `[context]`: the source token that each target token corresponds to, 0 where it has none;
        `found` float64 `[context]`: whether it has one. Padding corresponds to the padding at the same place, and so,
        where the target is shorter, to the source's last words: what the original code does.
    """
    x, y = ([id_ for id_, *_ in tokens] for tokens in (source, target))
    score = np.zeros((len(x) + 1, len(y) + 1), int)
    trace = np.full(score.shape, _LEFT)
    trace[1:, 0] = _UP
    for i in range(1, len(x) + 1):
        for j in range(1, len(y) + 1):
            # ties go to left, then up, then diagonal
            options = (score[i, j - 1], score[i - 1, j], score[i - 1, j - 1] + (1 if x[i - 1] == y[j - 1] else -1))
            score[i, j] = max(options)
            trace[i, j] = (_LEFT, _UP, _DIAGONAL)[options.index(max(options))]
    mapper, found = np.arange(context), np.ones(context)
    i, j = len(x), len(y)
    while i > 0 or j > 0:
        if trace[i, j] == _DIAGONAL:
            i, j = i - 1, j - 1
            mapper[j] = i
        elif trace[i, j] == _LEFT:
            j -= 1
            mapper[j], found[j] = 0, 0
        else:
            i -= 1
    return mapper, found


def replacement(
    source: str,
    target: str,
    source_tokens: list[Token],
    target_tokens: list[Token],
    context: int,
    rule: str = "offsets",
) -> np.ndarray:
    """Replace: word by word; a word of several tokens spreads its map over those of the word that takes its place.

    Returns:
        float64 `[context, context]`: share of each source token (row) in each target token (column). After words of
        unequal numbers of tokens the rest is taken from the same position, not the shifted one: the original's way.

    Raises:
        BadSample: the prompts have different numbers of words.
    """
    old, new = _words(source, source_tokens, rule), _words(target, target_tokens, rule)
    if len(old) != len(new):
        raise BadSample(
            f"prompts of {len(old)} and {len(new)} words: Replace pairs them word by word; use method.edit=refine"
        )
    swaps = [(a, b) for (word, a), (other, b) in zip(old, new, strict=True) if word != other and a and b]
    mapper, i, j = np.zeros((context, context)), 0, 0
    while i < context and j < context:
        if swaps and swaps[0][0][0] == i:
            a, b = swaps.pop(0)
            if len(a) == len(b):
                mapper[a, b] = 1
            else:
                mapper[np.ix_(a, b)] = 1 / len(b)
            i, j = i + len(a), j + len(b)
        else:
            mapper[i if swaps else j, j] = 1
            i, j = i + 1, j + 1
    return mapper
