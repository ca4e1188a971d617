"""Pending samples to PNGs."""

import contextlib
import sys
import time
import traceback
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import torch
from hydra.errors import HydraException
from hydra.utils import instantiate
from torch.nn.functional import interpolate
from tqdm import tqdm

from bench.config import validate
from bench.data.reading import read
from bench.diffusion import device as devices
from bench.diffusion.noise import SampleNoise
from bench.edits.folder import Store
from bench.edits.kept import Cache
from bench.edits.plan import Run
from bench.errors import BadSample, UserError
from bench.files.hashing import sha256, sha256_of
from bench.models import checkpoint as checkpoints
from bench.types import EditBatch, EditResult, EditSample, Method
from bench.types.bill import Shared


def edit(runs: list[Run]) -> None:
    """Makes every pending edit of runs that differ in the method's knobs only; they share what they can.

    The model is loaded only if something is pending.

    Raises:
        UserError: the device or the model is not usable, another process is at work, memory is too small.
    """
    with contextlib.ExitStack() as stack:
        for run in runs:
            stack.enter_context(run.store.lock())
        lacking = {id_: [] for id_ in runs[0].ids}  # in data order
        for run in runs:
            for id_ in run.pending():
                lacking[id_].append(run)
        todo = {id_: keen for id_, keen in lacking.items() if keen}
        if not todo:
            return
        device = devices.pick(runs[0].cfg["device"])
        annotations = {f"{file.parent.name}/{file.name}": sha256(file) for file in runs[0].data.annotations}
        for run in runs:
            run.store.open(run.cfg, run.identity, devices.name(device), annotations)
        _edit(runs, todo, device)


def _edit(runs: list[Run], todo: dict[str, list[Run]], device: torch.device) -> None:
    first, model = runs[0], None
    if first.checkpoint is not None:
        model = checkpoints.load(first.checkpoint, device, getattr(torch, first.cfg["model"]["dtype"]))
    methods = {run.key: _method(run) for run in runs}
    index = {id_: i for i, id_ in enumerate(first.data.ids)}
    # Usually every run lacks the same samples; where not, those that lack the same ones go together.
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for id_, lacking in todo.items():
        groups[tuple(run.key for run in lacking)].append(id_)
    label = f"{first.cfg['data']['name']} {first.cfg['method']['name']}"
    count = sum(len(lacking) for lacking in todo.values())
    by_key = {run.key: run for run in runs}
    with tqdm(total=count, unit="image", desc=label, disable=None) as bar, ThreadPoolExecutor(2) as pool:
        for keys, ids in groups.items():
            worker = _Worker(first, model, device, pool, [(by_key[k], methods[k], by_key[k].store) for k in keys], bar)
            for samples, bad in read(first.data, [index[id_] for id_ in ids], first.cfg["batch_size"]):
                worker.fail(bad)
                if samples:
                    worker.work(samples)


def _method(run: Run) -> Method:
    try:
        return instantiate(validate.knobs(run.cfg["method"]))
    except HydraException as error:
        raise UserError(f"method={run.cfg['method']['name']}: {str(error).splitlines()[0]}") from error


