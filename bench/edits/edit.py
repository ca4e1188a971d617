"""Pending samples to PNGs."""

import contextlib
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from bench.config import progress, validate
from bench.config.guard import by_signal, place, said
from bench.config.instances import instance
from bench.config.progress import Count
from bench.data.preprocess import NATIVE
from bench.data.reading import of_one_size
from bench.data.text import placed
from bench.diffusion import device as devices
from bench.diffusion.memory import Portion, exhausted, largest
from bench.diffusion.noise import SampleNoise
from bench.edits import loading, sizes
from bench.edits.kept import Cache
from bench.edits.returns import check, faults
from bench.edits.run import Run
from bench.edits.saving import Saver, failure
from bench.errors import BadSample, NotFinite, UnfitSize, UserError
from bench.files.hashing import sha256, sha256_of
from bench.files.sources import is_foreign
from bench.models import compiled
from bench.models.checkpoint import compilation
from bench.types import EditBatch, EditResult, EditSample, Method
from bench.types.bill import Shared


def edit(runs: list[Run]) -> dict[str, UserError]:
    """Makes every pending edit of runs with the same data and the same model, a batch for all of them after the other;
    those of one plan differ in the method's knobs only and share what they can.

    What stops one run (another process is at work on it, its method does not exist or fails on all of its first batch,
    a single image is too large for the memory) does not stop the others. The model is loaded only if something is
    pending.

    Returns:
        why a run was stopped, by its key.

    Raises:
        UserError: the device or the model is not usable.
    """
    first, methods, stopped = runs[0], {}, {}
    with contextlib.ExitStack() as locks:
        device = devices.pick(first.cfg["device"])
        annotations = {f"{file.parent.name}/{file.name}": sha256(file) for file in first.data.annotations}
        for run in runs:
            try:
                locks.enter_context(run.store.lock())
                locks.callback(run.store.forget_if_empty)
                if run.pending():
                    method = _method(run)
                    run.store.open(run.cfg, run.identity, devices.name(device), annotations)
                    methods[run.key] = method
            except UserError as error:
                stopped[run.key] = error
        if methods:
            _edit([run for run in runs if run.key in methods], methods, device, stopped)
    return stopped


def _method(run: Run) -> Method:
    where = f"method={run.cfg['method']['name']}"
    method = instance(validate.knobs(run.cfg["method"]), where)
    if not callable(method):
        raise UserError(f"{where}: {type(method).__name__} has no __call__(model, batch, noise), which makes the edits")
    return method


def _edit(runs: list[Run], methods: dict[str, Method], device: torch.device, stopped: dict[str, UserError]) -> None:
    first, model = runs[0], loading.load(runs, methods, device, stopped)
    # Usually every run lacks the same samples; where not, those that lack the same ones go together.
    pending = {run.key: set(run.pending()) for run in runs}
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, id_ in enumerate(first.data.ids):
        if keys := tuple(key for key, ids in pending.items() if id_ in ids):
            groups[keys].append(index)
    counts = {str(run.folder): Count(len(run.share) - len(pending[run.key]), len(pending[run.key])) for run in runs}
    others = len({run.cfg["method"]["name"] for run in runs}) - 1
    label = f"{first.cfg['data']['name']} {first.cfg['method']['name']}" + (f" and {others} more" if others else "")
    at_once = largest(first.cfg["batch_size"], device)
    with (
        progress.at_work("editing", label, counts) as step,
        Saver(at_once, stopped, lambda run, count: step(str(run.folder), count)) as saver,
    ):
        plans = [list(plan) for _, plan in groupby(runs, lambda run: id(run.data))]
        editors = [_Editor(plan, model, methods, device, stopped, saver) for plan in plans]
        for keys, indices in groups.items():
            for samples, bad in of_one_size(first.data, indices, at_once):
                if not (group := [run for run in runs if run.key in keys and run.key not in stopped]):
                    break
                for run in group:
                    saver.record(run, [{"id": id_, **entry} for id_, entry in bad.items()])
                for editor in editors:
                    editor.work(samples, [run for run in editor.runs if run.key in keys])


