"""How a pipeline's arguments are made of a sample: texts that start with `sample.` stand for what it holds, at any
depth; everything else is a constant. No torch."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bench.errors import BadSample, UserError, nearest
from bench.models.pipelines.classes import CALL, Function, PipelineClass
from bench.types import Calls, EditSample

START = "sample."
OURS = ("generator", "output_type", "return_dict")
"""Arguments that the run says."""
_PICTURE = re.compile("(?<!ip_adapter_)(?:image|images|image_prompt)$")


class Word(NamedTuple):
    """What a word stands for, said and taken of a sample; None where the sample lacks it."""

    means: str
    take: Callable[[EditSample], Any]


WORDS = {
    "image": Word("picture", lambda sample: sample.image),
    "source": Word("source caption", lambda sample: sample.source),
    "target": Word("target text", lambda sample: sample.target),
    "instruction": Word("instruction", lambda sample: sample.instruction or None),
    "mask": Word("mask", lambda sample: sample.mask),
    "source_word": Word("word of the source that is edited", lambda sample: (sample.blend or ("", ""))[0] or None),
    "target_word": Word("word of the target that carries the edit", lambda s: (s.blend or ("", ""))[1] or None),
    "width": Word("width", lambda sample: sample.image.shape[2]),
    "height": Word("height", lambda sample: sample.image.shape[1]),
}


def of(method: dict[str, Any]) -> Calls:
    """The calls of a resolved method configuration.

    Raises:
        UserError: they are no tables of arguments.
    """
    before, call = method.get("before") or {}, method.get("call")
    for name, node in {"before": before, "call": call, **_named(before)}.items():
        if not isinstance(node, dict):
            raise UserError(f"method.{name}={node}, expected arguments such as {{image: sample.image}}")
    return {**before, CALL: call}


def _named(before: Any) -> dict[str, Any]:
    return {f"before.{name}": node for name, node in before.items()} if isinstance(before, dict) else {}


def check(calls: Calls, kind: PipelineClass) -> None:
    """Raises UserError where a pipeline cannot be called so: for a function or an argument that it does not have, one
    that is left out, a word that no sample has, or where nothing is handed the picture."""
    taken = [_check(name, arguments, kind) for name, arguments in calls.items()]
    if not any(word == "image" for words in taken for word in words):
        raise UserError(f"nothing of what {kind.name} is called with is sample.image, the picture to edit")


def filled(calls: Calls, sample: EditSample) -> Calls:
    """The calls with what the sample holds: pictures uint8 `[3, H, W]`, masks bool `[H, W]`, texts and numbers.

    Raises:
        BadSample: it lacks something.
    """
    return {
        name: {argument: _filled(value, sample, _knob(name, argument)) for argument, value in arguments.items()}
        for name, arguments in calls.items()
    }


def _filled(value: Any, sample: EditSample, knob: str) -> Any:
    if isinstance(value, Mapping):
        return {name: _filled(one, sample, knob) for name, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_filled(one, sample, knob) for one in value]
    if not (isinstance(value, str) and value.startswith(START)):
        return value
    word = WORDS[value.removeprefix(START)]
    found = word.take(sample)
    if found is None:
        raise BadSample(f"has no {word.means}, which {knob} takes")
    if word.means.endswith(("caption", "text")) and not isinstance(found, str):
        raise BadSample(f"{knob} takes text and got the class index {found}; set data.queries=names")
    return found


def _check(name: str, arguments: dict[str, Any], kind: PipelineClass) -> list[str]:
    """The words among the arguments of one call."""
    function = kind.functions.get(name)
    if function is None:
        known = [one for one in kind.functions if not one.startswith("_")]
        raise UserError(f"method.before.{name}: {kind.name} has no function {name!r}; {nearest(name, known)}")
    known = {one: said for one, said in function.takes.items() if one not in OURS}
    for argument, value in arguments.items():
        if argument in OURS:
            raise UserError(f"{_knob(name, argument)} is said by the run itself; leave it out")
        if argument not in known:
            raise UserError(f"{_knob(name, argument)}: {_no_argument(argument, known, kind, name)}")
        for word in _words(value):
            if word not in WORDS:
                offer = nearest(START + word, [START + one for one in WORDS])
                raise UserError(f"{_knob(name, argument)}={START}{word} is nothing that a sample holds; {offer}")
            if word in ("image", "mask") and known[argument] and not re.search("mage|Mask", known[argument]):
                raise UserError(
                    f"{_knob(name, argument)}={START}{word}: {kind.name} takes no picture there, but {known[argument]}"
                )
    for needed in _needed(function):
        if needed not in arguments:
            raise UserError(f"{_knob(name, needed)} is left out, which {kind.name} needs; set +{_knob(name, needed)}=")
    return [word for value in arguments.values() for word in _words(value)]


def _needed(function: Function) -> list[str]:
    """Arguments without a default, and the prompt, whose default is none."""
    return [*function.needs, *(["prompt"] if "prompt" in function.takes and "prompt" not in function.needs else [])]


def _no_argument(argument: str, known: dict[str, str], kind: PipelineClass, name: str) -> str:
    if _PICTURE.search(argument) and name == CALL and not any(map(_PICTURE.search, known)):
        return f"{kind.name} takes no picture there; expected a pipeline that edits one"
    return f"{kind.name} takes no {argument!r} there; {nearest(argument, list(known))}"


def _words(value: Any) -> Iterator[str]:
    """The words in a value, without their start."""
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _words(one)
    elif isinstance(value, str) and value.startswith(START):
        yield value.removeprefix(START)


def _knob(name: str, argument: str) -> str:
    return f"method.call.{argument}" if name == CALL else f"method.before.{name}.{argument}"
