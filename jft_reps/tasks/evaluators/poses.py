"""Evaluators of poses: COCO's ten numbers of what a network finds in boxes of people."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from jft_reps.data.records.keypoint_schema import KeypointSchema
from jft_reps.errors import DataError, NumericError, StorageError, printable
from jft_reps.metrics import keypoint_files, oks
from jft_reps.metrics.keypoints import CocoKeypoints
from jft_reps.metrics.poses import People, Poses
from jft_reps.metrics.results import Result
from jft_reps.ops import person_crops

ENLARGED = 1.25
_AT_ONCE = 4


class PoseSet:
  """One evaluation set and the poses that a `models.pose.PoseNetwork` finds in it.

  Args:
    name: of the set; its curves go to `eval_<name>/`.
    dataset: gives pictures of `PeopleSets.eval_batches`.
    schema: of the keypoints.
    crop: height and width of the crops.
    backend: of `metrics.keypoints.CocoKeypoints`.
    suppression: least similarity of a pose to a better one that suppresses it.
    category_id: COCO's id of a person, for submissions.

  Attributes:
    last: the whole result that `result` gave last, with its definition.
    submits: whether poses are kept for `write_submission`.
  """

  guess = "no number: points drawn by lot hardly ever lie close enough, so AP is near 0"

  def __init__(self, name: str, dataset: Callable[[], tf.data.Dataset], schema: KeypointSchema,
               crop: tuple[int, int], backend: str = "pycocotools", suppression: float = 0.5,
               category_id: int = 1):
    self.name, self._dataset, self._schema, self._crop = name, dataset, schema, crop
    self._metric, self.submits = CocoKeypoints(schema.sigmas, backend), False
    self.last: Result | None = None
    self._suppression, self._category_id = suppression, category_id
    self._pictures = self._listed = self._beyond = 0
    self._found: list[tuple[str, Poses]] = []

  def dataset(self) -> tf.data.Dataset:
    """Pictures, one at a time."""
    return self._dataset()

  def predict(self, model: Any, batch: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """What the network finds in each box: `points` `[m, K, 2]` in pixels of the stored picture,
    `votes` `[m, K]`, and the `boxes` `[m, 4]`."""
    boxes = batch["found"][0]
    points, votes = find(model, batch["image"][0], boxes, self._crop)
    return {"points": points, "votes": votes, "boxes": boxes}

  def update(self, ids: Sequence[str], predictions: Mapping[str, np.ndarray],
             truth: Mapping[str, Any]) -> None:
    """Takes one picture's poses and people."""
    if not np.isfinite(predictions["votes"]).all():
      raise NumericError("pose-not-finite", f"picture {printable(ids[0])!r}",
                         "votes that are NaN or infinite", "numbers", "The model diverged.")
    self._pictures += 1
    self._listed += int(truth["listed"][0])
    self._beyond += int(truth["beyond"][0])
    found = rescored(predictions, self._schema.sigmas, self._suppression)
    people = People(*(truth[key][0] for key in ("points", "boxes", "crowd", "area")))
    self._metric.update(ids[0], found, people)
    if self.submits:
      self._found.append((ids[0], found))

  def result(self, exclude_ids: Sequence[str] | None = None) -> dict[str, float]:
    """Numbers by TensorBoard name; those that are undefined are left out.

    Raises:
      DataError: the boxes are of none of these pictures.
    """
    if self._pictures and not self._listed:
      raise DataError("boxes-of-other-pictures", f"evaluation set {self.name}",
                      f"boxes of none of its {self._pictures} pictures", "the ids of its pictures",
                      "Did the detector run on this set? {split} in config.task.boxes is replaced.")
    found = self._metric.result(exclude_ids)
    if not exclude_ids:
      self.last = found
      for count, text in ((self._pictures - self._listed, "pictures are not in the file of boxes"),
                          (self._beyond, "boxes lie outside of their pictures and are left out")):
        if count:
          logging.warning("%s: %d %s", self.name, count, text)
    return found.scalars("keypoints/")

  def write_submission(self, folder: str | os.PathLike[str]) -> str:
    """Writes the poses as COCO's server wants them; returns where to.

    Raises:
      StorageError: it cannot be written.
    """
    path = pathlib.Path(folder) / self.name / "results.json"
    try:
      path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as e:
      raise StorageError("submission", path.parent, e.strerror or str(e),
                         "a folder to write to") from e
    keypoint_files.write_coco_keypoints(
        path, self._found, self._schema.count, self._category_id)
    return str(path)


def find(model: Any, image: tf.Tensor, boxes: tf.Tensor,
         crop: tuple[int, int]) -> tuple[tf.Tensor, tf.Tensor]:
  """Keypoints in boxes of one picture, some crops at a time.

  Args:
    model: a `PoseNetwork`.
    image: uint8 `[h, w, 3]`.
    boxes: float32 `[m, 4]`; m may be 0.
    crop: height and width of the crops.

  Returns:
    Points float32 `[m, K, 2]` in pixels of the picture and votes `[m, K]`.
  """
  count = tf.shape(boxes)[0]
  regions = person_crops.region(boxes, ENLARGED, *crop)
  # What fills the last group up is a crop of the whole picture.
  whole = tf.cast(tf.concat([[0, 0], tf.shape(image)[:2]], 0), tf.float32)
  more = tf.tile(whole[tf.newaxis], [-count % _AT_ONCE, 1])
  groups = tf.reshape(tf.concat([regions, more], 0), [-1, _AT_ONCE, 4])

  def one(group: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    points, votes = model.poses(person_crops.crop(image, group, *crop))
    return person_crops.from_crop(points, group, *crop), votes

  points, votes = tf.map_fn(one, groups, fn_output_signature=(tf.float32, tf.float32),
                            parallel_iterations=1)
  keypoints = model.num_points
  return (tf.reshape(points, [-1, keypoints, 2])[:count],
          tf.reshape(votes, [-1, keypoints])[:count])


def rescored(predictions: Mapping[str, np.ndarray], sigmas: Sequence[float],
             suppression: float) -> Poses:
  """Poses whose score is the mean of their points' votes, doubles suppressed by similarity.

  Papandreou et al. 2017, section 3.3; areas are those of the boxes.
  """
  points, boxes = predictions["points"], predictions["boxes"]
  scores = predictions["votes"].mean(-1) if len(boxes) else np.zeros(0)
  areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), -1)
  kept = oks.suppress(points, scores, areas, sigmas, suppression)
  return Poses(points[kept], scores[kept], boxes[kept])