@dataclass
class _Editor:
    """The runs of one plan, one model call after the other. A run that it cannot go on with is put among the stopped
    ones."""

    runs: list[Run]
    model: Any
    methods: dict[str, Method]
    device: torch.device
    stopped: dict[str, UserError]
    saver: Saver

    def __post_init__(self) -> None:
        self.first = self.runs[0]
        alone = any(getattr(self.methods.get(run.key), "alone", False) for run in self.runs)
        self.portion = Portion(1 if alone else self.first.cfg["batch_size"], self.device)

    def going(self, runs: list[Run]) -> list[Run]:
        """Those that nothing has stopped."""
        return [run for run in runs if run.key not in self.stopped]

    def work(self, samples: list[EditSample], runs: list[Run]) -> None:
        """Edits, saves and records samples for every run, in batches that memory allows."""
        while samples and (runs := self.going(runs)):
            batch, samples = samples[: self.portion.most], samples[self.portion.most :]
            compiled.expect(self.model, self.portion, len(batch))
            with self.portion.measured(len(batch)):
                too_large = self._batch(batch, runs)
            if too_large:
                self.work(batch, too_large)

    def _batch(self, samples: list[EditSample], runs: list[Run]) -> list[Run]:
        """One batch. Returns the runs that memory was too small for."""
        shared = Shared(self._rows, self._clock)
        try:
            given = sizes.given(samples, sizes.editing_size(self.first, samples[0]))
        except UnfitSize as error:
            for run in runs:
                self.saver.record(run, [{"id": sample.id, "error": str(error)} for sample in samples])
            return []
        batch = EditBatch(
            given,
            torch.stack([torch.from_numpy(sample.image) for sample in given]).to(self.device),
            shared,
            partial(sizes.real_image, self.first.data, given[0].image.shape[1:]),
            points=[self.methods[run.key] for run in runs],
            kept=self._cache(samples, shared),
        )
        noise = SampleNoise(self.first.cfg["seed"], [sample.id for sample in samples], self.device)
        for done, run in enumerate(runs):
            try:
                self._save(run, samples, batch, *self._call(run, batch, noise))
            except UserError as error:
                if isinstance(error, UnfitSize) and run.data.size == NATIVE:
                    self.saver.record(run, [{"id": sample.id, "error": str(error)} for sample in samples])
                    continue
                self.stopped[run.key] = UserError(self._fault(run, batch) or str(error))
            except (Exception, SystemExit) as error:
                if by_signal(error):
                    raise
                if self.portion.halved(error, len(samples)):
                    return runs[done:]
                self._failed(run, samples, batch, error)
        return []

    def _call(self, run: Run, batch: EditBatch, noise: SampleNoise) -> tuple[EditResult, dict[str, float]]:
        """What the method gives, and its cost for each image."""
        if run.results:
            batch = replace(batch, results=run.results.read)
        if "query" in run.cfg["method"].get("given", ()):
            batch.need_captions()  # before any work is done
        batch.shared.open_bill()
        with torch.inference_mode():
            result = self.methods[run.key](self.model, batch, noise)
        costs = {"nfe": batch.shared.rows, "seconds": batch.shared.seconds, "nfe_spent": batch.shared.spent}
        return result, {name: round(value / len(batch.samples), 6) for name, value in costs.items()}

    def _fault(self, run: Run, batch: EditBatch) -> str | None:
        """What is wrong with a model of the user's own, if so."""
        if self.model is None or not is_foreign(run.cfg["model"]["_target_"]):
            return None
        with torch.inference_mode():
            return faults(self.model, batch)

    def _failed(self, run: Run, samples: list[EditSample], batch: EditBatch, error: BaseException) -> None:
        """Goes on without the samples that the method names; where it names none, finds them one by one."""
        bad = {s.id: placed(s, error.ids[s.id]) for s in samples if isinstance(error, BadSample) and s.id in error.ids}
        if isinstance(error, NotFinite) and error.count == len(samples):
            bad = {samples[row].id: str(error) for row in error.rows}
        if exhausted(error):
            self.stopped[run.key] = UserError(
                f"out of memory on {self.device} with a single image; {loading.lighter(run.cfg)}"
            )
        elif bad:
            self.saver.record(run, [{"id": id_, "error": why} for id_, why in bad.items()])
            self.work([sample for sample in samples if sample.id not in bad], [run])
        elif fault := self._fault(run, batch):
            self.stopped[run.key] = UserError(fault)
        elif len(samples) == 1:
            self.saver.record(run, [{"id": samples[0].id, **failure(error)}])
        else:
            for sample in samples:
                self.work([sample], [run])
            self.saver.wait()
            if self.going([run]) and all("traceback" in entry for entry in run.store.journal().values()):
                self.stopped[run.key] = UserError(
                    f"method={run.cfg['method']['name']} failed on every sample of its first batch "
                    f"({said(error)}){place(error)}; the tracebacks are in "
                    f"{run.store.journal_file}"
                )

    def _save(
        self, run: Run, samples: list[EditSample], batch: EditBatch, result: EditResult, costs: dict[str, float]
    ) -> None:
        if wrong := check(result, batch, f"method={run.cfg['method']['name']}"):
            raise BadSample("; ".join(wrong.values()), wrong)
        if result.images.shape != batch.images.shape and (fault := self._fault(run, batch)):
            raise UserError(fault)  # a model that does not decode what it was given
        images, masks, returned = sizes.brought_back(result, samples[0].image.shape[1:])
        notes = result.notes or [{}] * len(samples)
        entries = [{"id": s.id, **costs, **note, **returned} for s, note in zip(samples, notes, strict=True)]
        pictures = {"edit_sha256": (run.store.edit_file, devices.Rows(images))}
        if masks is not None:
            pictures["mask_sha256"] = run.store.mask_file, devices.Rows(masks)
        self.saver.save(run, entries, pictures)

    def _cache(self, samples: list[EditSample], shared: Shared) -> Cache:
        cfg, identity = self.first.cfg, self.first.identity
        # What the project's methods keep is alike in all of them until the version of one is raised.
        own = [one for one in identity["code"].values() if one.get("version") != 1]
        made_on = str(self.device), *filter(None, [compilation(cfg["model"])])
        facts = [identity["identity_version"], identity["model"], identity["data"], own, *made_on]
        names = [sha256_of([*facts, sample.id]) for sample in samples]
        return Cache(cfg["cache"], Path(cfg["out"]) / ".cache/latents", names, shared, self.device)

    def _rows(self) -> int:
        return self.model.rows if self.model is not None else 0

    def _clock(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()
