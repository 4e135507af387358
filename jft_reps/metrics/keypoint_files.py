"""Files of poses for COCO's server, and boxes of people from a detector's file.

A file of poses is one JSON list of `{"image_id": 42, "category_id": 1, "keypoints": [x, y, v, ...],
"score": 0.9}` with pixel indices from 0, so that our (y, x) are written as x - 0.5, y - 0.5. The
server reads no visibility; it is 1 throughout. Coordinates are rounded to 0.001 pixel, scores are
exact.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from jft_reps.errors import DataError, printable
from jft_reps.metrics import detection_files
from jft_reps.metrics.detections import Detections
from jft_reps.metrics.poses import Poses
from jft_reps.whole_files import replacing

PERSON = 1


def write_coco_keypoints(path: str | os.PathLike, found: Iterable[tuple[str, Poses]], count: int,
                         category_id: int = PERSON) -> int:
  """Writes a results file for COCO's server, as a whole or not at all.

  Args:
    path: replaced; the server wants it named `person_keypoints_test-dev2017_<name>_results.json`.
    found: picture ids, which are COCO's image ids as text, and what was found in them.
    count: keypoints of a pose.
    category_id: COCO's id of a person.

  Returns:
    The number of poses.

  Raises:
    DataError: a picture id that is no number, or see `Poses.checked`.
    NumericError: numbers that are not finite.
    StorageError: the file cannot be written.
  """
  written = 0
  with replacing(path) as file:
    file.write("[")
    for picture_id, poses in found:
      image = detection_files.coco_image(picture_id, path)
      poses = poses.checked(str(image), count)
      for points, score in zip(poses.points, poses.scores):
        keypoints = [v for y, x in points.tolist() for v in (round(x - 0.5, 3),
                                                             round(y - 0.5, 3), 1)]
        file.write(",\n" if written else "\n")
        file.write(json.dumps({"image_id": image, "category_id": int(category_id),
                               "keypoints": keypoints, "score": float(score)}))
        written += 1
    file.write("\n]\n")
  return written


def read_person_boxes(path: str | os.PathLike, category_id: int = PERSON) -> dict[str, Detections]:
  """Where a detector found people, by picture id: one category of a results file of boxes.

  Raises:
    DataError: not such a file, or nothing of this category in it.
    NumericError: numbers that are not finite.
  """
  found = detection_files.read_coco_results(path, [category_id], others=True)
  if not found:
    raise DataError("no-person-boxes", printable(os.fspath(path)),
                    f"no box of category {category_id}", "boxes of people",
                    "Is a person of another category_id there?")
  return found
