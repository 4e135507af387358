"""One `tf.train.Example` per picture, with the keys of TensorFlow Model Garden.

Label ids and confidences are lists, never dense vectors: a picture of JFT carries
1.26 labels of 18,291 on average (Sun et al. 2017, section 3), so a dense vector
would outweigh the picture. Boxes are normalised to [0, 1]. Keypoints of all objects
of a picture lie one object after another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jft_reps import errors
from jft_reps.data.records.example import (
    BytesList,
    Example,
    Feature,
    Features,
    FloatList,
    Int64List,
)

if TYPE_CHECKING:
  import tensorflow as tf

ENCODED = "image/encoded"
FORMAT = "image/format"
HEIGHT = "image/height"
WIDTH = "image/width"
SOURCE_ID = "image/source_id"
LABEL = "image/class/label"
CONFIDENCE = "image/class/confidence"
UNKNOWN = "image/class/unknown"
ABSENT = "image/class/absent"
BOX = tuple(f"image/object/bbox/{side}" for side in ("ymin", "xmin", "ymax", "xmax"))
OBJECT_LABEL = "image/object/class/label"
OBJECT_CROWD = "image/object/is_crowd"
OBJECT_DIFFICULT = "image/object/difficult"
OBJECT_AREA = "image/object/area"
OBJECT_MASK = "image/object/mask"
KEYPOINT = tuple(f"image/object/keypoint/{part}" for part in ("y", "x", "visibility"))
SEGMENTATION = "image/segmentation/class/encoded"


def _bytes(*values: bytes) -> Any:
  return Feature(bytes_list=BytesList(value=values))


def _ints(values: Iterable[int]) -> Any:
  return Feature(int64_list=Int64List(value=[int(v) for v in values]))


def _floats(values: Iterable[float]) -> Any:
  return Feature(float_list=FloatList(value=[float(v) for v in values]))


def _expect(condition: bool, picture_id: str, found: str, expected: str) -> None:
  if not condition:
    raise errors.DataError(
        "bad-example", f"picture {errors.printable(picture_id)}", found, expected
    )


def _objects(
    picture_id: str,
    boxes: Sequence[Sequence[float]],
    object_labels: Sequence[int] | None,
    object_masks: Sequence[bytes] | None,
    keypoints: Sequence[Sequence[Sequence[float]]] | None,
    crowd: Sequence[bool] | None,
    difficult: Sequence[bool] | None,
    area: Sequence[float] | None,
) -> dict[str, Any]:
  """Features of the objects of one picture, checked against one another."""
  box = np.asarray(boxes, np.float64)
  box = box.reshape(len(boxes), -1) if len(boxes) else np.zeros((0, 4))
  _expect(box.shape[1] == 4, picture_id, f"boxes of {box.shape}", "[objects, 4]")
  _expect(bool(np.isfinite(box).all()), picture_id, "a box that is not finite", "numbers")
  feature = {key: _floats(side) for key, side in zip(BOX, box.T, strict=True)}
  columns: tuple[tuple[str, str, Sequence[Any] | None, Callable[[Any], tf.train.Feature]], ...] = (
      (OBJECT_LABEL, "object labels", object_labels, _ints),
      (OBJECT_CROWD, "crowd flags", crowd, _ints),
      (OBJECT_DIFFICULT, "difficult flags", difficult, _ints),
      (OBJECT_AREA, "areas", area, _floats),
      (OBJECT_MASK, "masks", object_masks, lambda masks: _bytes(*masks)))
  for key, name, values, convert in columns:
    if values is not None:
      found = f"{len(values)} {name}"
      _expect(len(values) == len(box), picture_id, found, f"{len(box)}, one per box")
      feature[key] = convert(values)
  if keypoints is not None:
    points = np.asarray(keypoints, np.float64)
    fits = not len(box) or (points.ndim == 3 and points.shape[::2] == (len(box), 3))
    _expect(fits, picture_id, f"keypoints of {points.shape}", f"[{len(box)}, points, 3]")
    y, x, visible = points.reshape(-1, 3).T
    feature.update(zip(KEYPOINT, (_floats(y), _floats(x), _ints(visible)), strict=True))
  return feature


def encode(
    picture_id: str,
    encoded: bytes,
    image_format: str,
    height: int,
    width: int,
    labels: Sequence[int],
    confidences: Sequence[float] | None = None,
    unknown: Sequence[int] | None = None,
    boxes: Sequence[Sequence[float]] | None = None,
    object_labels: Sequence[int] | None = None,
    object_masks: Sequence[bytes] | None = None,
    keypoints: Sequence[Sequence[Sequence[float]]] | None = None,
    segmentation: bytes | None = None,
    crowd: Sequence[bool] | None = None,
    difficult: Sequence[bool] | None = None,
    area: Sequence[float] | None = None,
    absent: Sequence[int] | None = None,
) -> bytes:
  """Serialises one picture.

  Args:
    picture_id: unique name of the picture; its hash decides the shard.
    encoded: the JPEG or PNG file.
    image_format: `jpeg` or `png`.
    height: pixels.
    width: pixels.
    labels: class indices of the whole picture, in any order, ancestors left out.
    confidences: one in [0, 1] per label; left out means 1.
    unknown: class indices whose absence from `labels` says nothing.
    boxes: `[objects, 4]` as ymin, xmin, ymax, xmax, normalised.
    object_labels: class index per box.
    object_masks: one PNG per box, of the size of the picture.
    keypoints: `[objects, points, 3]` as y, x (normalised) and visibility 0, 1 or 2.
    segmentation: PNG with a class index per pixel.
    crowd: per box, whether it holds a crowd of its class that nobody told apart (COCO).
    difficult: per box, whether evaluation leaves it out (VOC).
    area: per box, in pixels of the stored picture; COCO's own is that of the outline.
    absent: class indices that were verified as absent.

  Returns:
    The serialised `tf.train.Example`.

  Raises:
    errors.DataError: the lists do not fit together.
  """
  feature = {
      SOURCE_ID: _bytes(picture_id.encode("utf-8", "surrogateescape")),
      ENCODED: _bytes(encoded),
      FORMAT: _bytes(image_format.encode()),
      HEIGHT: _ints([height]),
      WIDTH: _ints([width]),
      LABEL: _ints(labels),
  }
  if confidences is not None:
    found = f"{len(confidences)} confidences"
    _expect(len(confidences) == len(labels), picture_id, found, f"{len(labels)}, one per label")
    feature[CONFIDENCE] = _floats(confidences)
  if unknown is not None:
    feature[UNKNOWN] = _ints(unknown)
  if absent is not None:
    feature[ABSENT] = _ints(absent)
  if boxes is not None:
    feature.update(_objects(picture_id, boxes, object_labels, object_masks, keypoints, crowd,
                            difficult, area))
  if segmentation is not None:
    feature[SEGMENTATION] = _bytes(segmentation)
  example = Example(features=Features(feature=feature))
  return example.SerializeToString(deterministic=True)  # else its order varies between processes


def _list(dtype: str) -> tf.io.RaggedFeature:
  import tensorflow as tf  # only those who parse with it need it

  return tf.io.RaggedFeature(tf.as_dtype(dtype), row_splits_dtype=tf.int64)


def picture_features() -> dict[str, tf.io.RaggedFeature]:
  """Parsing specification of what classification needs; every value is a list.

  Lists for `image/encoded` and `image/source_id` too, so that a picture that is
  missing, present once or given twice can be told apart.
  """
  return {
      ENCODED: _list("string"),
      SOURCE_ID: _list("string"),
      LABEL: _list("int64"),
      CONFIDENCE: _list("float32"),
      UNKNOWN: _list("int64"),
  }


def box_features() -> dict[str, tf.io.RaggedFeature]:
  """Parsing specification of boxes and what is known of each; every value is a list."""
  return {
      **{side: _list("float32") for side in BOX},
      OBJECT_LABEL: _list("int64"),
      OBJECT_CROWD: _list("int64"),
      OBJECT_DIFFICULT: _list("int64"),
      OBJECT_AREA: _list("float32"),
  }


def object_features() -> dict[str, tf.io.RaggedFeature]:
  """Parsing specification of boxes, masks and keypoints; every value is a list."""
  y, x, visibility = KEYPOINT
  return {
      **box_features(),
      OBJECT_MASK: _list("string"),
      y: _list("float32"),
      x: _list("float32"),
      visibility: _list("int64"),
      SEGMENTATION: _list("string"),
  }
