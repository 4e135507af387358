"""What is wrong with one record, without a look at the pixels.

A reader leaves a bad record out under its first problem; here every problem is told, with the
numbers behind it. Reasons are those of `reasons` where the reader has one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from jft_reps.data.records import reasons, schema

_ROUNDING = 1e-5  # boxes are float32
_LONGEST = 100_000  # values of a list; a million boxes would take minutes to tell
_OF_DTYPE = {tf.string: "bytes_list", tf.int64: "int64_list", tf.float32: "float_list"}
_KINDS = {
    **{key: _OF_DTYPE[feature.dtype] for key, feature in
       (*schema.picture_features().items(), *schema.object_features().items())},
    **dict.fromkeys((schema.ABSENT, schema.HEIGHT, schema.WIDTH), "int64_list")}
Problem = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Rules:
  """What the records of a set have to keep to.

  Attributes:
    num_classes: labels lie in [0, num_classes); 0: unknown, anything from 0.
    annotations: `boxes`, `masks`, `keypoints` or empty, as the manifest says.
    points: keypoints of an object, where there are some.
  """

  num_classes: int = 0
  annotations: str = ""
  points: int = 0


@dataclasses.dataclass(frozen=True)
class Record:
  """One record as far as it can be read.

  Attributes:
    picture_id: empty where there is none.
    values: list of values by feature name; absent features have empty ones.
    problems: (reason, text) of all that is wrong.
  """

  picture_id: str
  values: dict[str, Any]
  problems: list[Problem]

  @property
  def labels(self) -> list[int]:
    """Class indices of the whole picture."""
    return list(self.values[schema.LABEL])


def read(serialized: bytes, rules: Rules) -> Record:
  """Parses and examines one record; never fails.

  Args:
    serialized: a `tf.train.Example`, or anything.
    rules: of its set.
  """
  values: dict[str, Any] = dict.fromkeys(_KINDS, ())
  try:
    features = tf.train.Example.FromString(serialized).features.feature
  except Exception:  # protobuf's own error, whose text holds the record
    return Record("", values, [
        (reasons.NAMES[reasons.PARSE_ERROR], f"{len(serialized)} bytes that are no Example")])
  problems: list[Problem] = []
  for key, wanted in _KINDS.items():
    if key in features:
      kind = features[key].WhichOneof("kind")
      if kind == wanted and len(getattr(features[key], kind).value) > _LONGEST:
        problems.append(_problem(
            reasons.TOO_MANY_LABELS, f"{len(getattr(features[key], kind).value):,} of {key}; "
            f"expected at most {_LONGEST:,}"))
      elif kind == wanted:
        values[key] = getattr(features[key], kind).value
      elif kind is not None:
        problems.append(_problem(reasons.PARSE_ERROR, f"{key} is a {kind}; expected a {wanted}"))
  ids = values[schema.SOURCE_ID]
  if len(ids) != 1 or not ids[0]:
    problems.append(_problem(reasons.MISSING_FEATURE, f"{len(ids)} picture ids; expected one"))
  picture_id = ids[0].decode("utf-8", "surrogateescape") if ids else ""
  problems += [*_pictures(values[schema.ENCODED]), *_labels(values, rules)]
  if any(len(values[side]) for side in schema.BOX) or len(values[schema.OBJECT_LABEL]):
    problems += _objects(values, rules)
  if rules.annotations == "masks" and len(values[schema.SEGMENTATION]) != 1:
    problems.append(_problem(
        reasons.MISSING_FEATURE, f"{len(values[schema.SEGMENTATION])} masks; expected one"))
  return Record(picture_id, values, problems)


def _problem(code: int, text: str) -> Problem:
  return reasons.NAMES[code], text


def _pictures(encoded: Sequence[bytes]) -> list[Problem]:
  if not encoded:
    return [_problem(reasons.MISSING_FEATURE, "no picture")]
  if len(encoded) > 1:
    return [_problem(reasons.PARSE_ERROR, f"{len(encoded)} pictures; expected one")]
  return [] if encoded[0] else [_problem(reasons.EMPTY_IMAGE, "a picture of 0 bytes")]


def _outside(values: Sequence[int], rules: Rules) -> list[int]:
  last = rules.num_classes or 2**63
  return [v for v in values if not 0 <= v < last]


def _labels(values: dict[str, Any], rules: Rules) -> list[Problem]:
  found = []
  for key in (schema.LABEL, schema.UNKNOWN, schema.ABSENT, schema.OBJECT_LABEL):
    wrong = _outside(values[key], rules)
    if wrong:
      last = rules.num_classes - 1 if rules.num_classes else "…"
      found.append(_problem(
          reasons.LABEL_OUT_OF_RANGE, f"{key} {wrong[0]}"
          f"{f' and {len(wrong) - 1} more' if wrong[1:] else ''}; expected 0 to {last}"))
  both = sorted(set(values[schema.LABEL]) & set(values[schema.ABSENT]))
  if both:
    found.append(("label_and_absent", f"class {both[0]} is a label and verified as absent"))
  stated = np.asarray(values[schema.CONFIDENCE], np.float64)
  if len(stated) not in (0, len(values[schema.LABEL])):
    found.append(_problem(
        reasons.PARSE_ERROR, f"{len(stated)} confidences for {len(values[schema.LABEL])} labels"))
  outside = stated[~((stated >= 0) & (stated <= 1))]
  if len(outside):
    found.append(("bad_confidence", f"confidence {outside[0]:g}; expected 0 to 1"))
  return found


def _objects(values: dict[str, Any], rules: Rules) -> list[Problem]:
  """What is wrong with boxes, and with the keypoints of their objects."""
  count = len(values[schema.OBJECT_LABEL])
  lengths = {key: len(values[key]) for key in schema.BOX}
  for key in (schema.OBJECT_CROWD, schema.OBJECT_DIFFICULT, schema.OBJECT_AREA, schema.OBJECT_MASK):
    lengths[key] = len(values[key]) or count
  wrong = [f"{n} of {key}" for key, n in lengths.items() if n != count]
  if wrong:
    return [_problem(reasons.PARSE_ERROR, f"{', '.join(wrong)} for {count} object labels")]
  boxes = np.stack([np.asarray(values[side], np.float64) for side in schema.BOX], -1)
  finite = np.isfinite(boxes).all(-1)
  inside = ((boxes >= -_ROUNDING) & (boxes <= 1 + _ROUNDING)).all(-1)
  area = (boxes[:, 2:] > boxes[:, :2]).all(-1)
  found = []
  for reason, bad, text in (
      ("bad_box", ~finite, "is not finite"),
      ("bad_box", finite & ~inside, "leaves the picture; expected 0 to 1"),
      ("degenerate_box", finite & inside & ~area, "has no area; expected ymin < ymax, xmin < xmax"),
  ):
    for i in np.flatnonzero(bad):
      found.append((reason, f"box {i} of {count}, {_numbers(boxes[i])}, {text}"))
  return found + (_keypoints(values, count, rules.points) if rules.points else [])


def _keypoints(values: dict[str, Any], objects: int, points: int) -> list[Problem]:
  lists = [np.asarray(values[key], np.float64) for key in schema.KEYPOINT]
  if {len(one) for one in lists} != {objects * points}:
    lengths = ", ".join(str(len(one)) for one in lists)
    return [("bad_keypoints", f"{lengths} of y, x and visibility; expected "
             f"{objects * points}, {points} for each of {objects} objects")]
  y, x, visibility = lists
  found = []
  for bad, text in (
      (~np.isin(visibility, (0, 1, 2)), "expected visibility 0, 1 or 2"),
      (~(np.isfinite(y) & np.isfinite(x)) & (visibility > 0), "expected numbers")):
    for i in np.flatnonzero(bad):
      found.append(("bad_keypoints", f"point {i % points} of object {i // points}, "
                    f"{_numbers((y[i], x[i], visibility[i]))}; {text}"))
  return found


def _numbers(values: Sequence[float]) -> str:
  return f"({', '.join(f'{v:g}' for v in values)})"
