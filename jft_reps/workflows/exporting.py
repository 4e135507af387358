"""Writes a checkpoint as a SavedModel: encoded pictures in, labels out."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING, Any

from jft_reps import whole_files
from jft_reps.errors import ConfigError
from jft_reps.workflows import compose, configuration, presence, weights

if TYPE_CHECKING:
  import ml_collections


def export(
    config: ml_collections.ConfigDict, output: str | os.PathLike,
    workdir: str | os.PathLike | None = None, checkpoint: str | os.PathLike | None = None,
    average: bool = False, top: int = 5, overwrite: bool = False,
) -> pathlib.Path:
  """Writes the model of one checkpoint; `jft_reps.models.saved_model` says what it answers.

  Args:
    config: of the run.
    output: the directory to write.
    workdir: the run directory; None: the configuration's own.
    checkpoint: without ending; None: the newest of the run.
    average: take the moving average of each trained weight.
    top: labels given for a picture.
    overwrite: replace a SavedModel that is there.

  Raises:
    ConfigError: the configuration is not the checkpoint's.
    StorageError: likewise; or the checkpoint cannot be read, or the output not written.
  """
  config = configuration.placed(config, workdir)
  presence.check_weights(checkpoint or config.workdir)
  from jft_reps.models import saved_model
  from jft_reps.training.evaluation import monitor

  saved_model.free(output, overwrite)  # before minutes of loading
  source = weights.open_source(checkpoint or config.workdir)
  task, path = compose.task(config, source), source.tensors.path
  if not hasattr(task, "probabilities"):
    raise ConfigError("export", "config.task.name", repr(config.task.name),
                      "a task that labels whole pictures")
  model = task.build()
  monitor.load_model(path, task, model, average)
  pixels = task.notes["preprocessing"]
  served = saved_model.ServedClassifier(
      model, pixels["resize"], pixels["crop"], task.labels, task.probabilities, top)
  return saved_model.write(
      output, served, {"preprocessing": pixels, "network": task.notes["network"],
                       "source": _origin(path, average, config.task.name)}, overwrite)


def _origin(path: pathlib.Path, average: bool, task: str) -> dict[str, Any]:
  """Which weights these are. The index of a checkpoint holds a checksum of every tensor."""
  from jft_reps.training.run_directory import checkpoints, directory

  return {"checkpoint": str(path.resolve()), "step": int(checkpoints.read(path, ["step"])["step"]),
          "index_sha256": whole_files.sha256(f"{path}.index"), "average": average,
          "task": task, "versions": directory.versions()}
