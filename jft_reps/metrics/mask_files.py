"""Masks as PASCAL VOC's server takes them: palette PNGs in VOC's colours, a folder of them.

VOC2012's development kit, "Segmentation Task, Submission of Results" and `VOCinit.m`: one PNG per
test picture with the class id of each pixel, `results/VOC2012/Segmentation/<competition>/<picture
id>.png`, where comp5 is for systems that saw no data but VOC's and comp6 for all others, such as
pre-trained ones. What is sent is an archive of `results`.
"""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Iterable

import numpy as np
from PIL import Image

from jft_reps import whole_files
from jft_reps.errors import ConfigError, DataError, printable
from jft_reps.metrics.score_batches import text

VOC_COMPETITION = "comp6_test_cls"


@functools.cache
def palette() -> np.ndarray:
  """VOC's colours, uint8 `[256, 3]`, read-only; 255 is the light one of void.

  As `VOClabelcolormap.m` makes them: the bits of the index go to red, green, blue, red, ..., each
  colour being filled from its highest bit.
  """
  index = np.arange(256)
  colours = np.zeros((256, 3), np.uint8)
  for bit in range(8):
    colours[:, bit % 3] |= ((index >> bit & 1) << 7 - bit // 3).astype(np.uint8)
  colours.setflags(write=False)
  return colours


def encode(mask: np.ndarray) -> bytes:
  """A PNG of palette indices in VOC's colours.

  Args:
    mask: uint8 `[height, width]` of at least a pixel.

  Raises:
    DataError: it is not.
  """
  if mask.dtype != np.uint8 or mask.ndim != 2 or not mask.size:
    raise DataError("mask-type", "mask", f"dtype {mask.dtype} and shape {list(mask.shape)}",
                    "uint8 [height, width] of at least a pixel")
  image = Image.frombytes("P", mask.shape[::-1], np.ascontiguousarray(mask))
  image.putpalette(palette().tobytes())
  file = io.BytesIO()
  image.save(file, "PNG")
  return file.getvalue()


def write_voc_masks(directory: str | os.PathLike, found: Iterable[tuple[str, bytes]],
                    competition: str = VOC_COMPETITION) -> str:
  """Writes one file per picture, each as a whole; returns their folder.

  Args:
    directory: where `results` is made. Masks of other pictures that are there already stay.
    found: picture ids (file stems, `/` for folders inside) and masks, see `encode`.
    competition: and image set, e.g. comp5_test_cls where only VOC's data was used.

  Raises:
    ConfigError: a competition that is no file name.
    DataError: a picture id that is no file name.
    StorageError: a file cannot be written.
  """
  if not _is_file_name(competition):
    raise ConfigError("voc-file-name", "competition", repr(printable(competition)),
                      "one such as comp6_test_cls")
  folder = os.path.join(os.fspath(directory), "results", "VOC2012", "Segmentation", competition)
  whole_files.write_all(folder, {})  # there, if for no picture
  for picture_id, png in found:
    name = text(picture_id)
    *folders, last = parts = name.split("/")
    if not all(map(_is_file_name, parts)):
      raise DataError("voc-picture-id", printable(folder), f"picture {printable(name)!r}",
                      "an id that may be a file name", "VOC's are such as 2008_000001.")
    whole_files.write_all(os.path.join(folder, *folders), {f"{last}.png": png})
  return folder


def _is_file_name(name: str) -> bool:
  """Whether it names a file inside its folder, on any system."""
  return name.isprintable() and not name.startswith(".") and not set(name) & set('/\\:') and (
      name == name.strip() != "")
