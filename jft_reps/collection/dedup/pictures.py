"""Pictures of any kind that PIL reads, as `dedup` looks at them: grey squares and their hashes.

What cannot be decoded is a reason, never an exception, and no decoder sees a picture whose header
says too many pixels. Formats that run other programs (EPS) or hold no pixels (SVG) are not read.
"""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import hashlib
import io
import itertools
import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from absl import logging
from PIL import Image, ImageOps, UnidentifiedImageError

from jft_reps import errors
from jft_reps.collection.dedup import perceptual_hash
from jft_reps.data.sources import file_tree, raw

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "PPM", "GIF", "TIFF")  # MPO is a JPEG
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".pbm",
            ".pnm", ".gif", ".tif", ".tiff", ".mpo")
MAX_PIXELS = 40_000_000  # as of pictures in records
MAX_PIXELS_WEBP = 16_000_000  # its decoder takes 16 bytes for each
MIN_SIDE = 8
_LARGEST_FILE = 200 << 20
_CHUNK = 32
_SAMPLES = 2048
_STRIP = 256
_DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")  # more than 8 bits a pixel


class Unreadable(Exception):
  """A picture that gives no pixels; the message is its reason."""


class Picture(NamedTuple):
  """An encoded picture: a path, or the bytes of a record; `reason` if there is neither."""

  picture_id: str
  encoded: str | bytes
  reason: str = ""


def folder(root: str | os.PathLike) -> Iterator[Picture]:
  """Pictures below a folder, nested or flat, by suffix, in sorted order; ids are paths below it.

  Raises:
    errors.DataError: no such folder, or a linked or unreadable one.
  """
  root = os.fspath(root)
  counts: dict[str, int] = {}
  for name in file_tree.walk(root, SUFFIXES, counts):
    try:
      yield Picture(name, raw.inside(root, name, name))
    except errors.DataError:
      yield Picture(name, b"", "path_outside")
  if counts:
    said = ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items())[:10])
    logging.warning("%s: %s", errors.printable(root), said)


def decode(encoded: str | bytes, hint: int = 0) -> Image.Image:
  """A loaded picture, turned upright by its EXIF, in whatever mode it has.

  Args:
    encoded: a path, or the bytes of a file.
    hint: a JPEG may be decoded at a smaller size whose sides are at least this; 0: as it is.

  Raises:
    Unreadable: with the reason.
  """
  try:
    if isinstance(encoded, str):
      if not os.path.isfile(encoded):
        raise Unreadable("missing_file")
      if os.path.getsize(encoded) > _LARGEST_FILE:
        raise Unreadable("too_many_bytes")
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")
      image = Image.open(io.BytesIO(encoded) if isinstance(encoded, bytes) else encoded,
                         formats=FORMATS)
      with image:
        most = MAX_PIXELS_WEBP if image.format == "WEBP" else MAX_PIXELS
        if image.width * image.height > most:
          raise Unreadable("too_many_pixels")
        if hint:
          image.draft("RGB" if image.mode != "L" else "L", (hint, hint))
        image.load()
        return _upright(image)
  except Unreadable:
    raise
  except Image.DecompressionBombError:
    raise Unreadable("too_many_pixels") from None
  except UnidentifiedImageError:
    raise Unreadable("unsupported_format") from None
  except Exception as e:  # decoders of hostile bytes raise almost anything
    raise Unreadable("decode_error") from e


def _upright(image: Image.Image) -> Image.Image:
  with contextlib.suppress(Exception):  # EXIF that makes no sense says nothing
    ImageOps.exif_transpose(image, in_place=True)
  return image


def _squeezed(image: Image.Image, side: int) -> Image.Image:
  """`side` × `side`, whatever the aspect; every pixel counts."""
  box = min(image.size) >= side
  return image.resize((side, side), Image.Resampling.BOX if box else Image.Resampling.BILINEAR)


def _sampled(image: Image.Image) -> Image.Image:
  """A picture of at most `_SAMPLES` a side: converting a large one would copy it several times."""
  size = min(image.width, _SAMPLES), min(image.height, _SAMPLES)
  return image if size == image.size else image.resize(size, Image.Resampling.NEAREST)


def grey(image: Image.Image, side: int = perceptual_hash.GRID) -> np.ndarray:
  """`[side, side]` float32 in 0 to 255, of a picture of any mode; transparency is white."""
  if image.mode in _DEEP:
    pixels = np.asarray(_squeezed(_sampled(image).convert("F"), side), np.float32)
    pixels = np.nan_to_num(pixels, posinf=0.0, neginf=0.0)
    low, high = 0.0, float(pixels.max())
    if image.mode.startswith("I;16") or high > 255:
      low, high = float(pixels.min()), max(high, 1.0)
      return (pixels - low) * (255 / max(high - low, 1e-6))
    return pixels.clip(0, 255)
  return np.array(_squeezed_rgb(image, side).convert("L"), np.float32)


