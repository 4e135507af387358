"""The contact sheet of the toy world, docs/toy_world.png: `sheet.write(ToyWorld(), path)`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jft_reps.toy_world.figures import SKELETON
from jft_reps.toy_world.world import Picture, ToyWorld

_GAP, _TITLE, _LINE = 8, 24, 12
_PAPER, _INK, _FAINT, _BONE = (255, 255, 255), (40, 38, 46), (110, 106, 118), (235, 45, 85)
_BANDS = (
    ("fasteval", "Pre-training classes, drawn uniformly"),
    ("transfer_test", "Held out for transfer: shapes, textures and one whole family"),
    ("figures_test", "Jointed figures with their keypoints"),
)


def contact_sheet(world: ToyWorld, rows: int = 4, columns: int = 8) -> np.ndarray:
  """Pictures with the names of their objects beneath: uint8 `[height, width, 3]`.

  Leaves are drawn uniformly. The last two rows show held-out classes and jointed figures.
  """
  heights = (max(rows - 2, 1), int(rows > 1), int(rows > 2))
  strips = []
  for (split, title), height in zip(_BANDS, heights):
    chosen = itertools.islice(_pictures(world, split), height * columns)
    for row in range(height):
      pictures = list(itertools.islice(chosen, columns))
      strips.append(_strip(world, pictures, "" if row else title, world.vocabulary_of(split).names))
  return np.concatenate(strips)


def write(world: ToyWorld, path: str, rows: int = 5, columns: int = 8) -> None:
  """Writes the sheet as a PNG of 256 colours, a quarter of the size of the full one."""
  image = Image.fromarray(contact_sheet(world, rows, columns))
  colours = image.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=2)
  image.quantize(palette=colours, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)


def _pictures(world: ToyWorld, split: str) -> Iterator[Picture]:
  """Pictures of a split in order; of figures, those with few of them, so that poses are seen."""
  pictures = (world.picture(split, i) for i in itertools.count())
  return (p for p in pictures if len(p.leaves) < 3 or not split.startswith("figures"))


def _strip(world: ToyWorld, pictures: list[Picture], title: str, names) -> np.ndarray:
  """One row of pictures under its title."""
  captions = [[names[leaf] for leaf in dict.fromkeys(picture.leaves)] for picture in pictures]
  step, top = world.size + _GAP, _TITLE if title else 0
  height = top + world.size + _LINE * max(map(len, captions)) + _GAP
  image = Image.new("RGB", (len(pictures) * step + _GAP, height), _PAPER)
  pen = ImageDraw.Draw(image)
  pen.text((_GAP, 4), title, _INK, ImageFont.load_default(13))
  for column, (picture, lines) in enumerate(zip(pictures, captions)):
    x = _GAP + column * step
    image.paste(Image.fromarray(picture.image), (x, top))
    if title == _BANDS[2][1]:
      _skeletons(pen, picture, x, top, world.size)
    for line, text in enumerate(lines):
      pen.text((x, top + world.size + line * _LINE), text, _FAINT, _font(text, world.size))
  return np.asarray(image)


def _font(text: str, width: int):
  """The largest legible font in which the text is no wider than its picture."""
  fonts = [ImageFont.load_default(size) for size in (10, 9, 8, 7)]
  return next((font for font in fonts if font.getlength(text) <= width), fonts[-1])


def _skeletons(pen: ImageDraw.ImageDraw, picture: Picture, x: int, y: int, size: int) -> None:
  for thing in picture.objects:
    if thing.keypoints is None:
      continue
    places = [(x + px * size, y + py * size) for py, px, _ in thing.keypoints.tolist()]
    for a, b in SKELETON:
      pen.line((places[a], places[b]), _BONE, 1)
    for px, py in places:
      pen.ellipse((px - 1.5, py - 1.5, px + 1.5, py + 1.5), _PAPER, _BONE)
