"""From a composed configuration to the runs it means: values checked, files located, keys made. No torch."""

import itertools
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from bench.config import profile as profiles
from bench.config import validate
from bench.config.instances import instance
from bench.data.own import check_data
from bench.data.preprocess import NATIVE
from bench.data.results import Results
from bench.data.text import check_ids
from bench.edits import identity, transfer
from bench.edits.run import Run
from bench.errors import UserError, one_line
from bench.files import weights
from bench.files.hashing import sha256_of
from bench.files.refused import NotWritten
from bench.files.sources import is_foreign
from bench.files.write import check_writable
from bench.models import checkpoint as checkpoints
from bench.models import compiler
from bench.models.checkpoint import Checkpoint
from bench.types import EditData


def plan(cfg: DictConfig) -> list[Run]:
    """The runs of one job: one for each combination of the method's list-valued knobs.

    Raises:
        UserError: a value out of range, or one sentence for each thing that is missing on this machine.
    """
    resolved = _resolved(cfg)
    _check_out(Path(resolved["out"]))
    method, problems = resolved["method"], []
    checkpoint = data = None
    try:
        node, used = resolved["model"], "model" in method["uses"]
        wanted = (f"method={method['name']}", method.get("needs"), node["name"], resolved["guidance"])
        if used:
            checkpoints.check_fits(checkpoints.kind(node), *wanted)
            checkpoint = checkpoints.make(node)
            checkpoints.check_fits(checkpoint, *wanted)
            compiler.check(checkpoints.compilation(node), checkpoint, resolved["device"], node["offload"])
        resolved["data"]["size"] = picture_size(resolved, checkpoint)
        if checkpoint and checkpoints.compilation(node) and resolved["data"]["size"] == NATIVE:
            raise UserError("model.compile compiles anew for each size of pictures: leave it or data.size=native out")
        if resolved["model"]["size"] == resolved["data"]["size"] or not used:
            resolved["model"]["size"] = None
    except UserError as error:
        problems.append(str(error))
        resolved["data"]["size"] = resolved["data"]["size"] or SOME_SIZE  # what else is wrong is said too
    try:
        data = make_data(resolved["data"])
    except UserError as error:
        problems.insert(0, str(error))
    if lacking := weights.missing(resolved["metrics"]):
        free = profiles.without_weights(resolved["metrics"])
        alone = f"metrics.columns=[{','.join(free)}]" if free else "metrics=pixel"
        problems += [*lacking, f"or choose {alone}, which needs no weights"]
    problems += weights.missing(_towers(method), "model.{}.path")
    if problems:
        raise UserError("\n".join(problems))
    if not data.ids:
        raise UserError(
            f"data={resolved['data']['name']} lists no sample with these options; loosen data.types or .filter"
        )
    if checkpoint:  # kept in the run's config.yaml, so that a run that was moved away from its model says it too
        resolved["model"]["notice"] = notice(resolved, checkpoint)
        if hasattr(checkpoint, "check_size") and (size := editing_size(resolved)) != NATIVE:
            checkpoint.check_size(size)
    points = [_at(resolved, point) for point in expand(method)]
    if checkpoint and hasattr(checkpoint, "check_steps"):
        for steps in {point["method"].get("steps") for point in points} - {None}:
            checkpoint.check_steps(steps)
    if checkpoint and hasattr(checkpoint, "check_method"):
        for point in points:
            checkpoint.check_method(point["method"])
    return [_run(point, data, checkpoint) for point in points]


def _check_out(out: Path) -> None:
    try:
        check_writable(out)
    except NotWritten as error:
        raise UserError(
            f"cannot create the output folder out={out}, or write into it: {error.why}; mend that or choose another "
            "with out="
        ) from error


SOME_SIZE = 64
"""Pixels a side of a data set that is only listed, where nothing names a size."""


def picture_size(resolved: dict[str, Any], checkpoint: Checkpoint | None = None) -> int | str:
    """Pixels a side of the data set, or `native`: its own option, else what the model edits at or was made for, as its
    configuration or its files say, which are looked for only then.

    Raises:
        UserError: they are not there, or do not say.
    """
    node = resolved["model"]
    stated = resolved["data"]["size"] or node["size"] or node.get("made_for")
    return stated or (checkpoint or checkpoints.make(node)).size


def editing_size(resolved: dict[str, Any]) -> int | str:
    """Pixels a side at which a model edits, of a configuration that says the data's, or `native`."""
    return resolved["model"]["size"] or resolved["data"]["size"]


