"""Evaluators of detectors: COCO's twelve numbers, and PASCAL VOC's mean average precision."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from jft_reps.errors import ConfigError, NumericError, StorageError, printable
from jft_reps.metrics import coco, detection_files, voc
from jft_reps.metrics.detections import Detections, Truth
from jft_reps.metrics.results import Result


class DetectionSet:
  """One evaluation set and what a `models.faster_rcnn.FasterRCNN` finds in it.

  Args:
    name: of the set; its curves go to `eval_<name>/`.
    dataset: gives pictures of `BoxSets.eval_batches`.
    picture: of a batch, as the network sees it.
    metric: a `metrics.coco.CocoBoxes` or `metrics.voc.VocBoxes`.
    labels: names of the classes.
    category_ids: COCO's ids of them, or None.

  Attributes:
    last: the whole result that `result` gave last, with its definition and per-class table.
    submits: whether detections are kept for `write_submission`.
  """

  guess = "no number: boxes drawn by lot hardly ever overlap an object enough, so AP is near 0"

  def __init__(self, name: str, dataset: Callable[[], tf.data.Dataset],
               picture: Callable[[Mapping[str, Any]], tf.Tensor],
               metric: coco.CocoBoxes | voc.VocBoxes, labels: Sequence[str],
               category_ids: Sequence[int] | None = None):
    self.name, self._dataset, self._picture = name, dataset, picture
    self._metric, self._labels, self.submits = metric, tuple(labels), False
    self.last: Result | None = None
    self._category_ids = category_ids
    self._prefix = "voc/" if isinstance(metric, voc.VocBoxes) else "coco/"
    self._found: list[tuple[str, Detections]] = []

  def dataset(self) -> tf.data.Dataset:
    """Batches of one picture."""
    return self._dataset()

  def predict(self, model: Any, batch: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """Detections of the picture, and its true boxes as `truth`, in pixels of the stored one."""
    picture = self._picture(batch)
    found, factor = model.detect(picture), scale(picture, batch)
    return {**found, "boxes": found["boxes"] / factor, "truth": batch["boxes"][0] / factor}

  def update(self, ids: Sequence[str], predictions: Mapping[str, np.ndarray],
             truth: Mapping[str, Any]) -> None:
    """Takes one picture's detections and truth."""
    rest = (truth[k][0] for k in ("classes", "crowd", "difficult", "area"))
    objects = Truth(predictions["truth"], *rest)
    if not predictions["finite"]:
      raise NumericError("detector-not-finite", f"picture {printable(ids[0])!r}",
                         "scores that are NaN or infinite", "numbers", "The model diverged.")
    found = Detections(*(predictions[k] for k in ("boxes", "classes", "scores")))
    found = found.checked(ids[0], len(self._labels))
    self._metric.update(ids[0], found, objects)
    if self.submits:
      # COCO's numbers are of the best of a picture, and so is what goes to its server.
      self._found.append((ids[0], found[:coco.MOST] if self._prefix == "coco/" else found))

  def result(self, exclude_ids: Sequence[str] | None = None) -> dict[str, float]:
    """Numbers by TensorBoard name; those that are undefined are left out."""
    found = self._metric.result(exclude_ids)
    if not exclude_ids:
      self.last = found
    return found.scalars(self._prefix)

  def write_submission(self, folder: str | os.PathLike[str]) -> str:
    """Writes what was found as the metric's test server wants it; returns where to.

    Raises:
      ConfigError: COCO's ids of the classes are not known.
      StorageError: it cannot be written.
    """
    path = pathlib.Path(folder) / self.name
    try:
      path.mkdir(parents=True, exist_ok=True)
    except OSError as e:
      raise StorageError("submission", path, e.strerror or str(e), "a folder to write to") from e
    if self._prefix == "voc/":
      detection_files.write_voc_results(path, self._found, self._labels)
      return str(path)
    if self._category_ids is None:
      raise ConfigError("submission", f"records of {self.name}", "no COCO category ids",
                        "records whose every class is one of COCO's",
                        "Build them with --source=coco and without classes of your own.")
    path = path / "results.json"
    detection_files.write_coco_results(path, self._found, self._category_ids)
    return str(path)


def scale(picture: tf.Tensor, batch: Mapping[str, Any]) -> tf.Tensor:
  """float32 `[4]`: pixels of the resized picture per pixel of the stored one, as a box has them."""
  resized = tf.cast(tf.shape(picture)[1:3], tf.float32)
  return tf.tile(resized / tf.cast(batch["size"][0], tf.float32), [2])
