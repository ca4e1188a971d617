"""Word alignment of prompt-to-prompt by hand (methods.md, section 2); tokens as (id, characters, place)."""

import numpy as np
import pytest

from bench.errors import BadSample
from methods.controls import align

START, END = (1, "", (0, 0)), (2, "", (0, 0))


def tokens(prompt, *pieces):
    """Tokens of a prompt from its pieces in order, each with its place; equal pieces have equal ids."""
    made, at = [START], 0
    for piece in pieces:
        at = prompt.index(piece, at)
        made.append((10 + sum(map(ord, piece)), piece, (at, at + len(piece))))
        at += len(piece)
    return [*made, END]


def refined(source, target, context=8):
    mapper, found = align.refinement(tokens(source, *source.split()), tokens(target, *target.split()), context)
    return [int(m) if f else None for m, f in zip(mapper, found, strict=True)]


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("a cat", "a cat", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("a cat", "a big cat", [0, 1, None, 2, 3, 5, 6, 7]),  # what is added has no source
        ("a big cat", "a cat", [0, 1, 3, 4, 4, 5, 6, 7]),  # what is left out shifts; padding maps to its own place
        ("a cat", "a dog", [0, 1, None, 3, 4, 5, 6, 7]),  # a mismatch costs more than two gaps
        ("cat dog", "dog cat", [0, 2, None, 3, 4, 5, 6, 7]),  # ties, from the end: a target's gap before a source's,
        ("a", "a a", [0, 1, None, 2, 4, 5, 6, 7]),
        ("a a", "a", [0, 1, 3, 3, 4, 5, 6, 7]),  # and a source's before a match
    ],
)
def test_refinement_by_hand(source, target, expected):
    assert refined(source, target) == expected


def test_replacement_of_equal_words_is_the_identity():
    prompt = "a red cat"
    made = tokens(prompt, "a", "red", "cat")
    assert np.array_equal(align.replacement(prompt, prompt, made, made, 6), np.eye(6))


def test_a_word_of_other_length_spreads_its_map():
    """`cat` becomes three tokens, each with a third of its map; what follows is taken from the same position, shifted
    or not."""
    source, target = "a cat sat", "a kangaroo sat"
    old, new = tokens(source, "a", "cat", "sat"), tokens(target, "a", "kan", "ga", "roo", "sat")
    maps = align.replacement(source, target, old, new, 7)
    expected = np.zeros((7, 7))
    expected[0, 0] = expected[1, 1] = 1
    expected[2, 2:5] = 1 / 3
    expected[5, 5] = expected[6, 6] = 1
    assert np.array_equal(maps, expected)


def test_two_tokens_become_one_and_later_words_of_one_length_pair_off():
    """Before the last replaced word positions are shifted, behind it not; and the walk ends with the source's."""
    source, target = "kitty x cat y", "dog x pup y"
    old, new = tokens(source, "kit", "ty", "x", "cat", "y"), tokens(target, "dog", "x", "pup", "y")
    maps = align.replacement(source, target, old, new, 7)
    expected = np.zeros((7, 7))
    expected[0, 0] = 1
    expected[1, 1] = expected[2, 1] = 1  # 1 / (tokens of the target's word)
    expected[3, 2] = expected[4, 3] = 1
    expected[4, 4] = expected[5, 5] = 1
    assert np.array_equal(maps, expected)


def test_replacement_pairs_words_and_refuses_other_numbers_of_them():
    with pytest.raises(BadSample, match="prompts of 2 and 3 words"):
        align.replacement("a cat", "a big cat", tokens("a cat", "a", "cat"), tokens("a big cat", "a", "big", "cat"), 6)


def test_published_positions_count_characters():
    """A word is full once its tokens have as many characters; double spaces make empty words, which take a token."""
    prompt = "a kitten sat"
    made = tokens(prompt, "a", "kit", "ten", "sat")
    assert align.positions(prompt, made, "kitten", "published") == [2, 3]
    assert align.positions(prompt, made, "sat", "published") == [4]
    assert align.positions(prompt, made, "kit", "published") == []
    spaced = "a  kitten sat"
    assert align.positions(spaced, tokens(spaced, "a", "kit", "ten", "sat"), "kitten", "published") == [3, 4]
    assert align.positions(spaced, tokens(spaced, "a", "kit", "ten", "sat"), "kitten", "offsets") == [2, 3]
    twice = "cat and cat"
    assert align.positions(twice, tokens(twice, "cat", "and", "cat"), "cat", "published") == [1, 3]