def notice(resolved: dict[str, Any], checkpoint: Checkpoint) -> str | None:
    """What every table and plot made with a model must say: what its configuration says, and what its files show."""
    said = [resolved["model"]["notice"], getattr(checkpoint, "notice", None)]
    if hasattr(checkpoint, "told"):
        said.append(checkpoint.told(editing_size(resolved)))
    said.append(_sizes(resolved["data"]["size"], resolved["model"]["size"], checkpoint))
    return "; ".join(dict.fromkeys(filter(None, said))) or None


def _sizes(data: int | str, model: int | None, checkpoint: Checkpoint) -> str | None:
    """At which sizes pictures are edited and scored, where that is not one."""
    if data == NATIVE:
        area = f" at about {model}x{model} px," if model else ""
        multiple = getattr(checkpoint, "multiple", 8)
        return f"pictures of their own sizes, edited{area} down to multiples of {multiple} px"
    return f"edited at {model} px, scored at {data} px" if model else None


def points(cfg: DictConfig) -> list[dict[str, Any]]:
    """The resolved configuration of each operating point of one job, of which nothing need be on this machine.

    Raises:
        UserError: a value out of range.
    """
    resolved = _resolved(cfg)
    return [_at(resolved, point) for point in expand(resolved["method"])]


def _resolved(cfg: DictConfig) -> dict[str, Any]:
    try:
        resolved: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise UserError(f"{error.full_key} is not set; expected a class of your own, such as my_module.Mine") from None
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key}: {one_line(error.msg)}") from None
    validate.check(resolved)
    resolved["metrics"] = profiles.chosen(resolved["metrics"])
    for group in ("data", "model", "method"):
        resolved[group]["name"] = str(resolved[group]["name"])  # data.name=2024
    return resolved


def _at(resolved: dict[str, Any], point: dict[str, Any]) -> dict[str, Any]:
    """The configuration that the scalar command of an operating point would have given.

    Raises:
        UserError: its method cannot run on its model.
    """
    shared = {name: value for name, value in point.items() if isinstance(resolved.get(name), list)}
    found = resolved | shared | {"method": point}
    if difference := transfer.check(found):
        told = "; ".join(filter(None, [found["model"]["notice"], f"transferred: {difference}"]))
        found["model"] = found["model"] | {"notice": told}
    return found


def make_data(node: dict[str, Any], **changed: Any) -> EditData:
    """The data set of a resolved configuration node, with some of its options changed."""
    options = validate.knobs(node) | changed
    for hint in ("mask_reference", "notice"):  # for methods, and for tables
        options.pop(hint, None)
    where = f"data={node.get('name')}"
    try:
        data = instance(options, where)
    except UserError as error:
        if isinstance(error.__cause__, TypeError) and str(options.get("_target_")).startswith("bench."):
            raise UserError(f"{error}; such options are of another version of this program") from None
        raise
    if is_foreign(options["_target_"]):
        check_data(data, where)
    check_ids(data.ids, where)
    return data


def expand(method: dict[str, Any]) -> list[dict[str, Any]]:
    """One method configuration for each combination of its list-valued knobs. Knobs that mean nothing beside the
    others' values (`only`) are null."""
    axes = {name: value for name, value in validate.knobs(method).items() if isinstance(value, list)}
    points = []
    for values in itertools.product(*axes.values()):
        point = method | dict(zip(axes, values, strict=True))
        for knob, groups in method.get("only", {}).items():
            if point[knob] in groups:
                others = {name for value, names in groups.items() if value != point[knob] for name in names}
                point |= dict.fromkeys(others - set(groups[point[knob]]))
        points.append(point)
    return [dict(point) for point in {sha256_of(point): point for point in points}.values()]


def _run(cfg: dict[str, Any], data: EditData, checkpoint: Checkpoint | None) -> Run:
    method = cfg["method"]
    results = Results(method["root"], data) if "results" in method["uses"] else None
    towers = _towers(method)
    hashes, places = weights.fingerprints(towers), weights.located(towers)
    nodes = {name: node["_target_"] for name, node in towers["weights"].items()}
    cfg["method"] = method | {name: {"_target_": kind, "path": str(places[name])} for name, kind in nodes.items()}
    model = checkpoint.identity() if checkpoint else None
    return Run(cfg, data, checkpoint, identity.compose(cfg, data, model, hashes, results), results)


def _towers(method: dict[str, Any]) -> dict[str, Any]:
    """A method's knobs that are networks of their own (`_target_`, and where its weights are), as `bench.files.weights`
    takes them; what they compute depends on their weights' content, not on their path."""
    return {"weights": {k: v for k, v in method.items() if isinstance(v, dict) and "_target_" in v}}
