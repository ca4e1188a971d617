"""Models in diffusers' folder format: where the folder is, whether it is whole, and what it hashes to. No torch."""

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from bench.diffusion.grid import leading
from bench.errors import UserError
from bench.files import hub, parts
from bench.files.hashing import sha256
from bench.files.paths import find
from bench.files.tensors import configuration, header
from bench.models import schedule
from bench.models.checkpoint import Checkpoint
from bench.types import Geometry

UNTRAINED = "random (untrained) weights, comparable with no paper"
_ONE = {"F64": b"\0\0\0\0\0\0\xf0\x3f", "F32": b"\0\0\x80\x3f", "F16": b"\0\x3c", "BF16": b"\x80\x3f"}
"""The number 1 in each type of float, as safetensors stores it."""
INDEX = "model_index.json"
_FAMILIES = {
    "StableDiffusionXL": "a Stable Diffusion XL model",
    "StableDiffusion3": "a Stable Diffusion 3 model",
    "StableDiffusionInpaint": "a Stable Diffusion inpainting model",
    "StableDiffusionUpscale": "a Stable Diffusion upscaler",
    "StableDiffusionInstructPix2Pix": "an InstructPix2Pix model (model=instruct_pix2pix)",
    "StableDiffusion": "a Stable Diffusion 1 or 2 model (model=sd14)",
    "Flux2": "a FLUX.2 model",
    "Flux": "a FLUX model",
    "DiT": "a DiT model (model=dit256)",
    "Kandinsky": "a Kandinsky model",
    "PixArt": "a PixArt model",
    "QwenImage": "a Qwen-Image model",
}
"""Start of a pipeline's class name -> what such a folder is, and the word for it; the first that fits."""

_WORDS = {"StableDiffusionXLPipeline": "sdxl", "StableDiffusion3Pipeline": "sd3", "FluxPipeline": "flux"}
"""A pipeline's class -> the word for such a folder, where the family does not say it."""


