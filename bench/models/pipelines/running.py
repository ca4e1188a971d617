"""A pipeline of diffusers at work."""

import copy
import inspect
import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import diffusers
import numpy as np
import torch
import transformers
from PIL import Image

from bench.errors import BadSample, NotFinite, UserError
from bench.models.loading import strict
from bench.models.offload import layer_by_layer
from bench.models.pipelines import arguments
from bench.models.pipelines.classes import CALL
from bench.models.pipelines.parts import Parts
from bench.types import Calls, EditSample

_OFF = {
    **dict.fromkeys(("safety_checker", "watermarker", "feature_extractor")),
    **dict.fromkeys(("requires_safety_checker", "add_watermarker"), False),
}
"""What of a pipeline would change pictures after they are made."""


class RunningPipeline:
    """Implements `bench.types.PipelineModel`.

    Args:
        pipeline: of diffusers, on its device.
        denoisers: names of its networks whose evaluations are counted.
        multiple: pixels that a side of a picture must be a multiple of.
    """

    def __init__(self, pipeline: diffusers.DiffusionPipeline, denoisers: list[str], multiple: int = 1):
        self.pipeline, self.multiple, self.rows = pipeline, multiple, 0
        self._scheduler, self._sound = getattr(pipeline, "scheduler", None), []
        pipeline.set_progress_bar_config(disable=True)
        self.networks = [getattr(pipeline, name) for name in denoisers]
        for network in self.networks:
            network.register_forward_hook(self._count, with_kwargs=True)

    @classmethod
    def load(
        cls, parts: Parts, scheduler: str | None, multiple: int, device: torch.device, dtype: torch.dtype
    ) -> "RunningPipeline":
        """Reads the parts of a folder, networks strictly and in one dtype.

        Args:
            scheduler: class that is made of the scheduler's numbers in place of the folder's own.

        Raises:
            UserError: a network lacks parameters that its architecture has, or the parts do not fit together.
        """
        kind, takes = getattr(diffusers, parts.kind.name), parts.kind.parts.takes
        given: dict[str, Any] = {name: off for name, off in _OFF.items() if name in takes and name not in parts.names}
        for name in parts.weights:
            library, network = parts.entry(name)
            home = {"diffusers": diffusers, "transformers": transformers}.get(library)
            home = home or getattr(diffusers.pipelines, library)
            word = "dtype" if library == "transformers" else "torch_dtype"
            given[name] = strict(parts, getattr(home, network), name, **{word: dtype}).to(device)
        if scheduler:
            given["scheduler"] = getattr(diffusers, scheduler).from_config(parts.config["scheduler"])
        try:
            with _heard():
                made = kind.from_pretrained(parts.folder, local_files_only=True, use_safetensors=True, **given)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{parts.folder} makes no {kind.__name__} ({reason}); {parts.again}") from error
        if hasattr(made, "watermark"):
            made.watermark = None
        return cls(made.to(device), parts.denoisers, multiple)

    def offload(self, how: str, device: torch.device) -> None:
        """Has networks that were loaded on the host work on a device, as the pipeline itself orders them.

        Args:
            how: `model`: one after the other; `sequential`: layer after layer.
        """
        if how == "model":
            self.pipeline.enable_model_cpu_offload(device=device)
        else:
            for part in self.pipeline.components.values():
                if isinstance(part, torch.nn.Module):
                    layer_by_layer(part, device)

    def fill(self, call: Mapping[str, Any], before: Mapping[str, Mapping[str, Any]], sample: EditSample) -> Calls:
        height, width = sample.image.shape[-2:]
        if height % self.multiple or width % self.multiple:
            raise BadSample(
                f"its picture has {width}x{height} px; {type(self.pipeline).__name__} takes multiples of "
                f"{self.multiple}: set data.size"
            )
        return arguments.filled({**before, CALL: call}, sample)

    def edit(self, calls: Calls, generator: torch.Generator) -> tuple[torch.Tensor, dict[str, Any]]:
        self._sound = []
        with self._kept(generator), _heard() as said:
            for name, taken in calls.items():
                result = self._ask(name, {one: _for_library(value) for one, value in taken.items()}, generator)
        if self._sound and not torch.stack(self._sound).all():
            raise NotFinite("denoiser's answers", [0], 1, "NaN or infinity")
        return self._picture(result), {"said": "; ".join(dict.fromkeys(said))} if said else {}

    def _ask(self, name: str, taken: dict[str, Any], generator: torch.Generator) -> Any:
        function = self.pipeline if name == CALL else getattr(self.pipeline, name)
        takes = inspect.signature(function).parameters
        ours = {"generator": generator, "output_type": "np"} if name == CALL else {"generator": generator}
        return function(**taken, **{one: value for one, value in ours.items() if one in takes})

    def _picture(self, result: Any) -> torch.Tensor:
        images = getattr(result, "images", None)
        if images is None or np.ndim(images[0]) != 3 or len(images) != 1:
            raise UserError(
                f"{type(self.pipeline).__name__} gives a {type(result).__name__}; expected one picture of its call"
            )
        pixels = torch.from_numpy(np.asarray(images[0], np.float32))
        if not pixels.isfinite().all():
            raise NotFinite("pixels", [0], 1, "NaN or infinity after decoding")
        return (pixels.clamp(0, 1) * 255).round().to(torch.uint8).permute(2, 0, 1)

    def _count(self, network: torch.nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> None:
        """Rows of what the denoiser was asked with, and whether it answered with numbers."""
        asked = args[0] if args else next(kwargs[one] for one in ("sample", "hidden_states", "x") if one in kwargs)
        self.rows += len(asked)
        answer = output[0]
        self._sound += [one.isfinite().all() for one in (answer if isinstance(answer, list | tuple) else [answer])]

    @contextmanager
    def _kept(self, generator: torch.Generator) -> Iterator[None]:
        """Afterwards the pipeline is as it was, whatever it keeps of a picture; what it draws without a generator is
        drawn of the sample's, too."""
        before = dict(vars(self.pipeline))
        steered = [network for network in self.networks if hasattr(network, "set_attn_processor")]
        processors = [dict(network.attn_processors) for network in steered]
        device = self.pipeline._execution_device  # not where its networks wait
        devices = [device] if device.type == "cuda" else []
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(devices))
            torch.manual_seed(generator.initial_seed())
            if self._scheduler is not None:
                self.pipeline.scheduler = copy.deepcopy(self._scheduler)
            try:
                yield
            finally:
                vars(self.pipeline).clear()
                vars(self.pipeline).update(before)
                for network, own in zip(steered, processors, strict=True):
                    network.set_attn_processor(own)


def _for_library(value: Any) -> Any:
    """Pictures and masks as PIL's; everything else as it is."""
    if isinstance(value, dict):
        return {name: _for_library(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_for_library(one) for one in value]
    if not isinstance(value, np.ndarray):
        return value
    return Image.fromarray(value.astype(np.uint8) * 255 if value.ndim == 2 else value.transpose(1, 2, 0))


class _Listener(logging.Handler):
    """Keeps what is said to it."""

    def __init__(self, said: list[str]):
        super().__init__(logging.WARNING)
        self.said = said

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(" ".join(record.getMessage().split()))


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What diffusers warns of meanwhile, such as a prompt that is cut, in place of printing it, whatever was chosen to
    be printed; what its tokenizers say of the same, once a process, is left out."""
    said: list[str] = []
    listeners = {"diffusers": _Listener(said), "transformers": logging.NullHandler()}
    printing = [(logger := logging.getLogger(name), logger.handlers[:], logger.level) for name in listeners]
    for logger, _, _ in printing:
        logger.handlers[:] = [listeners[logger.name]]
        logger.setLevel(logging.WARNING)
    try:
        yield said
    finally:
        for logger, handlers, level in printing:
            logger.handlers[:] = handlers
            logger.setLevel(level)
