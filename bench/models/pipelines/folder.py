"""A folder that a pipeline of diffusers is made of: which files it is, whether they are whole, and what may be called.
No torch until it is loaded."""

from typing import TYPE_CHECKING, Any

from bench.errors import UserError
from bench.files.hashing import sha256
from bench.files.tensors import configuration
from bench.models.checkpoint import Checkpoint
from bench.models.folder import INDEX, UNTRAINED, located
from bench.models.pipelines import arguments, classes
from bench.models.pipelines.parts import Parts

if TYPE_CHECKING:
    import torch

    from bench.models.pipelines.running import RunningPipeline

_LEDITS = ("LEditsPPPipelineStableDiffusion", "LEditsPPPipelineStableDiffusionXL")
_SDE = {"algorithm_type": "sde-dpmsolver++", "solver_order": 2}
"""What LEDITS++ can invert with."""


class PipelineFolder(Checkpoint):
    """A folder in diffusers' format, local or in the hub's cache, as one of diffusers' own pipelines uses it. No code
    of the folder is run, and nothing is downloaded.

    Args:
        path: a local folder, or a hub id that has been downloaded before.
        pipeline: class of diffusers; None: the one that the folder is made for.
        folders: classes of other folders that the pipeline may be made of; None: of none.
        scheduler: class of diffusers that is made of the scheduler's numbers in place of the folder's own.
        multiple: pixels that a side of a picture must be a multiple of.
        gated: whether the hub asks for a licence to be accepted.

    Raises:
        UserError: there is no such pipeline, or something that it is made of is missing, of another kind or not whole.
    """

    offers = "pipeline"
    offloads = True

    def __init__(
        self,
        path: str | None,
        pipeline: str | None = None,
        folders: list[str] | None = None,
        scheduler: str | None = None,
        multiple: int = 1,
        gated: bool = False,
    ):
        kind = classes.find(pipeline) if pipeline else None  # a misspelt name before a folder that is not here
        if scheduler:
            classes.check_scheduler(scheduler)
        if path is None:
            raise UserError("model.path is not set; expected the folder or hub id of a pipeline of diffusers")
        first = "accept the licence on the model's page, then `hf auth login`, then" if gated else "get it with"
        self.folder = located(path, f"{first} `hf download {path}`")
        self.multiple, self.scheduler = multiple, scheduler
        index = configuration(self.folder / INDEX)
        own = index.get("_class_name")
        if not isinstance(own, str):
            raise UserError(f"{self.folder / INDEX} names code of its own ({own}), which is never run; {Parts.again}")
        self.kind = kind or classes.find(own)
        self._check_folder(own, folders or [])
        self.parts = Parts(self.folder, index, self.kind)
        self._check_scheduler()
        self.notice = UNTRAINED if self.parts.untrained else None

    def _check_folder(self, own: str, others: list[str]) -> None:
        name = self.kind.name
        if own not in (name, *others):
            raise UserError(
                f"model folder {self.folder} is made for {own}; expected {' or '.join([name, *others])}: choose "
                f"another model.path, or, if {name} is to be made of it, set model.folders=[{own}]"
            )

    def _check_scheduler(self) -> None:
        """LEDITS++ keeps two kinds of scheduler as they are, with which most of their settings make its `invert`
        fail, and replaces every other one."""
        if self.kind.name not in _LEDITS or "scheduler" not in self.parts.names:
            return
        name = self.scheduler or self.parts.entry("scheduler")[1]
        found = self.parts.config["scheduler"] | ({"algorithm_type": "dpmsolver++"} if self.scheduler else {})
        sound = name == "DPMSolverMultistepScheduler" and found.items() >= _SDE.items()
        if name in ("DDIMScheduler", "DPMSolverMultistepScheduler") and not sound:
            raise UserError(
                f"{self.kind.name} cannot invert with {name} in diffusers {classes.version()} but as sde-dpmsolver++ "
                "of order 2; set model.scheduler=PNDMScheduler, in place of which it makes that one"
            )

    @property
    def size(self) -> int:
        parts = self.parts
        side, config = parts.config[parts.denoisers[0]].get("sample_size"), parts.config.get("vae", {})
        if type(side) is not int or not isinstance(config.get("block_out_channels"), list):
            raise UserError(f"model folder {self.folder} does not say at which size it edits; set data.size=")
        return side * 2 ** (len(config["block_out_channels"]) - 1)

    def identity(self) -> dict[str, Any]:
        """Class, version of diffusers, and SHA-256 of every file that decides what it computes."""
        return {
            "pipeline": self.kind.name,
            "diffusers": classes.version(),
            "scheduler": self.scheduler,
            "files": {str(file.relative_to(self.folder)): sha256(file) for file in self.parts.files()},
        }

    def told(self, size: int) -> str:
        """What tables must say of it."""
        return f"{self.kind.name} of diffusers {classes.version()}"

    def check_size(self, size: int) -> None:
        """Raises UserError where pictures of `size` pixels a side cannot be taken."""
        if size % self.multiple:
            raise UserError(
                f"pictures of {size}x{size} px; {self.kind.name} takes multiples of {self.multiple}: set data.size"
            )

    def check_method(self, method: dict[str, Any]) -> None:
        """Raises UserError where the pipeline cannot be called as a resolved method configuration says."""
        arguments.check(arguments.of(method), self.kind)

    def load(self, device: "torch.device", dtype: "torch.dtype") -> "RunningPipeline":
        from bench.models.pipelines.running import RunningPipeline

        return RunningPipeline.load(self.parts, self.scheduler, self.multiple, device, dtype)
