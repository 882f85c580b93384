"""The problem of a training job: the data, the decided options, and all that its run and its model are made of."""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import copy
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch

from .. import atomic
from ..document import assemble, assemble_levels, scoring
from ..errors import error_context
from ..model import Model
from ..nn import make_network
from ..nn.native import target_name
from ..tasks._calibration import record_calibration
from ..tasks.base import Calibration, Problem
from ..verify.check import attach
from . import checkpoint
from .loop import Run, Tensors
from .origin import decode_name, describe_calibration, describe_source, versions
from .progress import Report
from .warm_start import take_loss_tensors, take_over
from .word_vectors import decide_freezing, start_embedding

LONGEST_FLOAT = -1.2345678901234567e-300  # no float takes more characters in JSON
NO_FILE = "these options make no model file"


class TrainingJob:
    """A training job: the data, the decided options, and all that its run and its model are made of."""

    def __init__(
        self, task_module: Any, options: Any, source: Any, valid: Any, threads: int, earlier: Model | None = None
    ) -> None:
        self.earlier, self.task_module, self.source, self.valid, self.threads = (
            earlier,
            task_module,
            source,
            valid,
            threads,
        )
        self.problem: Problem = task_module.prepare(source, valid, options)
        self.options = self.problem.options
        self.first_files: dict[str, str] = {}  # option -> the SHA-256 of a file that weights begin by
        self.chosen: dict[str, Any] = {}  # entries of the provenance about trials of folds and of a search
        self.first_notes: list[tuple[str, str]] = []
        sources = [source] if valid is None else [source, valid]
        self.summaries = [(each.path, text) for each, text in zip(sources, self.problem.summaries, strict=True)]
        self.notes = [
            (each.path, note) for each, notes in zip(sources, self.problem.notes, strict=False) for note in notes
        ]

    def run(self, progress: Report | None) -> Run:
        """Make a run with initial weights. Raises for layers that do not fit together, and as `draft` does."""
        problem = self.problem
        weights = {name: np.asarray(value, np.float32) for name, value in problem.init_weights().items()}
        with error_context(NO_FILE):  # cheaper than `rehearse`, so it goes first
            model = self.draft({**weights, **problem.loss_tensors}, {}, problem.provenance)
        weights |= self.start(model)
        network = make_network(model)
        network.load_tensors(weights)
        return Run(network, self.problem, progress)

    def start(self, model: Model) -> Tensors:
        """Return the first values of tensors that come from a file of the options. model: with random first values."""
        options, problem = self.options, self.problem
        if self.earlier is not None:
            taken = take_over(options.from_model, model, self.earlier)
            parent = {"parent": taken.entry(options.from_model, self.earlier)}
            loss_tensors = {**problem.loss_tensors, **take_loss_tensors(problem, model, self.earlier)}
            provenance = {**problem.provenance, **parent}
            self.problem = replace(problem, provenance=provenance, loss_tensors=loss_tensors)
            self.first_files["from_model"] = self.earlier.weights_hash
            self.first_notes = [(options.from_model, taken.note())]
            return taken.tensors
        if (path := getattr(options, "vectors", None)) is None:
            return {}
        options = self.options = decide_freezing(options)
        first = start_embedding(path, options.freeze_vectors, model, options.seed)
        self.problem = replace(
            problem, options=options, frozen=first.frozen, provenance={**problem.provenance, **first.entry}
        )
        self.first_files["vectors"] = first.entry["vectors"]["sha256"]
        self.first_notes = [(path, first.note)]
        return first.tensors

    def identity(self) -> dict[str, Any]:
        """Return all that the results' bits depend on, which must not change before a run is resumed."""
        instructions = {"native": target_name(), "torch": torch.backends.cpu.get_cpu_capability()}
        files = {"data": self.source.sha256, "valid": self.valid.sha256 if self.valid else None}
        return {
            **files,
            **self.first_files,
            "options": asdict(self.options),
            "threads": self.threads,
            "versions": versions(),
            "instructions": instructions,
            "tapes": {name: tape.to_json() for layer in self.problem.all_layers for name, tape in layer.tapes.items()},
        }

    def rehearse(self, run: Run, out: str) -> None:
        """Make the model file of the current weights without writing it, and check that there is room for it.

        Raises what the end of the run would raise: ModelFileError for options, labels or names that no model file can
        hold; TidegateError where there is no room for the model and the checkpoint.
        """
        branch = run.fit_branch()
        predictions = run.predict(run.valid_rows, branch=branch)
        figures = dict.fromkeys(self.problem.measure(predictions), LONGEST_FLOAT)
        done = copy(run)  # finished, as far as the provenance describes it, with the longest possible numbers
        done.calibration = self.problem.calibrate(predictions)
        done.branch_figures = figures if branch else {}
        done.kept_epoch = run.config.epochs + run.config.refit_epochs
        done.kept_figures, done.history = figures, [{"loss": LONGEST_FLOAT, **figures}] * done.kept_epoch
        with error_context(NO_FILE):
            most = {**done.calibration}  # the branch may be worth nothing yet, and is in the way of no file without it
            most |= {name: {**most.get(name, {}), "branch": 1.0} for name in predictions.branch}
            problem, tensors = self.problem.complete(branch, run.predict, most, run.tensors())
            draft = self.draft(tensors, done.calibration, self.provenance(done, figures, problem), problem)
            model_bytes = attach(draft).file_bytes
            checkpoint_bytes = checkpoint.size(run, self.identity())
        atomic.check_space(out, [checkpoint_bytes, max(checkpoint_bytes, model_bytes)])

    def model(self, run: Run) -> Model:
        """Make the model of a finished run, with its check."""
        branch, problem = run.fit_final_branch(), self.problem
        predictions = run.predict(run.valid_rows, branch=branch)
        final = problem.measure(problem.apply_calibration(predictions, run.calibration))
        for name, of in run.calibration.items():
            if "factor" in of:
                entry, node = problem.node_outputs()[name], problem.output_nodes()[name]
                run.network.scale_scores(of["factor"], entry.get("part"), node)
        problem, tensors = problem.complete(branch, run.predict, run.calibration, run.tensors())
        return attach(self.draft(tensors, run.calibration, self.provenance(run, final, problem), problem))

    def draft(
        self,
        weights: Mapping[str, Any],
        calibration: Calibration,
        provenance: dict[str, Any],
        problem: Problem | None = None,
    ) -> Model:
        """Make the model without its check. Raises ModelFileError for one that no file can hold.

        weights: all that is trained. Of the tensors of the loss, the file has those that are kept for `score`. problem:
        that with its linear branch; None: the job's.
        """
        problem = problem or self.problem
        entry, kept = scoring.store({name: weights[name] for name in problem.kept})
        provenance, weights = (
            {**provenance, **entry},
            {n: a for n, a in weights.items() if n not in problem.loss_tensors},
        )
        outputs = {
            name: record_calibration(entry, calibration[name])
            if calibration.get(name) and "calibration" in entry
            else entry
            for name, entry in problem.outputs.items()
        }
        kind, options = self.task_module.KIND, self.options_to_json()
        if problem.graphs:
            document = assemble_levels(
                kind, options, problem.inputs, problem.graphs, outputs, provenance, problem.decoders
            )
        else:
            document = assemble(kind, options, problem.inputs, problem.layers, outputs, provenance, problem.decoders)
        return Model(document, {**weights, **problem.arrays, **kept})

    def options_to_json(self) -> dict[str, Any]:
        """Return the options as the model file records them: files by name, without their paths."""
        paths = {"cell": self.options.cell, "layer": self.options.layer}
        names = {key: path and os.path.basename(path).removesuffix(".py") for key, path in paths.items()}
        for key in ("vectors", "from_model"):
            if path := getattr(self.options, key, None):
                names[key] = decode_name(os.path.basename(path))
        return asdict(replace(self.options, **names))

    def provenance(self, run: Run, final: dict[str, float], problem: Problem) -> dict[str, Any]:
        """Describe how a model came about. final: figures of its held-out rows. problem: that of the finished model."""
        on = f"held-out rows, which selected the weights{' and their calibration' * bool(run.calibration)}"
        on += "; the last epochs trained on them too" * bool(run.config.refit_epochs)
        return {
            "data": describe_source(self.source, self.summaries[0][1]),
            "valid": describe_source(self.valid, self.summaries[1][1]) if self.valid else None,
            "rows": {"trained": len(run.train_rows), "held_out": len(run.valid_rows)},
            "epochs": {"planned": run.config.epochs, "kept": run.kept_epoch + 1, "stopped_early": run.stopped_early},
            "metrics": {"held_out": run.kept_figures},
            **({"linear_model": run.branch_figures} if run.branch_figures else {}),
            "final": {**final, "on": on},
            "calibration": describe_calibration(run.calibration),
            "history": run.history,
            "seed": self.options.seed,
            "threads": self.threads,
            "versions": versions(),
            **({"notes": [note for _, note in self.notes]} if self.notes else {}),
            **self.chosen,
            **problem.provenance,
        }