class _Worker:
    """One model call after the other for a group of runs that lack the same samples."""

    def __init__(self, first: Run, model, device: torch.device, pool: ThreadPoolExecutor, points: list, bar: tqdm):
        self.first, self.model, self.device, self.pool = first, model, device, pool
        self.points, self.bar = points, bar
        self.most = first.cfg["batch_size"]  # images at once; halved when memory runs out

    def work(self, samples: list[EditSample]) -> None:
        """Edits, saves and records samples for every run, in batches that memory allows."""
        todo = [(samples, self.points)] if samples else []
        while todo:
            samples, points = todo.pop(0)
            parts = [samples[i : i + self.most] for i in range(0, len(samples), self.most)]
            todo = [(part, points) for part in parts[1:]] + todo
            rest = self._work(parts[0], points)
            if rest:
                self.most = max(1, len(parts[0]) // 2)
                print(
                    f"out of memory on {self.device} with {len(parts[0])} images at once; going on with {self.most}",
                    file=sys.stderr,
                )
                todo.insert(0, (parts[0], rest))

    def _work(self, samples: list[EditSample], points: list) -> list:
        """One batch; if one sample breaks it, each is tried alone. Returns the runs that memory was too small for."""
        shared = Shared(self._rows, self._clock)
        batch = EditBatch(
            samples,
            torch.stack([torch.from_numpy(sample.image) for sample in samples]).to(self.device),
            shared,
            self.first.data.real_image,
            points=[method for _, method, _ in points],
            kept=self._cache(samples, shared),
        )
        noise = SampleNoise(self.first.cfg["seed"], [sample.id for sample in samples], self.device)
        for done, (run, method, store) in enumerate(points):
            alone = _Worker(self.first, self.model, self.device, self.pool, [(run, method, store)], self.bar)
            try:
                batch.shared.open_bill()
                mine = replace(batch, results=run.results.read) if run.results else batch
                with torch.inference_mode():
                    result = method(self.model, mine, noise)
                costs = {"nfe": batch.shared.rows, "seconds": batch.shared.seconds, "nfe_spent": batch.shared.spent}
            except (UserError, KeyboardInterrupt):
                raise
            except Exception as error:
                if _out_of_memory(error):
                    if len(samples) > 1:
                        return points[done:]
                    raise UserError(
                        f"out of memory on {self.device} with a single image; use a smaller data.size or, on a GPU, "
                        "model.dtype=float16"
                    ) from None
                if bad := getattr(error, "ids", None):
                    alone.fail(bad)
                    alone.work([sample for sample in samples if sample.id not in bad])
                    continue
                if len(samples) == 1:
                    self._fail_one(store, samples[0].id, error)
                    continue
                for sample in samples:
                    alone.work([sample])
                if all("traceback" in entry for entry in store.journal().values()):
                    what = f"{type(error).__name__}: {error}"
                    raise UserError(
                        f"method={run.cfg['method']['name']} failed on every sample of its first batch ({what}); the "
                        f"tracebacks are in {store.folder}/edits-{store.shard}.jsonl"
                    ) from error
                continue
            self._save(store, samples, result, {name: value / len(samples) for name, value in costs.items()})
            self.bar.update(len(samples))
        return []

    def fail(self, messages: dict[str, str]) -> None:
        """Records samples that could not be read."""
        for _, _, store in self.points:
            store.record([{"id": id_, "error": message} for id_, message in messages.items()])
            self.bar.update(len(messages))

    def _fail_one(self, store: Store, id_: str, error: Exception) -> None:
        if isinstance(error, BadSample):
            entry = {"error": str(error)}
        else:
            trace = "".join(traceback.format_exception(error))
            entry = {"error": f"{type(error).__name__}: {error}", "traceback": trace}
        store.record([{"id": id_, **entry}])
        self.bar.update(1)

    def _save(self, store: Store, samples: list[EditSample], result: EditResult, costs: dict[str, float]) -> None:
        _check(result, samples)
        files = [(store.edit_file(s.id), p) for s, p in zip(samples, _pixels(result.images), strict=True)]
        kinds = ["edit_sha256"] * len(samples)
        if result.mask is not None:
            masks = interpolate(result.mask.float(), result.images.shape[-2:], mode="nearest")[:, 0]
            masks = (masks * 255).round().to(torch.uint8).cpu().numpy()
            files += [(store.mask_file(s.id), mask) for s, mask in zip(samples, masks, strict=True)]
            kinds += ["mask_sha256"] * len(samples)
        try:
            digests = list(self.pool.map(lambda pair: store.save_picture(*pair), files))
        except OSError as error:
            raise UserError(f"cannot write to {store.folder} ({error.strerror}); make room and run again") from None
        rounded = {name: round(value, 6) for name, value in costs.items()}
        entries = [
            {"id": s.id, **rounded, **n} for s, n in zip(samples, result.notes or [{}] * len(samples), strict=True)
        ]
        for i, (kind, digest) in enumerate(zip(kinds, digests, strict=True)):
            entries[i % len(samples)][kind] = digest
        store.record(entries)

    def _cache(self, samples: list[EditSample], shared: Shared) -> Cache:
        cfg, identity = self.first.cfg, self.first.identity
        facts = [identity["model"], identity["data"], str(self.device)]
        names = [sha256_of([*facts, sample.id]) for sample in samples]
        return Cache(cfg["cache"], Path(cfg["out"]) / ".cache/latents", names, shared, self.device)

    def _rows(self) -> int:
        return self.model.rows if self.model is not None else 0

    def _clock(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


def _out_of_memory(error: Exception) -> bool:
    """On the CPU torch has no type for it."""
    kinds = torch.OutOfMemoryError | MemoryError
    return isinstance(error, kinds) or "DefaultCPUAllocator: can't allocate" in str(error)


def _pixels(images: torch.Tensor):
    return images.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def _check(result: EditResult, samples: list[EditSample]) -> None:
    expected = (len(samples), 3, *samples[0].image.shape[1:])
    images = result.images
    if tuple(images.shape) != expected or images.dtype != torch.uint8:
        raise UserError(
            f"the method returned images {tuple(images.shape)} of {images.dtype}; expected {expected} of torch.uint8"
        )