def rgb(image: Image.Image, side: int) -> np.ndarray:
  """`[side, side, 3]` uint8 of a picture of any mode."""
  if image.mode in _DEEP:
    return np.repeat(grey(image, side).astype(np.uint8)[..., None], 3, -1)
  return np.asarray(_squeezed_rgb(image, side))


def _squeezed_rgb(image: Image.Image, side: int) -> Image.Image:
  if image.mode == "LAB":
    return _squeezed(image, side).getchannel(0).convert("RGB")
  if image.has_transparency_data or image.mode in ("LA", "La", "PA", "RGBa"):
    small = _squeezed(_sampled(image).convert("RGBA"), side)
    return Image.alpha_composite(Image.new("RGBA", small.size, "white"), small).convert("RGB")
  if image.mode not in ("L", "RGB", "CMYK", "YCbCr"):
    image = _sampled(image).convert("RGB")
  return _squeezed(image, side).convert("RGB")


def _digest(image: Image.Image) -> int:
  """Never 0; the same for the same pixels, whatever the format."""
  deep = image.mode in _DEEP
  digest = hashlib.blake2b(f"{image.size} {image.mode if deep else ''}".encode(), digest_size=8)
  for top in range(0, image.height, _STRIP):
    strip = image.crop((0, top, image.width, min(top + _STRIP, image.height)))
    digest.update((strip if deep else strip.convert("RGBA")).tobytes())
  return int.from_bytes(digest.digest(), "little") or 1


def fingerprint(picture: Picture) -> perceptual_hash.Fingerprint | str:
  """Of one picture, or the reason why there is none; one of a few pixels is degenerate."""
  if picture.reason:
    return picture.reason
  try:
    image = decode(picture.encoded, 2 * perceptual_hash.GRID)
    pixels = grey(image)
    # Draft mode shrinks only pictures whose sides stay far above this.
    pixels *= min(image.size) >= MIN_SIDE
    found = perceptual_hash.fingerprint(pixels, image.width / image.height)
    return found._replace(digest=_digest(image)) if found.degenerate else found
  except Unreadable as e:
    return str(e)
  except (ValueError, OSError, MemoryError):
    return "decode_error"


def pixels(picture: Picture, side: int) -> np.ndarray | None:
  """`rgb` of one picture; None if it cannot be read."""
  try:
    return None if picture.reason else rgb(decode(picture.encoded, 2 * side), side)
  except (Unreadable, ValueError, OSError, MemoryError):
    return None


def shrunk(picture: Picture, side: int) -> np.ndarray | None:
  """`[height, width, 3]` with its aspect, no side above `side`; None if it cannot be read."""
  try:
    if picture.reason:
      return None
    image = decode(picture.encoded, 2 * side)
    width, height = image.size
    scale = min(1.0, side / max(width, height))
    square = Image.fromarray(rgb(image, max(8, round(scale * max(width, height)))))
    return np.asarray(square.resize([max(1, round(s * scale)) for s in (width, height)]))
  except (Unreadable, ValueError, OSError, MemoryError):
    return None


def mapped(function: Callable[..., Any], pictures: Iterable[Picture], processes: int,
           *more: Any) -> Iterator[tuple[str, Any]]:
  """(id, `function(picture, *more)`) in order, by a pool of processes; few are in flight.

  Raises:
    errors.DataError: a process ended early.
  """
  if processes <= 1:
    for picture in pictures:
      yield picture.picture_id, function(picture, *more)
    return
  remaining = iter(pictures)
  waiting: collections.deque[tuple[list[Picture], concurrent.futures.Future]] = (
      collections.deque())
  context = multiprocessing.get_context("spawn")
  with concurrent.futures.ProcessPoolExecutor(processes, mp_context=context) as pool:
    try:
      while True:
        while len(waiting) < 3 * processes:
          chunk = list(itertools.islice(remaining, _CHUNK))
          if not chunk:
            break
          waiting.append((chunk, pool.submit(_chunk, function, chunk, more)))
        if not waiting:
          return
        chunk, job = waiting.popleft()
        yield from zip((p.picture_id for p in chunk), job.result())
    except concurrent.futures.process.BrokenProcessPool:
      raise errors.DataError(
          "process-died", errors.printable(chunk[0].picture_id),
          "a process that decodes pictures ended early", fix="Out of memory? Fewer --processes; "
          f"it was in this or the next {_CHUNK * 3 * processes} pictures.") from None
    finally:
      for _, job in waiting:
        job.cancel()


def _chunk(function: Callable[..., Any], pictures: list[Picture], more: tuple) -> list[Any]:
  return [function(picture, *more) for picture in pictures]
