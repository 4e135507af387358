"""Small pictures and records, good and bad, for the tests of the input."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from jft_reps.data.records import schema


def pixels(seed: int, height: int, width: int) -> np.ndarray:
  """Smooth colours with noise on them, uint8 `[height, width, 3]`."""
  rng = np.random.default_rng(seed)
  coarse = rng.integers(0, 256, (4, 4, 3)).astype(np.uint8)
  smooth = Image.fromarray(coarse).resize((width, height), Image.BICUBIC)
  noisy = np.asarray(smooth).astype(np.float64) + rng.normal(0, 12, (height, width, 3))
  return noisy.clip(0, 255).astype(np.uint8)


def encoded(seed: int, height: int = 24, width: int = 32, mode: str = "RGB", form: str = "JPEG",
            **options) -> bytes:
  image = Image.fromarray(pixels(seed, height, width)).convert(mode)
  out = io.BytesIO()
  image.save(out, form, **({"quality": 90} if form == "JPEG" else {}), **options)
  return out.getvalue()


def png(
    height: int, width: int, bits: int, colour: int, rows: bytes, palette: bytes = b""
) -> bytes:
  """A PNG file from its raw filtered rows; lies about its size where asked to."""

  def chunk(kind: bytes, body: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + check

  header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
  parts = [chunk(b"IHDR", header), chunk(b"PLTE", palette) if palette else b"",
           chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
  return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def rows(pixels: np.ndarray) -> bytes:
  """Rows of a PNG without filters, of uint8 `[height, width, channels]`."""
  flat = pixels.reshape(len(pixels), -1)
  return np.concatenate([np.zeros((len(flat), 1), np.uint8), flat], 1).tobytes()


def grey_png(mask: np.ndarray) -> bytes:
  """A mask `[height, width]` as records have it: a greyscale PNG of 8 bits."""
  out = io.BytesIO()
  Image.fromarray(np.asarray(mask, np.uint8), "L").save(out, "PNG")
  return out.getvalue()


def jpeg_of_claimed_size(height: int, width: int) -> bytes:
  """A good small JPEG whose frame header says another size."""
  data = bytearray(encoded(0, 16, 16))
  at = data.index(b"\xff\xc0")
  data[at + 5 : at + 9] = struct.pack(">HH", height, width)
  return bytes(data)


def example(name: str, picture: bytes | None = None, labels=(1,), **more) -> bytes:
  if picture is None:
    picture = encoded(sum(name.encode()))
  return schema.encode(name, picture, "jpeg", 24, 32, labels, **more)
