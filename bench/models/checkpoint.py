"""What a file `conf/model/<name>.yaml` makes: where a model's files are, whether they are whole, how they are loaded.
No torch: all of it is asked before a run starts, also for a model that is then not needed."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.config import validate
from bench.config.guard import guard
from bench.config.instances import check_identity, find, instance
from bench.errors import UserError
from bench.files.hashing import sha256_of
from bench.files.sources import is_foreign
from bench.models import compiler
from bench.types import DiffusionModel, Geometry, Query

if TYPE_CHECKING:
    import torch

HARNESS = ("size", "made_for", "guidance", "dtype", "compile", "notice", "start_layer", "tower", "queries", "offload")
"""Keys of a model's configuration that the harness reads; every other one is an argument of its class."""

NOT = "none"
"""The word of `model.offload` with which nothing waits on the host."""
OFFERED = {"codes": ("rows", "encode", "decode"), "pipeline": ("rows", "fill", "edit")}
"""What methods take for granted of a kind of model."""
DENOISER = ("size", "rows", "grid", "condition", "encode", "decode", "eps")
"""The same of every other kind."""
KINDS = {
    "denoiser": ("predicts noise or velocity alone", "model=sd14"),
    "flow": ("predicts the velocity of a flow", "model=sd3, model=flux or model=shapes_flow"),
    "beside": ("takes a picture beside the latents", "model=instruct_pix2pix"),
    "variance": ("predicts its own variance beside the noise", "model=adm256"),
    "pipeline": ("is a whole pipeline of diffusers", "model=pipeline"),
    "codes": ("is a VQGAN with CLIP encoders", "model=vqgan_clip"),
}
"""What a model `offers` and a method `needs` -> in words, and what to type to get such a model."""


