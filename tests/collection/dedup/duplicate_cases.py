"""Made pictures and their copies, for the tests of near-duplicates."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps

from jft_reps.collection.dedup import index
from jft_reps.collection.dedup.pictures import Picture


def scene(seed: int, height: int = 120, width: int = 160) -> Image.Image:
  """Spots of several sizes and colours."""
  rng = np.random.default_rng(seed)
  layers = [np.asarray(Image.fromarray(rng.integers(0, 256, (n, n, 3)).astype(np.uint8)).resize(
      (width, height), Image.Resampling.BICUBIC), np.float32) / n**0.5 for n in (3, 6, 12)]
  mixed = sum(layers)
  return Image.fromarray(((mixed - mixed.min()) / np.ptp(mixed) * 255).astype(np.uint8))


def data(image: Image.Image, form: str = "JPEG", **options) -> bytes:
  out = io.BytesIO()
  image.save(out, form, **({"quality": 90} if form == "JPEG" else {}), **options)
  return out.getvalue()


def parts(pictures: dict[str, bytes], size: int = 1000) -> list[index.Part]:
  return list(index.collect((Picture(*p) for p in pictures.items()), size=size))


def brightened(image, by=4):
  return Image.fromarray((np.asarray(image).astype(int) + by).clip(0, 255).astype(np.uint8))


def with_exif(image, orientation):
  """The picture as stored by a camera that was turned."""
  stored = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}[orientation]
  exif = Image.Exif()
  exif[0x0112] = orientation
  return data(image.transpose(stored), exif=exif)


def _quality(image, quality):
  out = io.BytesIO()
  image.save(out, "JPEG", quality=quality)
  return out.getvalue()


LIGHT = {
    "resized": lambda m: data(m.resize((96, 72))),
    "recompressed": lambda m: _quality(m, 15),
    "brighter": lambda m: data(brightened(m)),
    "exif": lambda m: with_exif(m, 6),
    "exif 180": lambda m: with_exif(m, 3),
    "png": lambda m: data(m, "PNG"),
    "grey": lambda m: data(m.convert("L")),
    "cropped": lambda m: data(m.crop((16, 12, 144, 108))),
    "framed": lambda m: data(ImageOps.expand(m, 8)),
}
TURNED = {
    "mirrored": lambda m: data(ImageOps.mirror(m)),
    "upside down": lambda m: data(ImageOps.flip(m)),
    "quarter": lambda m: data(m.transpose(Image.Transpose.ROTATE_90)),
    "slightly": lambda m: data(m.rotate(5, Image.Resampling.BICUBIC)),
    "by 30": lambda m: data(m.rotate(30, Image.Resampling.BICUBIC)),
}
