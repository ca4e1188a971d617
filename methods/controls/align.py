"""Which tokens of the source prompt a target prompt's tokens correspond to (prompt-to-prompt, section 3). No torch.

A prompt's tokens are `DiffusionModel.tokens`: ids and the characters they stand for, start and end included.
"""

import numpy as np

from bench.errors import BadSample

Tokens = list[tuple[int, str]]
_LEFT, _UP, _DIAGONAL = 1, 2, 3


def positions(prompt: str, tokens: Tokens, word: str | None) -> list[int]:
    """Positions of a word's tokens, wherever it stands between spaces in the prompt; "cat," is not "cat"."""
    return [p for w, found in zip(prompt.split(" "), _words(prompt, tokens), strict=False) if w == word for p in found]


def _words(prompt: str, tokens: Tokens) -> list[list[int]]:
    """Positions of the tokens of each word: a word is full once it has as many characters."""
    words = prompt.split(" ")
    found: list[list[int]] = [[] for _ in words]
    at = length = 0
    for position, (_, characters) in enumerate(tokens[1:-1], 1):
        if at == len(words):
            break
        found[at].append(position)
        length += len(characters)
        if length >= len(words[at]):
            at, length = at + 1, 0
    return found


def refinement(source: Tokens, target: Tokens, context: int) -> tuple[np.ndarray, np.ndarray]:
    """Refine: global alignment (Needleman-Wunsch) of the two prompts' ids; match 1, mismatch -1, gap 0.

    Returns:
        `mapper` int `[context]`: the source token that each target token corresponds to, 0 where it has none;
        `found` float64 `[context]`: whether it has one. Padding corresponds to the padding at the same place, and so,
        where the target is shorter, to the source's last words: what the original code does.
    """
    x, y = ([id_ for id_, _ in tokens] for tokens in (source, target))
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


def replacement(source: str, target: str, source_tokens: Tokens, target_tokens: Tokens, context: int) -> np.ndarray:
    """Replace: word by word; a word of several tokens spreads its map over those of the word that takes its place.

    Returns:
        float64 `[context, context]`: share of each source token (row) in each target token (column). After words of
        unequal numbers of tokens the rest is taken from the same position, not the shifted one: the original's way.

    Raises:
        BadSample: the prompts have different numbers of words.
    """
    old, new = source.split(" "), target.split(" ")
    if len(old) != len(new):
        raise BadSample(
            f"prompts of {len(old)} and {len(new)} words: Replace pairs them word by word; use method.edit=refine"
        )
    places = zip(old, new, _words(source, source_tokens), _words(target, target_tokens), strict=True)
    swaps = [(a, b) for word, other, a, b in places if word != other and a and b]
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
