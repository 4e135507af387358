"""Tiny detection sets in the forms of others, good and bad."""

from __future__ import annotations

import json
import pathlib

import tensorflow as tf

from jft_reps.data.records import schema
from tests.data import picture_files as files


def stored(record_set) -> dict[str, dict]:
  """Every record by picture id, as lists by the last part of the feature's name."""
  out = {}
  for path in record_set.paths:
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
      features = tf.train.Example.FromString(record).features.feature
      values = {k: list(getattr(v, v.WhichOneof("kind")).value) if v.WhichOneof("kind") else []
                for k, v in features.items()}
      boxes = list(zip(*(values[side] for side in schema.BOX)))
      out[values[schema.SOURCE_ID][0].decode()] = {
          "boxes": boxes, "labels": values[schema.OBJECT_LABEL], "class": values[schema.LABEL],
          "crowd": values[schema.OBJECT_CROWD], "difficult": values[schema.OBJECT_DIFFICULT],
          "area": values[schema.OBJECT_AREA], "encoded": values[schema.ENCODED][0],
          "size": (values[schema.HEIGHT][0], values[schema.WIDTH][0])}
  return out


def pictures(root: pathlib.Path, names, height: int = 40, width: int = 50) -> pathlib.Path:
  root.mkdir(parents=True, exist_ok=True)
  for i, name in enumerate(names):
    (root / name).write_bytes(files.encoded(i, height, width))
  return root


def coco(images: int = 2, **changes) -> dict:
  """Categories 7 (cat) and 3 (dog), a box of each in picture 1, none in the others."""
  content = {
      "images": [{"id": i, "file_name": f"{i}.jpg", "height": 40, "width": 50}
                 for i in range(1, images + 1)],
      "categories": [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}],
      "annotations": [
          {"id": 11, "image_id": 1, "category_id": 7, "bbox": [10, 4, 20, 8], "area": 99.5,
           "iscrowd": 0, "segmentation": [[10, 4, 30, 4, 30, 12]]},
          {"id": 12, "image_id": 1, "category_id": 3, "bbox": [0, 0, 50, 40], "area": 2000,
           "iscrowd": 1, "segmentation": {"counts": "x", "size": [40, 50]}}]}
  content.update(changes)
  return content


def write_coco(root: pathlib.Path, content, name: str = "a.json") -> pathlib.Path:
  root.mkdir(parents=True, exist_ok=True)
  text = content if isinstance(content, str) else json.dumps(content)
  (root / name).write_text(text)
  return root / name


def voc_xml(*objects, size=(40, 50)) -> str:
  """Objects are (name, xmin, ymin, xmax, ymax[, difficult])."""
  parts = []
  for name, *box in objects:
    corners = zip(("xmin", "ymin", "xmax", "ymax"), box)
    flag = f"<difficult>{box[4]}</difficult>" if len(box) > 4 else ""
    parts.append(f"<object><name>{name}</name>{flag}<truncated>1</truncated><bndbox>"
                 + "".join(f"<{k}>{v}</{k}>" for k, v in corners) + "</bndbox>"
                 "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part></object>")
  stated = f"<size><width>{size[1]}</width><height>{size[0]}</height></size>" if size else ""
  return f"<annotation>{stated}{''.join(parts)}</annotation>"


def devkit(root: pathlib.Path, annotations: dict[str, str], **lists: str) -> pathlib.Path:
  """Annotations by stem, lists by name of the set; every annotation has a picture."""
  pictures(root / "JPEGImages", [f"{stem}.jpg" for stem in annotations])
  (root / "Annotations").mkdir()
  for stem, text in annotations.items():
    (root / "Annotations" / f"{stem}.xml").write_text(text)
  if lists:
    (root / "ImageSets" / "Main").mkdir(parents=True)
    for name, text in lists.items():
      (root / "ImageSets" / "Main" / f"{name}.txt").write_text(text)
  return root
