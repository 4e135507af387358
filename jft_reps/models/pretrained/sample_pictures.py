"""Pictures to compare networks on: generated ones, or a few of a folder."""

from __future__ import annotations

import os

import numpy as np
import tensorflow as tf

from jft_reps.errors import DataError
from jft_reps.ops import images as image_ops

_ENDINGS = (".jpg", ".jpeg", ".png")


def noise(size: int, count: int = 2, seed: int = 0) -> np.ndarray:
  """Smooth coloured noise: the amplitude falls with frequency as it does in photographs.

  The exponent is that of natural images (Field 1987, JOSA A 4(12)).

  Args:
    size: height and width.
    count: number of pictures.
    seed: same seed, same pictures.

  Returns:
    uint8 `[count, size, size, 3]` that use all of 0 to 255.
  """
  white = np.random.default_rng(seed).normal(size=(count, size, size, 3))
  y, x = np.fft.fftfreq(size)[:, np.newaxis], np.fft.fftfreq(size)[np.newaxis]
  frequency = np.maximum(np.hypot(y, x), 1 / size)[..., np.newaxis]
  smooth = np.fft.ifft2(np.fft.fft2(white, axes=(1, 2)) / frequency, axes=(1, 2)).real
  low, high = (f(smooth, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
  return np.round(255 * (smooth - low) / (high - low)).astype(np.uint8)


def files(folder: str | os.PathLike[str], count: int = 4) -> list[str]:
  """Paths of the first JPEG and PNG files of a folder, by name.

  Raises:
    DataError: no such folder, or none in it.
  """
  try:
    names = sorted(n for n in os.listdir(folder) if n.lower().endswith(_ENDINGS))
  except OSError as e:
    raise DataError("pictures", folder, e.strerror or str(e),
                    "a folder of JPEG or PNG files") from e
  if not names:
    raise DataError("pictures", folder, "no picture directly in it",
                    "a folder of JPEG or PNG files")
  return [os.path.join(folder, name) for name in names[:count]]


def read(paths: list[str], size: int) -> np.ndarray:
  """Pictures resized to `size` on both sides: uint8 `[n, size, size, 3]`.

  Raises:
    DataError: one does not decode; names it.
  """
  decode, pictures = image_ops.CenterCrop(resize=size, crop=size), []
  for path in paths:
    try:
      pictures.append(decode(tf.io.read_file(path)).numpy())
    except (tf.errors.OpError, UnicodeDecodeError) as e:  # the op's message may quote the bytes
      raise DataError("picture", path, "does not decode", "a whole JPEG or PNG file") from e
  return np.stack(pictures)
