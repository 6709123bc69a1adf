"""The one training loop.

A recipe says what is optimised against what; this loop freezes, zeroes, runs each loss over each micro-batch in the
chosen precision, backpropagates, averages over processes, and steps. Time is counted in images, events fire on crossing
a boundary, and the host reads the device once a log interval.

A run folder holds ``config.json``, ``log.jsonl``, ``samples/*.png``, ``states/*.safetensors``, the last ``weights/``
and, where there is a validation split, the ``best/`` ones.
"""

from __future__ import annotations

import json
import math
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from translate.blocks.keyed import sample_keys
from translate.blocks.style import ready_to_compile
from translate.checkpoint.atomic import WriteError, written_beside
from translate.checkpoint.run_state import (
    RunState,
    latest_state,
    optimizer_tensors,
    owned,
    prefixed,
    restore_optimizer,
    save_state,
    saved_states,
)
from translate.checkpoint.weights import save_weights
from translate.config.base import ConfigError, to_dict
from translate.config.training import MethodConfig, Precision
from translate.config.weights import TrainingRecord
from translate.data.batches import Wanted
from translate.data.changes import changes, file_record
from translate.data.encodings import band_heading
from translate.engine.detectors import PREFIX, Detectors
from translate.engine.display import Display, device_name, memory_gb
from translate.engine.distributed import World
from translate.engine.ema import EMA
from translate.engine.errors import TrainingError, out_of_memory
from translate.engine.interrupt import Interrupt
from translate.engine.log import RunLog
from translate.engine.meter import Meter
from translate.engine.resume import (
    check_same_encodings,
    check_same_run,
    encodings_of,
    network_configs,
    start_networks,
    without_paths,
)
from translate.inference.device import autocast, bf16_is_seen, choose_precision, fast_bf16
from translate.inference.grid import enlarged, image_grid, to_images
from translate.recipes.base import Batch, Batches, Progress, Recipe, Scratch, TrainingData, Update


def _all_finite(net: nn.Module) -> bool:
    return bool(torch.stack([tensor.isfinite().all() for tensor in net.state_dict().values()]).all())


def _between(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))


