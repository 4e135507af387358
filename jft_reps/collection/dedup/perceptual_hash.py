"""64-bit hashes of a picture's low frequencies, in views that survive crops, borders and rotation.

The signs of the DCT's lowest coefficients (pHash, Zauner 2010, with sign instead of median). A
mirrored or transposed picture has the same coefficients up to sign and order, so the hashes of all
eight symmetries come from the hash itself.

One picture gives one hash per view of `VIEWS`: the whole, centred crops, and crops turned in steps
of 5°. Of two pictures, all views of one are compared with the upright ones of the other: a copy
cropped by 10 % on each side looks as a whole like the original's 80 % crop; under a border, a
caption bar or a rotation the 80 % crops agree.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np

GRID = 128  # side of the grey picture from which views are taken
THUMB = 64  # side of the thumbnail that is kept
COARSE = 32  # side of a view before its DCT
NO_HASH = 0  # of a view too flat to have one
FLAT = 3.0  # standard deviation in grey levels below which there is nothing to compare
_SAMPLES = 2 * COARSE


class View(NamedTuple):
  """A centred square part of the picture, whose sides count as 1.

  Attributes:
    cut: left away at each side.
    degrees: by which the part is turned, in pixels of the picture's own aspect.
  """

  cut: float
  degrees: float = 0.0


UPRIGHT = (View(0.0), View(0.05), View(0.1))
SLIGHTLY_TURNED = (View(0.1, 5.0), View(0.1, -5.0))
# Of a picture turned far, only the inner part is left on both sides. Quarters do the rest.
_FAR = [float(side * degrees) for degrees in range(10, 46, 5) for side in (1, -1)][:-1]
INNER = (View(0.2), *(View(0.2, degrees) for degrees in _FAR))
VIEWS = (*UPRIGHT, *SLIGHTLY_TURNED, *INNER)


class Fingerprint(NamedTuple):
  """What is kept of a picture.

  Attributes:
    hashes: uint64, one per view; all `NO_HASH` if the picture is degenerate.
    thumb: uint8 `[THUMB, THUMB]`, grey.
    aspect: width over height of the picture.
    digest: of the pixels of a degenerate picture, by which it is found all the same; else 0.
  """

  hashes: np.ndarray
  thumb: np.ndarray
  aspect: float
  digest: int = 0

  @property
  def degenerate(self) -> bool:
    """Whether nothing in it can be compared: it is constant, or nearly."""
    return not self.hashes.any()


def sampling(view: View, size: int, samples: int, aspect: float = 1.0) -> np.ndarray:
  """`[2, 3]` affine from pixel (x, y) of a view of `samples` pixels to one of a whole of `size`.

  Args:
    view: to sample.
    size: side of the whole, squeezed into a square.
    samples: side of the view.
    aspect: width over height that the picture had.
  """
  part, turn = 1 - 2 * view.cut, math.radians(view.degrees)
  linear = part * np.array([[math.cos(turn), -math.sin(turn) / aspect],
                            [math.sin(turn) * aspect, math.cos(turn)]])
  offset = 0.5 - linear @ [0.5, 0.5]
  corner = linear @ np.full(2, 0.5 / samples) + offset
  return np.column_stack([linear * size / samples, corner * size - 0.5])


def _frequencies() -> list[tuple[int, int]]:
  """The 64 lowest (v, u) without the mean; with each also the transposed one."""
  pairs = [(v, u) for v in range(14) for u in range(14) if v or u]
  return sorted(pairs, key=lambda p: (p[0] ** 2 + p[1] ** 2, min(p), p))[:64]


# A part of the hash that a search looks up should hold high and low frequencies alike.
_FREQUENCIES = [f for part in range(4) for f in _frequencies()[part::4]]
_ROWS, _COLUMNS = np.array(_FREQUENCIES).T
_COSINES = np.cos(np.pi * np.outer(np.arange(14), np.arange(COARSE) + 0.5) / COARSE)


def hash_pixels(pixels: np.ndarray) -> int:
  """Hash of a grey `[COARSE, COARSE]`: bit i is the sign of frequency i; `NO_HASH` if flat."""
  if pixels.std() < FLAT:
    return NO_HASH
  signs = (_COSINES @ pixels @ _COSINES.T)[_ROWS, _COLUMNS] > 0
  return int(np.packbits(signs, bitorder="little").view("<u8")[0])


def fingerprint(grey: np.ndarray, aspect: float = 1.0) -> Fingerprint:
  """Hashes and thumbnail of a picture.

  Args:
    grey: `[GRID, GRID]` in 0 to 255.
    aspect: width over height of the picture that was squeezed into it.
  """
  grey = np.asarray(grey, np.float32)
  thumb = cv2.resize(grey, (THUMB, THUMB), interpolation=cv2.INTER_AREA)
  hashes = np.full(len(VIEWS), NO_HASH, np.uint64)
  coarse = cv2.resize(thumb, (COARSE, COARSE), interpolation=cv2.INTER_AREA)
  if coarse[1:-1, 1:-1].std() >= FLAT:
    for i, view in enumerate(VIEWS):
      matrix = sampling(view, GRID, _SAMPLES, aspect)
      fine = cv2.warpAffine(grey, matrix, (_SAMPLES, _SAMPLES), borderMode=cv2.BORDER_REPLICATE,
                            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
      hashes[i] = hash_pixels(cv2.resize(fine, (COARSE, COARSE), interpolation=cv2.INTER_AREA))
  return Fingerprint(hashes, np.rint(thumb).clip(0, 255).astype(np.uint8), aspect)


class Symmetry(NamedTuple):
  """One of the square's: transposed first, then mirrored."""

  transpose: bool
  flip_rows: bool
  flip_columns: bool

  @property
  def mirrors(self) -> bool:
    """Whether left and right change places, which turns rotations around."""
    return self.transpose ^ self.flip_rows ^ self.flip_columns

  def of_pixels(self, pixels: np.ndarray) -> np.ndarray:
    """`[…, side, side]` after it."""
    pixels = pixels.swapaxes(-1, -2) if self.transpose else pixels
    pixels = pixels[..., ::-1, :] if self.flip_rows else pixels
    return pixels[..., ::-1] if self.flip_columns else pixels

  def of_hashes(self, hashes: np.ndarray) -> np.ndarray:
    """uint64 hashes of any shape, of the same pixels after it; `NO_HASH` stays."""
    bits = np.unpackbits(np.ascontiguousarray(hashes, "<u8")[..., None].view(np.uint8), axis=-1,
                         bitorder="little")
    if self.transpose:
      bits = bits[..., _TRANSPOSED]
    odd = self.flip_rows * _ROWS + self.flip_columns * _COLUMNS
    bits = bits ^ (odd % 2).astype(np.uint8)
    packed = np.ascontiguousarray(np.packbits(bits, axis=-1, bitorder="little"))
    found = packed.view("<u8")[..., 0]
    return np.where(hashes == NO_HASH, np.uint64(NO_HASH), found)


_TRANSPOSED = [_FREQUENCIES.index((u, v)) for v, u in _FREQUENCIES]
SYMMETRIES = tuple(Symmetry(bool(i & 4), bool(i & 2), bool(i & 1)) for i in range(8))


class Policy(NamedTuple):
  """What a copy may have been turned by, beside about 5°.

  Attributes:
    symmetries: of the picture.
    views: how many of `VIEWS` are looked for.
    upright: indices of those they are looked for among.
  """

  symmetries: tuple[Symmetry, ...]
  views: int
  upright: tuple[int, ...]


_FEW = len(UPRIGHT) + len(SLIGHTLY_TURNED), tuple(range(len(UPRIGHT)))
POLICIES = {
    "none": Policy(SYMMETRIES[:1], *_FEW),
    "mirror": Policy(SYMMETRIES[:2], *_FEW),
    "quarters": Policy(SYMMETRIES, *_FEW),
    "any": Policy(SYMMETRIES, len(VIEWS), (*_FEW[1], VIEWS.index(INNER[0]))),
}
