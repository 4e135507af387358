"""A classifier as a SavedModel: encoded pictures in, labels out, nothing of this library needed.

It holds three signatures, which `tf.saved_model.load(directory).signatures` gives by name:

- `serving_default`: `image_bytes`, string `[batch]`, JPEG or PNG of any size, upright (EXIF is not
  looked at) → `labels`, string `[batch, k]`, class ids, the likeliest first; `scores`, float32
  `[batch, k]`, their probabilities; `logits`, float32 `[batch, classes]`, in class order;
- `embed`: `image_bytes` → `features`, float32 `[batch, channels]`, conv5 averaged over space;
- `images`: `images`, uint8 `[batch, height, width, 3]`, RGB, cropped already → `logits`.

Pictures are resized, cropped in the centre and scaled as in evaluation, by the same ops. A picture
that evaluation would leave out fails the call with `InvalidArgumentError`. In `assets/` lie
`labels.txt`, one class id a line in class order, and a JSON file for each thing that is to be
known about the model.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from jft_reps.errors import ConfigError, StorageError
from jft_reps.models.classifier import Classifier
from jft_reps.models.variables import named_variables
from jft_reps.ops.images import CenterCrop
from jft_reps.ops.picture_headers import is_jpeg, is_png

_FAILURES = (tf.errors.OpError, OSError)


class ServedClassifier(tf.Module):
  """The functions behind the signatures, and copies of the weights as plain variables.

  Args:
    model: with its weights loaded; the shards of its last layer become one kernel and one bias.
    resize, crop: of evaluation, in pixels; see `ops.images.CenterCrop`.
    labels: class ids in class order.
    probabilities: of logits `[batch, classes]`; grows with the logit within a picture.
    top: how many labels to give, at most all.

  Raises:
    ConfigError: another number of labels than of classes, or `top` below 1.
  """

  def __init__(self, model: Classifier, resize: int, crop: int, labels: Sequence[str],
               probabilities: Callable[[tf.Tensor], tf.Tensor], top: int = 5):
    super().__init__()
    if len(labels) != model.num_classes:
      raise ConfigError("export-labels", "labels", f"{len(labels)} labels",
                        f"{model.num_classes}, one for each class")
    if top < 1:
      raise ConfigError("export-top", "top", str(top), "at least 1")
    self.labels, self._picture = tuple(labels), CenterCrop(resize, crop)
    self._probabilities, self._top = probabilities, min(top, len(labels))
    # A saved function needs its variables on the saved object; the layers themselves would bring
    # Keras's own description of them along.
    self.backbone = named_variables(model.backbone)
    self.kernel = tf.Variable(tf.concat(model.head.kernel.parts, 1), trainable=False)
    self.bias = tf.Variable(tf.concat(model.head.bias.parts, 0), trainable=False)
    self._features = tf.function(  # one graph of the network for all signatures
        lambda images: model.embed(images, batch_norm="frozen"), autograph=False,
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)])

  def signatures(self) -> dict[str, Any]:
    """Traced functions by the name of their signature."""
    encoded = tf.TensorSpec([None], tf.string, "image_bytes")
    images = tf.TensorSpec([None, None, None, 3], tf.uint8, "images")
    functions = {
        "serving_default": (self._classify, encoded),
        "embed": (lambda image_bytes: {"features": self._embed(image_bytes)}, encoded),
        "images": (lambda images: {"logits": self._logits(self._features(images))}, images)}
    return {name: tf.function(function, autograph=False).get_concrete_function(spec)
            for name, (function, spec) in functions.items()}

  def _classify(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
    logits = self._logits(self._embed(image_bytes))
    # By logit: sigmoids of 20 and of 30 are the same float32.
    best = tf.math.top_k(logits, self._top).indices
    scores = tf.gather(self._probabilities(logits), best, batch_dims=1)
    return {"labels": tf.gather(tf.constant(self.labels), best), "scores": scores,
            "logits": logits}

  def _logits(self, features: tf.Tensor) -> tf.Tensor:
    return tf.matmul(features, self.kernel) + self.bias

  def _embed(self, image_bytes: tf.Tensor) -> tf.Tensor:
    side = self._picture.crop
    return self._features(tf.map_fn(
        self._crop, image_bytes, fn_output_signature=tf.TensorSpec([side, side, 3], tf.uint8)))

  def _crop(self, encoded: tf.Tensor) -> tf.Tensor:
    # The decoders would take some GIFs, which records never hold.
    known = tf.debugging.Assert(is_jpeg(encoded) | is_png(encoded), ["neither JPEG nor PNG"])
    with tf.control_dependencies([known]):
      return self._picture(tf.identity(encoded))


def write(directory: str | os.PathLike[str], served: ServedClassifier,
          about: Mapping[str, Any], overwrite: bool = False) -> pathlib.Path:
  """Writes a SavedModel that appears whole or not at all.

  Args:
    directory: where; its parents are made.
    served: what to save; used up by this, as files become attributes of it.
    about: JSON values; each becomes `assets/<name>.json`.
    overwrite: replace a SavedModel that is there.

  Returns:
    The directory.

  Raises:
    StorageError: see `free`; or it cannot be written.
  """
  directory = free(directory, overwrite)
  temporary = directory.with_name(f".{directory.name}.tmp-{os.getpid()}")
  try:
    temporary.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
      served.assets = _assets(pathlib.Path(folder), served.labels, about)
      # Without gradients: nothing is trained from here.
      options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
      tf.saved_model.save(served, str(temporary), served.signatures(), options)
    _replace(directory, temporary)
  except _FAILURES as e:
    raise StorageError("export-not-written", directory, str(e)[:200], "room to write") from e
  finally:
    shutil.rmtree(temporary, ignore_errors=True)
  return directory


def free(directory: str | os.PathLike[str], overwrite: bool = False) -> pathlib.Path:
  """The absolute path of a directory to write a SavedModel to.

  Raises:
    StorageError: something is there that is not an empty directory, nor, with `overwrite`, a
      SavedModel.
  """
  directory = pathlib.Path(directory).resolve()
  if directory.is_dir():
    if not any(directory.iterdir()):
      return directory
    if overwrite and (directory / "saved_model.pb").is_file():
      return directory
  elif not directory.exists():
    return directory
  saved = (directory / "saved_model.pb").is_file()
  raise StorageError(
      "output-exists", directory, "a SavedModel" if saved else "no empty directory",
      "a new or empty directory",
      "Choose another one, or --overwrite." if saved else "Only a SavedModel can be overwritten.")


def _assets(folder: pathlib.Path, labels: Sequence[str],
            about: Mapping[str, Any]) -> dict[str, tf.saved_model.Asset]:
  """Files to go into the SavedModel, by name without ending."""
  (folder / "labels.txt").write_text("".join(f"{x}\n" for x in labels), encoding="utf-8")
  for name, value in about.items():
    (folder / f"{name}.json").write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
  return {file.stem: tf.saved_model.Asset(str(file)) for file in sorted(folder.iterdir())}


def _replace(directory: pathlib.Path, new: pathlib.Path) -> None:
  """Puts `new` where an older one, or nothing, is; on failure the older one stays."""
  old = directory.with_name(f".{directory.name}.old-{os.getpid()}")
  had = directory.exists()
  if had:
    os.replace(directory, old)
  try:
    os.replace(new, directory)
  except OSError:
    if had:
      os.replace(old, directory)
    raise
  if had:
    shutil.rmtree(old)
