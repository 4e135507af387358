"""Files of detections: results for COCO's server and submissions to PASCAL VOC's.

COCO: one JSON list of `{"image_id": 42, "category_id": 18, "bbox": [x, y, width, height],
"score": 0.9}`, pixels from 0. VOC: for each class a text file with lines `image_id score xmin ymin
xmax ymax`, pixel indices from 1 with the last inside, so that our [ymin, xmin, ymax, xmax] are
written as xmin + 1, ymin + 1, xmax, ymax (see `voc`). Coordinates are rounded to 0.001 pixel, COCO
asks for a tenth; scores are exact.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jft_reps.errors import ConfigError, DataError, printable
from jft_reps.metrics.detections import Detections, none
from jft_reps.metrics.pictures import unique_labels
from jft_reps.metrics.score_batches import text
from jft_reps.whole_files import replacing

VOC_PREFIX = "comp4_det_test"


def write_coco_results(path: str | os.PathLike, found: Iterable[tuple[str, Detections]],
                       category_ids: Sequence[int]) -> int:
  """Writes a results file for COCO's server, as a whole or not at all.

  Args:
    path: replaced; the server wants it named `detections_test-dev2017_<name>_results.json`.
    found: picture ids, which are COCO's image ids as text, and what was found in them.
    category_ids: COCO's id of each class.

  Returns:
    The number of detections.

  Raises:
    DataError: a picture id that is no number, or see `Detections.checked`.
    NumericError: numbers that are not finite.
    StorageError: the file cannot be written.
  """
  count = 0
  with replacing(path) as file:
    file.write("[")
    for picture_id, detections in found:
      image = coco_image(picture_id, path)
      detections = detections.checked(str(image), len(category_ids))
      for box, c, score in zip(detections.boxes.tolist(), detections.classes, detections.scores):
        ymin, xmin, ymax, xmax = box
        bbox = [round(v, 3) for v in (xmin, ymin, xmax - xmin, ymax - ymin)]
        file.write(",\n" if count else "\n")
        file.write(json.dumps({"image_id": image, "category_id": int(category_ids[c]),
                               "bbox": bbox, "score": float(score)}))
        count += 1
    file.write("\n]\n")
  return count


def read_coco_results(path: str | os.PathLike, category_ids: Sequence[int],
                      others: bool = False) -> dict[str, Detections]:
  """What a results file found, by picture id (the number as text).

  Args:
    path: the file.
    category_ids: COCO's id of each class.
    others: pass over other categories instead of refusing them.

  Raises:
    DataError: not such a file, an entry that is not as above, a category that is not among
      `category_ids`.
    NumericError: numbers that are not finite.
  """
  classes = {int(c): i for i, c in enumerate(category_ids)}
  rows: dict[str, list[tuple]] = {}
  for where, image, category, bbox, score in _entries(path):
    if others and type(category) is int and category not in classes:
      continue
    if type(category) is not int or category not in classes:
      raise DataError("coco-category", where, f"category_id {printable(category)}",
                      "an id of a category", "Do these results belong to this data set?")
    rows.setdefault(str(image), []).append((_yxyx(bbox, where), classes[category], score))
  return {name: _stacked(name, mine, len(classes)) for name, mine in rows.items()}


def write_voc_results(directory: str | os.PathLike, found: Iterable[tuple[str, Detections]],
                      labels: Sequence[str], prefix: str = VOC_PREFIX) -> list[str]:
  """Writes `<prefix>_<class>.txt` of each class, each as a whole; returns their paths.

  Args:
    directory: made if absent.
    found: picture ids (file stems) and what was found in them.
    labels: names of the classes.
    prefix: competition and image set, e.g. comp3_det_test where only VOC's data was used.

  Raises:
    ConfigError: a label or prefix that is no part of a file name.
    DataError: a picture id with blanks, or see `Detections.checked`.
    NumericError: numbers that are not finite.
    StorageError: a file cannot be written.
  """
  paths = _voc_paths(directory, labels, prefix)
  lines: list[list[str]] = [[] for _ in labels]
  for picture_id, detections in found:
    name = text(picture_id)
    if len(name.split()) != 1 or name.strip() != name:
      raise DataError("voc-picture-id", printable(os.fspath(directory)),
                      f"picture {printable(name)!r}", "an id without blanks")
    detections = detections.checked(name, len(labels))
    for box, c, score in zip(detections.boxes, detections.classes, detections.scores):
      ymin, xmin, ymax, xmax = box
      lines[c].append(f"{name} {float(score)!r} {xmin + 1:.3f} {ymin + 1:.3f} {xmax:.3f} "
                      f"{ymax:.3f}\n")
  with contextlib.suppress(OSError):  # then the first file says what is wrong
    os.makedirs(directory)
  for path, mine in zip(paths, lines):
    with replacing(path) as file:
      file.writelines(mine)
  return paths


def _read_json(path: str | os.PathLike) -> Any:
  """The content of a JSON file.

  Raises:
    DataError: it cannot be read, or is cut or otherwise no JSON.
  """
  try:
    with open(path, encoding="utf-8") as file:
      content = file.read()
  except (OSError, UnicodeDecodeError) as error:
    raise DataError("results-read", printable(os.fspath(path)), printable(error),
                    "a readable text file") from error
  try:
    return json.loads(content)
  except (ValueError, RecursionError) as error:
    raise DataError("json", printable(os.fspath(path)), printable(error), "JSON",
                    "The file may be cut: copy it again.") from error


def coco_image(picture_id: Any, path: str | os.PathLike) -> int:
  """COCO's number of a picture, for a file of results.

  Raises:
    DataError: the id is no number.
  """
  name = text(picture_id)
  if not (name.isascii() and name.isdecimal() and str(int(name)) == name):
    raise DataError(
        "coco-picture-id", printable(os.fspath(path)), f"picture {printable(name)!r}",
        "the number of an image in COCO's annotations",
        "COCO's server knows pictures by number: evaluate records built from a COCO JSON.")
  return int(name)


def _entries(path: str | os.PathLike) -> Iterator[tuple[str, int, Any, Any, float]]:
  """Where, image, category, box and score of each entry of a results file.

  Raises:
    DataError: no list in JSON; an entry without one of these, whose image is no integer or whose
      score is no number.
  """
  entries = _read_json(path)
  if not isinstance(entries, list):
    raise DataError("coco-results", printable(os.fspath(path)), f"a {type(entries).__name__}",
                    "a list of detections")
  for i, entry in enumerate(entries):
    where = f"{printable(os.fspath(path))} entry {i}"
    image, category, bbox, score = _fields(
        entry, ("image_id", "category_id", "bbox", "score"), where)
    if type(image) is not int or not _is_number(score):
      raise DataError("coco-results", where, f"image_id {printable(image)}, score "
                      f"{printable(score)}", "an integer and a number")
    yield where, image, category, bbox, score


def _fields(entry: Any, keys: Sequence[str], where: str) -> list[Any]:
  """Values of an entry.

  Raises:
    DataError: it is no mapping, or lacks a key.
  """
  if not isinstance(entry, Mapping):
    raise DataError("coco-entry", where, f"a {type(entry).__name__}", "an object")
  missing = [key for key in keys if key not in entry]
  if missing:
    raise DataError("coco-entry", where, f"no {missing[0]!r}", ", ".join(keys))
  return [entry[key] for key in keys]


def _is_number(value: Any) -> bool:
  """Whether a value of a JSON file is a number that fits 64 bits; True and "1" are none."""
  return type(value) is float or (type(value) is int and abs(value) < 1 << 63)


def _yxyx(bbox: Any, where: str) -> list[float]:
  """`[ymin, xmin, ymax, xmax]` of COCO's `[x, y, width, height]`.

  Raises:
    DataError: not four numbers; a string of digits is none.
  """
  if not isinstance(bbox, list) or len(bbox) != 4 or not all(map(_is_number, bbox)):
    raise DataError("coco-bbox", where, f"bbox {printable(bbox)}", "[x, y, width, height]")
  x, y, width, height = bbox
  return [y, x, y + height, x + width]


def _stacked(name: str, rows: list[tuple], classes: int) -> Detections:
  if not rows:
    return none()
  boxes, kinds, scores = zip(*rows)
  return Detections(np.array(boxes, np.float64), np.array(kinds), np.array(scores, np.float64)
                    ).checked(name, classes)


def _voc_paths(directory: str | os.PathLike, labels: Sequence[str], prefix: str) -> list[str]:
  names = [f"{prefix}_{label}.txt" for label in unique_labels(labels)]
  for name in names:
    if os.path.basename(name) != name or not name.isprintable():
      raise ConfigError("voc-file-name", printable(os.fspath(directory)), repr(printable(name)),
                        "a label that may be part of a file name")
  return [os.path.join(os.fspath(directory), name) for name in names]
