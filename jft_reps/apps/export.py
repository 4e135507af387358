"""Writes a checkpoint as a SavedModel: encoded pictures in, labels out.

  python -m jft_reps.apps.export --config=experiments/fig3_pretraining.py:random \\
      --workdir=/tmp/run --output=/tmp/model [--checkpoint=/tmp/run/best/ckpt-1000] [--average]

Labels, weights and the treatment of pictures are inside; TensorFlow alone loads it:

  model = tf.saved_model.load("/tmp/model").signatures["serving_default"]
  model(image_bytes=tf.constant([open("picture.jpg", "rb").read()]))  # labels, scores, logits
"""

from __future__ import annotations

import hashlib
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from jft_reps.apps import command_line, compose
from jft_reps.apps.train import resolve
from jft_reps.errors import ConfigError

FLAGS = flags.FlagValues()
flags.DEFINE_string("config", None, "experiments/<file>.py[:row,option…].", flag_values=FLAGS)
flags.DEFINE_string("workdir", None, "The run directory.", flag_values=FLAGS)
flags.DEFINE_string("checkpoint", None, "A checkpoint without ending; default: the newest.",
                    flag_values=FLAGS)
flags.DEFINE_boolean("average", False, "Export the moving average of the weights.",
                     flag_values=FLAGS)
flags.DEFINE_string("output", None, "The directory to write.", flag_values=FLAGS)
flags.DEFINE_boolean("overwrite", False, "Replace a SavedModel in the output directory.",
                     flag_values=FLAGS)
flags.DEFINE_integer("top", 5, "Labels given for a picture.", lower_bound=1, flag_values=FLAGS)


def main(argv: Sequence[str]) -> int:
  config, _ = resolve(argv, FLAGS, __doc__)
  if not FLAGS.output:
    raise ConfigError("flags", "--output", "missing", "a value", "See --help.")
  path = export(config, FLAGS.output, FLAGS.checkpoint, FLAGS.average, FLAGS.top, FLAGS.overwrite)
  print(f"jft_reps: exported to {path}")
  return 0


def export(config, output: str, checkpoint: str | None = None, average: bool = False,
           top: int = 5, overwrite: bool = False) -> pathlib.Path:
  """Writes the model of one checkpoint; `jft_reps.models.saved_model` says what it answers.

  Args:
    config: of the run.
    output: the directory to write.
    checkpoint: without ending; None: the newest of `config.workdir`.
    average: take the moving average of each trained weight.
    top: labels given for a picture.
    overwrite: replace a SavedModel that is there.

  Raises:
    ConfigError: the configuration is not the checkpoint's.
    StorageError: likewise; or the checkpoint cannot be read, or the output not written.
  """
  from jft_reps.models import saved_model
  from jft_reps.training import initialise, monitor

  saved_model.free(output, overwrite)  # before minutes of loading
  source = initialise.open_source(checkpoint or config.workdir)
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
  from jft_reps.training import checkpoints, run_directory

  index = pathlib.Path(f"{path}.index")
  return {"checkpoint": str(path.resolve()), "step": int(checkpoints.read(path, ["step"])["step"]),
          "index_sha256": hashlib.sha256(index.read_bytes()).hexdigest(), "average": average,
          "task": task, "versions": run_directory.versions()}


if __name__ == "__main__":
  sys.exit(command_line.run(main))
