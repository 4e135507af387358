"""Index masks and pictures of their size, good and bad."""

from __future__ import annotations

import io
import pathlib

import numpy as np
import tensorflow as tf
from PIL import Image

from jft_reps.data.records import schema
from tests.data import picture_files as files


def indices(seed: int = 0, height: int = 40, width: int = 50, classes: int = 4) -> np.ndarray:
  """Rectangles of classes on background with a frame of void, uint8."""
  rng = np.random.default_rng(seed)
  mask = np.zeros((height, width), np.uint8)
  for index in range(1, classes):
    y, x = rng.integers(0, height - 8), rng.integers(0, width - 8)
    mask[y : y + 8, x : x + 8] = index
  mask[0] = 255
  return mask


def png(mask: np.ndarray, mode: str = "P") -> bytes:
  """Palette PNG as VOC's, or one of another of Pillow's modes."""
  out = io.BytesIO()
  if mode == "P":
    image = Image.fromarray(mask)
    image.putpalette(np.random.default_rng(1).integers(0, 256, 768).astype(np.uint8).tobytes())
  else:
    image = Image.fromarray(mask).convert(mode)
  image.save(out, "PNG")
  return out.getvalue()


def jpeg(mask: np.ndarray) -> bytes:
  out = io.BytesIO()
  Image.fromarray(mask).save(out, "JPEG")
  return out.getvalue()


def matlab(mask: np.ndarray, compressed: bool = True) -> bytes:
  """As in SBD's `cls`: a struct GTcls with Boundaries, Segmentation and CategoriesPresent."""
  import scipy.io

  out = io.BytesIO()
  present = np.setdiff1d(mask, [0, 255])[:, None]
  scipy.io.savemat(out, {"GTcls": {
      "Boundaries": np.array([[np.zeros((1, 1))], [0]], object), "Segmentation": mask,
      "CategoriesPresent": present}}, do_compression=compressed)
  return out.getvalue()


def folders(root: pathlib.Path, **masks: bytes | np.ndarray) -> tuple[pathlib.Path, pathlib.Path]:
  """(pictures, masks), one of each by name; arrays become palette PNGs."""
  for name in ("pictures", "masks"):
    (root / name).mkdir(parents=True, exist_ok=True)
  for i, (name, mask) in enumerate(masks.items()):
    data = png(mask) if isinstance(mask, np.ndarray) else mask
    (root / "pictures" / f"{name}.jpg").write_bytes(files.encoded(i, 40, 50))
    (root / "masks" / f"{name}.png").write_bytes(data)
  return root / "pictures", root / "masks"


def stored(record_set) -> dict[str, tuple[np.ndarray | None, list[int], bytes]]:
  """(mask, labels, encoded mask) of every record by picture id."""
  out = {}
  for path in record_set.paths:
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
      feature = tf.train.Example.FromString(record).features.feature
      name = feature[schema.SOURCE_ID].bytes_list.value[0].decode()
      there = schema.SEGMENTATION in feature  # asking for it would make it
      [data] = feature[schema.SEGMENTATION].bytes_list.value if there else [b""]
      mask = tf.io.decode_png(data, channels=1).numpy()[..., 0] if data else None
      out[name] = mask, list(feature[schema.LABEL].int64_list.value), data
  return out