class Checkpoint(ABC):
    """One model on this machine. Making one must be cheap and download nothing.

    A kind of model is a subclass, named by `_target_`; its arguments are its knobs in the YAML.

    Attributes:
        offers: what of `KINDS` it is; of a class, all that its files may make it.
        family: by which methods state what they mean on models that they were not published for; "" for none.
        guided: whether guidance other than 1 can be asked of it.
        distilled: guidance is one of its inputs, so that it is not negative.
        offloads: whether what it loads has `offload` (see `bench.models.autoencoded`), so that networks can wait on the
            host.
        notice: what every table and plot made with it must say, such as that it was never trained; None for nothing.
        multiple: pixels that a side of a picture must be a multiple of; pictures of their own size are brought to it.
        square: whether it takes squares alone.
    """

    offers: str | tuple[str, ...] = "denoiser"
    family: str = ""
    guided: bool = True
    distilled: bool = False
    offloads: bool = False
    notice: str | None = None
    multiple: int = 8
    square: bool = False

    @property
    @abstractmethod
    def size(self) -> int:
        """Pixels a side it was made for. Raises: UserError: its files do not say."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """All that decides what the model computes, by content and never by place: hashes of files, options."""

    @abstractmethod
    def load(self, device: "torch.device", dtype: "torch.dtype") -> DiffusionModel:
        """The model, ready to run. Raises: UserError: its files do not fit together."""

    @classmethod
    def geometry(cls, size: int, **knobs: Any) -> Geometry:
        """What decides how often a method asks it, with pictures of `size` pixels a side; also where its files are not.

        Args:
            knobs: what the class would be made with.
        """
        return Geometry(max(1, size // 8))


def make(node: dict[str, Any]) -> Checkpoint:
    """The checkpoint of a resolved model configuration.

    Raises:
        UserError: the class does not exist or is none, or files are missing or not whole.
    """
    where = f"model={node['name']}"
    made = instance(arguments(node) | {"_target_": node["_target_"]}, where)
    with guard(where, type(made)):
        if not all(hasattr(made, name) for name in ("load", "identity")):
            raise UserError(
                f"{where}: {node['_target_']} is no checkpoint; expected a class such as "
                "bench.models.checkpoint.Checkpoint"
            )
        if is_foreign(node["_target_"]):
            check_identity(made.identity(), where)
    if (how := node.get("offload", NOT)) != NOT and not getattr(made, "offloads", False):
        raise UserError(f"model.offload={how}, but {where} has no networks that could wait on the host; leave it out")
    return made


def check_fits(
    checkpoint: Checkpoint | type[Checkpoint], who: str, needs: str | None, model: str, guidance: Any
) -> None:
    """Whether something can work with a model at all.

    Args:
        checkpoint: or its class, where its files may not be here.
        who: wants it, such as `method=diffedit`.
        needs: one of `KINDS`; None: denoiser.
        model: what the model is called.
        guidance: as typed or the model's, a scale or a list of them; None: none.

    Raises:
        UserError: it cannot.
    """
    needed, offered = needs or "denoiser", getattr(checkpoint, "offers", "denoiser")
    offered = (offered,) if isinstance(offered, str) else offered
    if needed not in offered:
        (wanted, word), (found, _) = (KINDS.get(kind, (f"is {kind}", "another model")) for kind in (needed, offered[0]))
        raise UserError(f"{who} needs a model that {wanted}; model={model} {found}: use {word}")
    distilled = getattr(checkpoint, "distilled", False)
    if not getattr(checkpoint, "guided", True) and guidance not in (1, [1]):
        no_half, no_input = "has no unconditional half to guide by; leave guidance= out", "is told none; set guidance=1"
        raise UserError(f"guidance={guidance}, expected 1: model={model} {no_input if distilled else no_half}")
    scales = guidance if isinstance(guidance, list) else [guidance]
    if distilled and any(isinstance(one, int | float) and one < 0 for one in scales):
        raise UserError(f"guidance={guidance}, expected at least 0: it is an input of model={model}")
    if "codes" in offered and guidance is not None:
        raise UserError(f"guidance={guidance}, but {who} has no guidance: leave it out")
    if "pipeline" in offered and guidance is not None:
        raise UserError(f"guidance={guidance}, but that of {who} is an argument of the pipeline: set it in method.call")


def arguments(node: dict[str, Any]) -> dict[str, Any]:
    """What a resolved model configuration hands to its class."""
    return {name: value for name, value in validate.knobs(node).items() if name not in (*HARNESS, "_target_")}


def kind(node: dict[str, Any]) -> type[Checkpoint]:
    """The class of a resolved model configuration. Raises: UserError: it does not exist."""
    return find(node["_target_"], f"model={node['name']}")


def geometry(node: dict[str, Any], size: int) -> Geometry:
    """`Checkpoint.geometry` of a resolved model configuration. Raises: UserError: its class does not exist."""
    return getattr(kind(node), "geometry", Checkpoint.geometry)(size, **arguments(node))


_loaded: dict[str, tuple[DiffusionModel, Any]] = {}
"""A model and what reads its prompts, if it has that."""


def load(
    checkpoint: Checkpoint,
    device: "torch.device",
    dtype: "torch.dtype",
    offload: str = NOT,
    queries: Callable[[], list[Query]] | None = None,
    folder: Path | None = None,
    compile_: bool | str = False,
) -> DiffusionModel:
    """`Checkpoint.load`, kept for the next run of a sweep in this process.

    Args:
        offload: a word of `model.offload`.
        queries: finds what the model will be asked. One with a `prompt_reader` has it read all of that, and frees its
            text encoders, before the rest is loaded; one that is kept makes room for it first.
        folder: for what is read, if it is more than memory should hold.
        compile_: `model.compile`; see `bench.models.compiler`.

    Raises:
        UserError: its files do not fit together, or it cannot be compiled here.
    """
    made_by, facts = type(checkpoint), [str(device), str(dtype), offload, compile_]
    key = sha256_of([made_by.__module__, made_by.__qualname__, checkpoint.identity(), *facts])
    model, reader = _loaded.get(key, (None, None))
    asked = queries() if queries and hasattr(checkpoint, "prompt_reader") else None
    if model is not None and asked is not None and reader.unread(asked):
        if offload == NOT:
            model = None
        else:
            reader.read_ahead(asked, folder)
    if model is None:
        compiler.check(compile_, checkpoint, str(device), offload)
        free()  # one model at a time is in memory
        made = _load(checkpoint, device, dtype, offload, reader, asked, folder)
        if compile_:
            from bench.models.compiled import compiled

            compiled(made[0], checkpoint.denoiser(), compile_)
        _loaded[key] = made
        logging.getLogger(__name__).info("loaded %s onto %s", made_by.__qualname__, device)
    return _loaded[key][0]


def compilation(node: dict[str, Any]) -> bool | str:
    """`compile` of a resolved model configuration; false where it does not say."""
    return node.get("compile") or False


def free() -> bool:
    """Lets go of the model that `load` keeps; whether it kept one."""
    kept, is_compiled = bool(_loaded), any(hasattr(model, "compiled") for model, _ in _loaded.values())
    _loaded.clear()
    if is_compiled:
        from bench.models.compiled import forget

        forget()
    return kept


def _load(
    checkpoint: Checkpoint,
    device: "torch.device",
    dtype: "torch.dtype",
    offload: str,
    reader: Any,
    asked: list[Query] | None,
    folder: Path | None,
) -> tuple[DiffusionModel, Any]:
    import torch

    kind = type(checkpoint)
    # Whoever asks for it first, weights must be such that gradients can pass through.
    with guard(f"the model {kind.__name__} cannot be loaded", kind), torch.inference_mode(False):
        if hasattr(checkpoint, "prompt_reader"):
            reader = reader or checkpoint.prompt_reader(device, dtype, offload)
            if asked is not None:
                reader.read_ahead(asked, folder)
        given = (torch.device("cpu") if offload != NOT else device, dtype, *([reader] if reader else []))
        model = checkpoint.load(*given)
        if offload != NOT:
            room = model.offload(offload, device)
            if reader:
                reader.room = room
    offered = OFFERED.get(getattr(checkpoint, "offers", "denoiser"), DENOISER)
    if lacking := [name for name in offered if not hasattr(model, name)]:
        raise UserError(
            f"{kind.__name__}.load gives a {type(model).__name__}, which has no {lacking[0]}; derive it from "
            "bench.models.base.Model"
        )
    return model, reader