class DiffusersFolder(Checkpoint):
    """A folder with `model_index.json` and a subfolder for each part; a kind of model says which parts it reads.

    Args:
        path: a local folder, or a hub id that has been downloaded before. Nothing is ever downloaded here: a run that
            starts should not turn into hours of transfer, and its model should be the same tomorrow.

    Raises:
        UserError: it is not there, is of another family, or something that is read of it is missing or not whole.
    """

    takes: ClassVar[str]
    """What the kind is called in messages."""
    pipelines: ClassVar[tuple[str, ...]]
    """Classes of `model_index.json` that it can load."""
    networks: ClassVar[dict[str, tuple[str, ...]]]
    """Parts with weights -> keys that their `config.json` must have; the first is the denoiser."""
    scheduler: ClassVar[tuple[str, ...] | None] = ()
    """Keys that the scheduler's configuration must have; None: there is none."""
    predictions: ClassVar[tuple[str, ...]] = ("epsilon",)
    """What the denoiser may predict, in a scheduler's words."""
    tokenizers: ClassVar[tuple[str, ...]] = ()
    autoencoder: ClassVar[str | None] = None
    """The part of `networks` on whose latents the denoiser works; None: on pixels."""
    official: ClassVar[dict[str, dict[str, Any]]] = {}
    """`config` as far as `geometry` depends on it, where the files are not here."""

    def __init__(self, path: str):
        self.folder = self.locate(path)
        names = [*self.networks, *self.tokenizers, *(["scheduler"] if self.scheduler is not None else [])]
        for part in names:
            if not (self.folder / part).is_dir():
                raise UserError(f"model folder {self.folder} has no {part}/; expected the folders {', '.join(names)}")
        again = self.again
        files = {part: (self.folder / part / "config.json", keys) for part, keys in self.networks.items()}
        self.config = {part: configuration(file, keys, again) for part, (file, keys) in files.items()}
        if self.scheduler is not None:
            file = self.folder / "scheduler/scheduler_config.json"
            self.schedule = configuration(file, self.scheduler, again)
            self.check_schedule(file)
        for part, config in self.config.items():
            _check_numbers(config, self.folder / part / "config.json")
        self.weights = {part: parts.weights(self.folder / part, again=again) for part in self.networks}
        for part in self.tokenizers:
            configuration(self.folder / part / "tokenizer_config.json", (), again)
            parts.check_vocabulary(self.folder / part)
        headers = {part: {file: header(file, again) for file in files} for part, files in self.weights.items()}
        self.notice = UNTRAINED if untrained(headers[self.denoiser()]) else None

    def check_schedule(self, file: Path) -> None:
        """Raises UserError where samplers cannot work with `self.schedule`, which `file` holds."""
        self.alphas_cumprod = schedule.alphas_cumprod(self.schedule, file)
        if (found := self.schedule.get("prediction_type", "epsilon")) not in self.predictions:
            raise UserError(f"{file} has prediction_type {found!r}; expected {' or '.join(self.predictions)}")

    @property
    def offloads(self) -> bool:
        return self.autoencoder is not None

    @property
    def again(self) -> str:
        """How to get files in place of damaged ones."""
        return "download the model again"

    @classmethod
    def denoiser(cls) -> str:
        """The part that is asked at each step."""
        return next(iter(cls.networks))

    @property
    def size(self) -> int:
        side = self.config[self.denoiser()].get("sample_size")
        if isinstance(side, bool) or not isinstance(side, int):
            raise UserError(
                f"{self.folder}/{self.denoiser()}/config.json has sample_size {side}, not the side of a square; set "
                "data.size="
            )
        return side * self.factor(self.config)

    def check_size(self, size: int) -> None:
        """Raises UserError where pictures of `size` pixels a side cannot be taken."""
        if size % self.multiple:
            raise UserError(
                f"pictures of {size}x{size} px; this model takes multiples of {self.multiple}: set data.size or "
                "model.size"
            )

    @property
    def multiple(self) -> int:
        """Pixels that a side of a picture must be a multiple of."""
        return self.factor(self.config)

    @classmethod
    def factor(cls, config: dict[str, Any]) -> int:
        """Pixels along a side of a cell of the latents."""
        return 2 ** (len(config[cls.autoencoder]["block_out_channels"]) - 1) if cls.autoencoder else 1

    @classmethod
    def geometry(cls, size: int, path: str, **knobs: Any) -> Geometry:
        try:
            config = cls(path, **knobs).config
        except UserError:
            config = cls.stated(path)
        part, key = (cls.autoencoder, "latent_channels") if cls.autoencoder else (cls.denoiser(), "in_channels")
        geometry = Geometry(-(-size // cls.factor(config)), config[part][key])
        return replace(geometry, **cls.more(config))

    @classmethod
    def stated(cls, path: str) -> dict[str, Any]:
        """The configuration of a folder that is not here."""
        return cls.official

    @classmethod
    def more(cls, config: dict[str, Any]) -> dict[str, Any]:
        """What else a kind of model says of its geometry."""
        return {}

    def locate(self, path: str) -> Path:
        """The folder, if it is of this kind. Raises: UserError: it is not, or not there."""
        folder = located(path, self.fetch(path))
        kind, what = family(folder)
        if kind not in self.pipelines:
            whole = "" if "(model=" in what else ", or method=pipeline for a whole pipeline"
            instead = f", or model={_WORDS[kind]}" if kind in _WORDS else whole
            raise UserError(f"model folder {folder} is {what}; expected {self.takes}{instead}")
        return folder

    @classmethod
    def fetch(cls, path: str) -> str:
        """How a model that is not here is got, by its hub id."""
        return f"get it with `hf download {path}`"

    def identity(self) -> dict[str, Any]:
        """SHA-256 of every file that decides what the model computes."""
        files = [file for shards in self.weights.values() for file in shards]
        files += [self.folder / part / "config.json" for part in self.networks]
        files += [self.folder / "scheduler/scheduler_config.json"] if self.scheduler is not None else []
        for part in self.tokenizers:
            files += sorted(f for f in (self.folder / part).iterdir() if f.suffix in (".json", ".txt", ".model"))
        return {"files": {str(file.relative_to(self.folder)): sha256(file) for file in files}}

    def check_steps(self, steps: int) -> None:
        """Raises UserError where a sampler of so many steps would go beyond what the model was trained on."""
        if self.scheduler is not None:
            leading(steps, self.alphas_cumprod)

    def variant(self, part: str) -> str | None:
        """Variant of a part's weights, as diffusers' and transformers' loaders are told it."""
        return parts.variant(self.weights[part][0])


def located(path: str, fetch: str) -> Path:
    """A folder in diffusers' format, local or in the hub's cache. Raises: UserError: it is none, or not there."""
    folder = find(path) or hub.snapshot(path, INDEX)
    if folder is None:
        is_id = path.count("/") == 1 and not path.startswith((".", "/"))
        raise UserError(
            f"model {path} is not here: sought as a folder and in the hub cache {hub.place()}; "
            + (f"{fetch}, or give a local folder with model.path=" if is_id else "give model.path=")
        )
    if not folder.is_dir():
        raise UserError(f"model.path={path} is a file; expected a diffusers folder with {INDEX}")
    if not (folder / INDEX).is_file():
        raise UserError(f"model folder {folder} has no {INDEX}; expected a diffusers folder")
    return folder


def family(folder: Path) -> tuple[str, str]:
    """Class of a diffusers folder's pipeline, and what such a folder is in words."""
    kind = str(configuration(folder / INDEX).get("_class_name"))
    return kind, next((said for start, said in _FAMILIES.items() if kind.startswith(start)), f"made for {kind}")


def _check_numbers(config: dict[str, Any], file: Path) -> None:
    """Raises UserError for what is no number, or no list of numbers, where one belongs."""
    for key in _COUNTS & config.keys():
        if config[key] is None and key in ("vq_embed_dim", "out_channels"):  # as many as the latents or the input have
            continue
        if type(config[key]) is not int or config[key] < 1:
            raise UserError(f"{file} has {key} {config[key]!r}; expected a whole number of at least 1")
    widths = config.get("block_out_channels", [1])
    if not isinstance(widths, list) or not widths or any(type(width) is not int or width < 1 for width in widths):
        raise UserError(f"{file} has block_out_channels {widths!r}; expected a list of whole numbers")
    scale = config.get("scaling_factor", 1)
    if type(scale) not in (int, float) or not 0 < scale < float("inf"):
        raise UserError(f"{file} has scaling_factor {scale!r}; expected a positive number")


_COUNTS = {
    *("in_channels", "out_channels", "latent_channels", "num_embeds_ada_norm", "patch_size", "hidden_size"),
    *("max_position_embeddings", "num_vq_embeddings", "vq_embed_dim", "num_embeddings", "embedding_dim"),
}


def untrained(headers: dict[Path, tuple[dict[str, dict[str, Any]], int]]) -> bool:
    """Whether a network was never trained: in a freshly made one every normalisation has weight 1 and bias 0, which no
    training leaves standing. Only those tensors are read, and no further than the first that was trained.

    A network without normalisations, or one whose random weights were set in another way, is not recognised.

    Args:
        headers: of each of its files, as `bench.files.tensors.header` gives it.
    """
    seen = False
    for file, (tensors, start) in headers.items():  # by hand: safetensors reads bfloat16 through torch only
        with open(file, "rb") as stream:
            for name, entry in tensors.items():
                if not _is_normalisation(name, entry):
                    continue
                seen, one = True, _ONE[entry["dtype"]]
                stream.seek(start + entry["data_offsets"][0])
                fresh = one if name.endswith(".weight") else bytes(len(one))
                if stream.read(len(one) * entry["shape"][0]) != fresh * entry["shape"][0]:
                    return False
    return seen


def _is_normalisation(name: str, entry: dict) -> bool:
    """Scale or shift of a group or layer normalisation, by diffusers' names: `norm1.weight`, `conv_norm_out.bias`."""
    *_, module, kind = ("", *name.split("."))
    scale_or_shift = kind in ("weight", "bias") and len(entry.get("shape", ())) == 1 and entry.get("dtype") in _ONE
    return scale_or_shift and "norm" in module
