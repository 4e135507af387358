"""What is wrong with the picture and the masks of one record: headers, and pixels where asked."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from jft_reps.collection.checks.records import Problem, Rules
from jft_reps.data.building import masks
from jft_reps.data.records import reasons, schema
from jft_reps.ops import picture_headers

_MASK_PIXELS = 400_000_000  # of one record that are decoded; a few kilobytes can claim millions


def examine(values: dict[str, Any], rules: Rules, decode: bool) -> list[Problem]:
  """What is wrong with the picture and the masks of a record; nothing where it has no one picture.

  Args:
    values: of `record_checks.Record`.
    rules: of its set.
    decode: look at every pixel, not only at headers.
  """
  encoded = values[schema.ENCODED][0] if len(values[schema.ENCODED]) == 1 else b""
  if not encoded:
    return []  # which is a problem that `record_checks` tells
  if not encoded.startswith((picture_headers.JPEG_MAGIC, picture_headers.PNG_MAGIC)):
    return [_problem(reasons.UNSUPPORTED_FORMAT, f"starts with {encoded[:8].hex(' ')}; expected "
                     "a JPEG or PNG")]
  size, problem = _header(encoded)
  if problem:
    return [problem]
  found = []
  for key, side in zip((schema.HEIGHT, schema.WIDTH), size):
    if list(values[key]) not in ([], [side]):
      found.append(_problem(
          reasons.SIZE_MISMATCH, f"{key} {list(values[key])[:3]}, the picture's is {side}"))
  if decode:
    try:
      tf.io.decode_jpeg(encoded, channels=3)  # decodes PNG too
    except tf.errors.OpError as error:
      text = str(error.message).partition(" [Op:")[0]
      found.append(_problem(reasons.DECODE_ERROR, text))
  for mask in values[schema.SEGMENTATION][:1]:
    found += _mask(mask, size, rules.num_classes or masks.VOID, decode)
  decoded = _MASK_PIXELS // (size[0] * size[1]) if decode else 0
  for i, mask in enumerate(values[schema.OBJECT_MASK]):
    found += [(reason, f"object {i}: {text}") for reason, text in _png(mask, size, i < decoded)[1]]
  return found


def _problem(code: int, text: str) -> Problem:
  return reasons.NAMES[code], text


def _header(encoded: bytes) -> tuple[tuple[int, int], Problem | None]:
  """(height and width, why the reader would leave the picture out before it decodes it)."""
  try:
    if encoded.startswith(picture_headers.PNG_MAGIC):
      width, height = struct.unpack_from(">II", encoded, 16)
    else:
      height, width, _ = tf.image.extract_jpeg_shape(encoded).numpy().tolist()
  except (tf.errors.OpError, struct.error):
    return (0, 0), _problem(reasons.DECODE_ERROR, "the header is damaged")
  problems = picture_headers.side_problems(min(height, width), max(height, width))
  for code, wrong in zip(
      (reasons.TOO_MANY_PIXELS, reasons.TOO_SMALL, reasons.BAD_ASPECT), problems):
    if wrong:
      return (height, width), _problem(code, f"{height}x{width} pixels")
  return (height, width), None


def _png(
    data: bytes, size: Sequence[int], decode: bool
) -> tuple[np.ndarray | None, list[Problem]]:
  """(indices `[height, width]` where they were decoded, problems) of a mask."""
  if not data.startswith(picture_headers.PNG_MAGIC) or len(data) < 33:
    return None, [_problem(reasons.BAD_MASK, "no PNG")]
  width, height = struct.unpack_from(">II", data, 16)
  if (height, width) != tuple(size):
    return None, [_problem(
        reasons.SIZE_MISMATCH, f"mask of {height}x{width}, picture of {size[0]}x{size[1]}")]
  if not decode:
    return None, []
  try:
    return tf.io.decode_png(data, channels=1)[..., 0].numpy(), []
  except tf.errors.OpError:
    return None, [_problem(reasons.BAD_MASK, "a PNG that does not decode")]


def _mask(data: bytes, size: Sequence[int], num_classes: int, decode: bool) -> list[Problem]:
  """What is wrong with a mask of classes."""
  if data.startswith(picture_headers.PNG_MAGIC) and data[24:26] != b"\x08\x00":
    return [_problem(reasons.BAD_MASK, "no greyscale PNG of 8 bits")]
  indices, found = _png(data, size, decode)
  if indices is None:
    return found
  outside = indices[(indices >= num_classes) & (indices != masks.VOID)]
  if outside.size:
    found.append(_problem(
        reasons.LABEL_OUT_OF_RANGE, f"class {outside.min()} in {outside.size} pixels of the mask; "
        f"expected 0 to {num_classes - 1}, or {masks.VOID}"))
  if (indices == masks.VOID).all():
    found.append(_problem(reasons.VOID_MASK, "a mask of nothing but void"))
  return found
