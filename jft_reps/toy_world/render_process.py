"""Renders and encodes a run of toy pictures; as a program, for a parent that reads its output.

A process of its own rather than a `multiprocessing` pool: a pool's children import the parent's
main program again, and with it TensorFlow.
"""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from jft_reps.toy_world.world import KEYPOINTS, SPLITS, Picture, ToyObject, ToyWorld


def encoded(picture: Picture, quality: int, masks: bool, keypoints: bool) -> dict[str, Any]:
  """The arguments of `schema.encode` for a picture: JPEG, labels, boxes, masks, keypoints."""
  objects = picture.objects
  fields = dict(
      **_picture(picture, quality), labels=list(picture.labels),
      boxes=[thing.box for thing in objects],
      object_labels=[thing.label for thing in objects],
  )
  if masks:
    fields["object_masks"] = [_file(".png", thing.mask) for thing in objects]
  if keypoints:
    fields["keypoints"] = [_points(thing) for thing in objects]
  return fields


def people(picture: Picture, quality: int, masks: bool) -> dict[str, Any]:
  """The same for a picture of jointed figures, all of class 0; areas are those of their masks."""
  figures = picture.objects
  return {
      **encoded(picture, quality, masks, keypoints=True), "labels": [0],
      "object_labels": [0] * len(figures), "crowd": [False] * len(figures),
      "area": [float(thing.mask.sum()) for thing in figures]}


def segmented(picture: Picture, quality: int) -> dict[str, Any]:
  """The arguments of `schema.encode` for a picture with a class per pixel, 0 the background."""
  classes = picture.segmentation
  return dict(**_picture(picture, quality), labels=np.unique(classes).tolist(),
              segmentation=_file(".png", classes))


def _picture(picture: Picture, quality: int) -> dict[str, Any]:
  size = picture.image.shape[0]
  return dict(
      picture_id=picture.id,
      encoded=_file(".jpg", cv2.cvtColor(picture.image, cv2.COLOR_RGB2BGR), quality),
      image_format="jpeg", height=size, width=size)


def _points(thing: ToyObject) -> list[list[float]]:
  """Its keypoints, or zeros (not annotated) for what has none."""
  known = np.zeros((len(KEYPOINTS), 3)) if thing.keypoints is None else thing.keypoints
  return known.tolist()


def _file(extension: str, pixels: np.ndarray, quality: int = 95) -> bytes:
  flags = [cv2.IMWRITE_JPEG_QUALITY, quality] if extension == ".jpg" else []
  return cv2.imencode(extension, pixels, flags)[1].tobytes()


def chunks(job: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
  """Encoded pictures of `job`: every `step`-th run of `chunk` indices from `start` to `stop`."""
  world, split, quality = ToyWorld(**job["world"]), job["split"], job["quality"]
  for first in range(job["start"], job["stop"], job["chunk"] * job["step"]):
    indices = range(first, min(first + job["chunk"], job["stop"]))
    pictures = (world.picture(split, i) for i in indices)
    if SPLITS[split].masks:
      yield [segmented(picture, quality) for picture in pictures]
    elif SPLITS[split].jointed:
      yield [people(picture, quality, job["masks"]) for picture in pictures]
    else:
      yield [encoded(picture, quality, job["masks"], job["keypoints"]) for picture in pictures]


def main() -> None:
  for chunk in chunks(json.loads(sys.argv[1])):
    pickle.dump(chunk, sys.stdout.buffer, pickle.HIGHEST_PROTOCOL)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
  main()