class Engine:
    """Trains a recipe on its data.

    Args:
        recipe: The method.
        data: What it reads.
        config: The whole configuration; recorded with everything that is written.
        world: This process among its peers.
        display: Where progress is said.

    Raises:
        ConfigError: a batch that the processes cannot share, or a run folder of another configuration.
        StateError: states are there, and none can be read.
        WeightsError: ``--start-from`` cannot be opened.
        WriteError: the run folder cannot be written.
    """

    def __init__(
        self, recipe: Recipe, data: TrainingData, *, config: MethodConfig, world: World, display: Display
    ) -> None:
        run = config.run
        if run.batch_size % world.size:
            raise ConfigError(f"--batch-size {run.batch_size} cannot be split evenly across {world.size} processes")
        self.recipe, self.data, self.config, self.run = recipe, data, config, run
        self.world, self.device, self.display = world, world.device, display
        self.precision = choose_precision(run.precision, self.device)
        if run.precision == "auto" and world.any(self.precision == "fp32"):  # one for all processes
            self.precision = "fp32"
        local_batch = run.batch_size // world.size
        self.micro_batch = min(run.micro_batch or local_batch, local_batch)  # of images of the training size
        if local_batch % self.micro_batch:
            raise ConfigError(f"--micro-batch {self.micro_batch} does not divide the {local_batch} images per process")

        channels_last = self.device.type == "cuda" if run.channels_last is None else run.channels_last
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.nets, recipe.processes = recipe.nets, world.size
        for net in self.nets.values():
            net.to(self.device).to(memory_format=self.memory_format).train()
            self.world.broadcast(net.state_dict().values())
        self.optimizers = recipe.optimizers()
        self.scalers = {
            update.name: torch.amp.GradScaler(
                self.device.type, enabled=self.precision == "fp16" and not update.double_backward
            )
            for update in recipe.updates
        }
        self.meter, self.detectors = Meter(world), Detectors(recipe)
        self.images, self.previous, self.seconds = 0, 0, 0.0
        self.losses: dict[str, float] = {}
        self.asks_fp32, self.asked_after = (
            False,
            -1,
        )  # whether bf16 is seen in what translators make; after so many images
        self.best: dict[str, float] = {}  # images and score of the best weights so far
        self.total = run.images if run.images is not None else math.ceil(run.epochs * data.num_images)
        on_gpu = self.device.type == "cuda"
        self.intervals = {
            "log": run.log_every or (min(1000, 100 * run.batch_size) if on_gpu else 100),
            "sample": run.sample_every or _between(data.num_images, 200, 5000),
            "checkpoint": run.checkpoint_every or _between(5 * data.num_images, 1000, 20000),
        }
        self.states, self.weights, self.best_weights = run.out / "states", run.out / "weights", run.out / "best"
        self.interrupt = Interrupt()
        # After the networks: every process starts from the same weights and draws its own noise.
        torch.manual_seed(run.seed + 1_000_003 * (world.rank + 1))
        self._open_run()
        nets = {name: self.nets[name] for name in recipe.ema_nets}
        self.ema = EMA(nets, half_life=run.ema_half_life, ramp_up=run.ema_ramp_up) if nets else None
        self._resume()
        self.stage = recipe.stage(self.progress)
        if run.compile:
            ready_to_compile()
            for net in self.nets.values():
                net.compile()

    # The loop

    @property
    def progress(self) -> Progress:
        return Progress(images=self.images, total=self.total)

    @property
    def out_of_time(self) -> bool:
        return self.run.minutes is not None and time.monotonic() - self.started >= 60 * self.run.minutes

    def due(self, event: str) -> bool:
        """Whether the last step crossed a boundary of an event, or was the last of the run."""
        every = self.intervals[event]
        return self.images // every > self.previous // every or self.images >= self.total

    def train(self) -> bool:
        """Train to the end, to the time limit, or until interrupted; in each case save and export.

        Returns:
            True when the run is complete.

        Raises:
            TrainingError: a loss is not finite, or memory ran out.
            DataError: too many files cannot be read.
            WriteError: the run folder cannot be written.
        """
        self.started = self.interval_start = time.monotonic()
        self.interval_images = self.images
        self.display.start(images=self.images, total=self.total)
        batches = self.open_batches()
        stopped = False
        try:
            with self.interrupt:
                while self.images < self.total and not stopped:
                    if (stage := self.recipe.stage(self.progress)) != self.stage:
                        self.stage = stage
                        self.display.say(f"growing to {stage.size} px, {stage.batch_size} images per step")
                        batches.close()
                        batches = self.open_batches()
                    self.factor = self.recipe.advance(self.progress, self.optimizers)
                    self.train_step(next(batches))
                    self.previous, self.images = self.images, self.images + self.stage.batch_size
                    self.display.advance(self.images)
                    if self.due("log"):
                        self.log()
                    if self.due("sample"):
                        self.save_samples()
                    # Agreed on at every step: torchrun kills what has not ended 30 seconds after its signal.
                    stopped = self.world.any(self.interrupt.requested or self.out_of_time)
                    if self.due("checkpoint") or stopped:
                        self.save()
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            raise TrainingError(
                f"out of memory on {self.device} with --batch-size {self.run.batch_size}: lower it, give --micro-batch "
                f"{max(1, self.micro_batch // 2)} (same result, less memory), or lower --size or --width. "
                f"The checkpoints are in {self.states}"
            ) from error
        finally:
            batches.close()
            self.log_file.close()
            self.display.stop()
        if self.images > 0 and self.world.is_main and not self.weights.exists():
            last = Progress(images=self.images - self.stage.batch_size, total=self.total)  # a resumed run took no step
            self.recipe.advance(last, self.optimizers)
            self.export(self.weights)
        self.world.wait()
        return self.images >= self.total

    def open_batches(self) -> Batches:
        """The stream of batches from where the run is."""
        wanted = Wanted(
            batch_size=self.stage.batch_size,
            size=self.stage.size,
            start=self.images,
            seed=self.run.seed,
            rank=self.world.rank,
            world_size=self.world.size,
            device=self.device,
            report=self.display.say if self.world.is_main else print,  # each process reads files of its own
        )
        return self.data.batches(wanted)

    def train_step(self, batch: Batch) -> None:
        """One batch through every update that is due."""
        micro_batches = self._micro_batches(batch)
        scratches: list[Scratch] = [{"keys": keys} for keys in self._keys(len(next(iter(batch.values()))))]
        keeps_graph = len(micro_batches) == 1
        step = (self.images - self.stage.start) // self.stage.batch_size
        for update in self.recipe.updates:
            if step % update.every:
                continue
            self._freeze(update, keeps_graph=keeps_graph)
            optimizer, scaler = self.optimizers[update.optimizer], self.scalers[update.name]
            optimizer.zero_grad(set_to_none=True)
            for loss in update.losses:
                for micro_batch, scratch in zip(micro_batches, scratches, strict=True):
                    with self._arithmetic(update):
                        terms = loss(micro_batch, scratch)
                        total = torch.stack(list(terms.values())).sum() * (update.gain / len(micro_batches))
                    scaler.scale(total).backward()
                    self.meter.add(terms)
                    if not keeps_graph:  # memory is that of one micro-batch: the next update computes anew
                        for name in scratch.keys() - {"keys", *self.recipe.kept}:
                            del scratch[name]
            parameters = (p for name in update.trains for p in self.parameters[name])
            self.world.average_gradients(parameters)
            scaler.step(optimizer)
            scaler.update()
        self.meter.add(self.detectors.signals(self.recipe.watched(micro_batches[0], scratches[0])))
        if self.ema is not None:
            self.ema.update(self.stage.batch_size, seen=self.images)

    def _micro_batches(self, batch: Batch) -> list[Batch]:
        batch = {
            name: given.contiguous(memory_format=self.memory_format) if given.dim() == 4 else given
            for name, given in batch.items()
        }
        parts = {name: given.split(self._part) for name, given in batch.items()}
        return [dict(zip(parts, group, strict=True)) for group in zip(*parts.values(), strict=True)]

    @property
    def _part(self) -> int:
        """Images of one pass: of smaller ones there are more in a batch, and in each part of it."""
        return self.micro_batch * (self.stage.batch_size // self.run.batch_size)

    def _keys(self, count: int) -> tuple[Tensor, ...]:
        """Of this process's images of the step, by which recipes draw numbers; for each micro-batch."""
        first = self.images + self.world.rank * (self.stage.batch_size // self.world.size)
        return sample_keys(first, count, seed=self.run.seed, device=self.device).split(self._part)

    @cached_property
    def parameters(self) -> dict[str, list[nn.Parameter]]:
        """Of each network; found once, since walking through modules takes longer than many a kernel of a GPU."""
        return {name: list(net.parameters()) for name, net in self.nets.items()}

    def _freeze(self, update: Update, *, keeps_graph: bool) -> None:
        others = tuple(name for name in self.nets if name not in update.trains)
        frozen = others if update.frozen is None or not keeps_graph else update.frozen
        for name, parameters in self.parameters.items():
            for parameter in parameters:
                parameter.requires_grad = name not in frozen

    def _arithmetic(self, update: Update) -> AbstractContextManager[object]:
        if update.double_backward:
            # torch.compile cannot differentiate twice, and squared gradients overflow half precision.
            return torch.compiler.set_stance("force_eager") if self.run.compile else nullcontext()
        return autocast(self.precision, self.device)

    # What it says and writes

    def log(self) -> None:
        """Read the meter, refuse what is not finite, and write one line.

        Raises:
            TrainingError: names the losses that are not finite.
        """
        means = self.meter.read()  # the only device-to-host copy
        if not means:
            return
        alarms, new_alarms = self.detectors.check(means, broken=self.meter.broken)
        means = {name: mean for name, mean in means.items() if not name.startswith(PREFIX)}
        now = time.monotonic()
        seconds = now - self.interval_start
        entry = {
            "images": self.images,
            "epoch": round(self.images / self.data.num_images, 4),
            "seconds": round(self.seconds + seconds, 2),
            "images_per_second": round((self.images - self.interval_images) / max(seconds, 1e-9), 3),
            "memory_gb": round(memory_gb(self.device), 3),
            "learning_rate": self.run.learning_rate * self.factor,
            "losses": means,
            "alarms": [alarm.line for alarm in alarms],
        }
        self.seconds, self.interval_start, self.interval_images = self.seconds + seconds, now, self.images
        self.log_file.write(entry)
        self.display.report(entry)
        for alarm in new_alarms:
            self.display.say(f"warning: {alarm.line}")
        self._refuse(self.meter.broken)
        self.losses = means

    def _refuse(self, broken: list[str]) -> None:
        """Stop the run where something is not finite."""
        if broken:
            saved = saved_states(self.states)
            kept = f"The last good checkpoint is in {self.states}" if saved else "No checkpoint has been saved yet"
            raise TrainingError(
                f"{', '.join(broken)} {'is' if len(broken) == 1 else 'are'} not finite after {self.images} images. "
                f"{kept}. Try a lower --learning-rate, or --precision "
                f"{'bf16' if self.precision == 'fp16' else 'fp32'}"
            )

    @property
    def _averaged(self) -> dict[str, nn.Module]:
        """The networks, and of those that have one the average."""
        return {**self.nets, **(self.ema.nets if self.ema is not None else {})}

    def save_samples(self) -> None:
        """Write the fixed examples as a grid: input, output, target."""
        if not self.world.is_main:
            return
        columns = self._sampled()
        grid = image_grid(
            {
                band_heading(heading, images.shape[1], self.data.formats): enlarged(to_images(images))
                for heading, images in columns.items()
            }
        )
        with written_beside(self.run.out / "samples" / f"{self.images:010d}.png") as beside:
            grid.save(beside, format="PNG")

    def _sampled(self) -> dict[str, Tensor]:
        """What the networks make of the fixed examples, in the precision in which their weights will be used."""
        exports = self.recipe.exports().values()
        measured = fast_bf16(self.device) and any(config.kind == "translator" for _, config in exports)
        precisions: set[Precision] = {"fp32", "bf16", self.precision} if measured else {self.precision}
        # Eager, as whoever opens the weights runs them: a grid equals what its weights make.
        with torch.compiler.set_stance("force_eager") if self.run.compile else nullcontext():
            made = {one: self.recipe.sample(self._averaged, self.sample_batch, precision=one) for one in precisions}
        seen = False
        if measured:  # not by what two networks make in a row, of what the first one's precision hides from the second
            direct = {name: images for name, images in made["fp32"].items() if not name.startswith("back to ")}
            seen = bf16_is_seen(direct, made["bf16"])
        self.asks_fp32, self.asked_after = seen, self.images
        return made["fp32" if seen else self.precision]

    def validate(self) -> dict[str, float]:
        """Score the networks on the validation split, and keep their weights in ``best/`` where none were better."""
        if self.validation is None:
            return {}
        with torch.compiler.set_stance("force_eager") if self.run.compile else nullcontext(), torch.no_grad():
            scores = self.recipe.validate(self._averaged, self.validation, precision=self.precision)
        if not scores:
            return {}
        values = dict(zip(scores, torch.stack(list(scores.values())).tolist(), strict=True))
        self.log_file.write({"images": self.images, "validation": values})
        total = sum(values.values())
        if not self.best or total < self.best["score"]:
            self.best = {"images": self.images, "score": total}
            self.export(self.best_weights, validation=values)
        return values

    def save(self) -> None:
        """Save the state and export the weights, once the losses and the networks are known to be finite.

        Raises:
            TrainingError: names the losses or networks that are not finite.
            WriteError: the disk is full or the folder is not writable; the state before is untouched.
        """
        self.log()
        # A loss shows what a step broke only at the step after it.
        self._refuse([f"network {name}" for name, net in self.nets.items() if not _all_finite(net)])
        rng = {"rng/cpu": torch.stack(self.world.gather_bytes(torch.get_rng_state()))}
        if self.device.type == "cuda":
            rng["rng/cuda"] = torch.stack(self.world.gather_bytes(torch.cuda.get_rng_state(self.device)))
        kept = {  # [processes, ...] each
            name: torch.stack(self.world.gather_bytes(tensor)) for name, tensor in self.recipe.state_dict().items()
        }
        if self.world.is_main:
            validation = self.validate()
            tensors: dict[str, Tensor] = dict(rng)
            for name, net in self.nets.items():
                tensors |= prefixed(net.state_dict(), f"net.{name}")
            for name, net in (self.ema.nets if self.ema is not None else {}).items():
                tensors |= prefixed(net.state_dict(), f"ema.{name}")
            for name, optimizer in self.optimizers.items():
                tensors |= prefixed(optimizer_tensors(optimizer), f"optimizer.{name}")
            tensors |= prefixed(kept, "recipe") | prefixed(self.files, "data")
            values = {
                "images": self.images,
                "seconds": self.seconds,
                "losses": self.losses,
                "best": self.best,
                "world_size": self.world.size,
                "scalers": {name: scaler.state_dict() for name, scaler in self.scalers.items()},
                "config": to_dict(self.config),
                "networks": network_configs(self.nets),
                "encodings": encodings_of(self.data.formats),
            }
            save_state(RunState(tensors=tensors, values=values), self.states, images=self.images, keep=self.run.keep)
            self.export(self.weights, validation=validation)

    def export(self, target: Path, *, validation: dict[str, float] | None = None) -> None:
        """Write a folder of weights: what ``translate apply`` and the demo open."""
        record = TrainingRecord(
            recipe=self.recipe.name,
            images_seen=self.images,
            data=self.data.description,
            hours=round(self.seconds / 3600, 4),
            device=device_name(self.device) + (f" x {self.world.size}" if self.world.size > 1 else ""),
            precision=self.precision,
            losses={name: round(mean, 6) for name, mean in self.losses.items()},
            validation={name: round(score, 6) for name, score in (validation or {}).items()},
            versions={"torch": torch.__version__},
            config=without_paths(to_dict(self.config)),
        )
        nets = self._averaged
        for folder, (names, weights_config) in self.recipe.exports().items():
            if weights_config.kind == "translator" and fast_bf16(self.device):
                if self.asked_after != self.images:
                    self._sampled()
                weights_config = replace(weights_config, precision="fp32" if self.asks_fp32 else "auto")
            network = nets[names] if isinstance(names, str) else nn.ModuleDict({name: nets[name] for name in names})
            save_weights(network, replace(weights_config, training=record), target / folder)

    # Opening and resuming

    def _open_run(self) -> None:
        out = self.run.out
        if self.world.is_main:
            try:
                for folder in (out, out / "samples", self.states):
                    folder.mkdir(parents=True, exist_ok=True)
                for folder in (out, out / "samples", self.states, self.weights, self.best_weights):
                    for orphan in folder.glob(".*.part"):  # left by a process that was killed while writing
                        orphan.unlink(missing_ok=True)
            except OSError as error:
                raise WriteError(f"{out} cannot be written ({error.strerror}): choose another --out") from error
        self.world.wait()
        self.log_file = RunLog(out, enabled=self.world.is_main)
        self.sample_batch = self.data.samples(self.device)
        self.validation = self.data.validation(self.device) if self.world.is_main else None

    def _resume(self) -> None:
        found = latest_state(self.states)
        if found is not None:
            check_same_run(found[0], self.config, self.nets)
            check_same_encodings(found[0], self.data.formats, self.run.out)
        if self.world.is_main:
            with written_beside(self.run.out / "config.json") as beside:
                beside.write_text(json.dumps(to_dict(self.config), indent=2) + "\n", encoding="utf-8")
        self.files = file_record(self.data.files)
        if found is None:
            if self.run.start_from is not None:
                self._start_from(self.run.start_from)
            self.log_file.cut(after=0)
            return
        state, problems = found
        for problem in problems:
            self.display.say(f"{problem}: falling back to the previous checkpoint")
        for name, net in self.nets.items():
            net.load_state_dict(owned(state.tensors, f"net.{name}"))
        for name, net in (self.ema.nets if self.ema is not None else {}).items():
            net.load_state_dict(owned(state.tensors, f"ema.{name}"))
        for name, optimizer in self.optimizers.items():
            restore_optimizer(optimizer, owned(state.tensors, f"optimizer.{name}"))
        for name, scaler in self.scalers.items():
            if kept := state.values["scalers"].get(name):  # empty where the precision was another
                scaler.load_state_dict(kept)
        kept = owned(state.tensors, "recipe")
        self.recipe.load_state_dict({name: tensor[self.world.rank % len(tensor)] for name, tensor in kept.items()})
        self.images = self.previous = state.values["images"]
        self.seconds, self.losses = state.values["seconds"], state.values["losses"]
        self.best = state.values.get("best", {})
        if state.values["world_size"] == self.world.size:
            torch.set_rng_state(state.tensors["rng/cpu"][self.world.rank].clone())
            if self.device.type == "cuda" and "rng/cuda" in state.tensors:
                torch.cuda.set_rng_state(state.tensors["rng/cuda"][self.world.rank].clone(), self.device)
        else:
            self.display.say("the number of processes has changed: the random state of dropout is reset")
        if files := owned(state.tensors, "data"):  # releases before did not keep it
            self.files = files
            if changed := changes(files, self.data.files):
                self.display.say(f"the data has changed since this run was started: {changed}")
        self.log_file.cut(after=self.images)
        if self.images < self.total:
            self.display.say(f"resuming after {self.images:,} of {self.total:,} images")
        else:
            self.display.say(
                f"already trained on {self.images:,} of {self.total:,} images: raise --epochs or --images to continue"
            )

    def _start_from(self, source: Path) -> None:
        """Take over the networks of another run, or of weights."""
        names = start_networks(self.recipe, source)
        for name, net in (self.ema.nets if self.ema is not None else {}).items():
            net.load_state_dict(self.nets[name].state_dict())
        self.display.say(f"starting from the networks {', '.join(names)} of {source}")
