"""Pictures with skeletons for TensorBoard: ground truth on the left, prediction on the right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jft_reps.tasks.panels import canvas

_RADIUS = 3
_DOT = (255, 230, 0)


def panel(image: np.ndarray, truth: np.ndarray, found: np.ndarray, scores: np.ndarray,
          skeleton: Sequence[tuple[int, int]]) -> np.ndarray:
  """uint8 `[480, 966, 3]`: the picture twice, with people on it.

  Each limb has a colour of its own. Points are dots, hidden ones hollow; what is not labelled is
  not drawn, and a limb only between points that are.

  Args:
    image: uint8 `[height, width, 3]`.
    truth: `[n, K, 3]` (y, x, visibility) in pixels of the picture, centres at +0.5.
    found: `[m, K, 2]`; the best is drawn last.
    scores: `[m]`, written beside the highest point.
    skeleton: the points that each limb joins.
  """
  order = np.argsort(scores, kind="stable")
  poses = np.concatenate([found, np.full((*found.shape[:2], 1), 2.0)], axis=2)[order]
  return canvas.beside(
      _drawn(image, truth, [""] * len(truth), skeleton),
      _drawn(image, poses, [f"{score:.2f}" for score in scores[order]], skeleton))


def _drawn(image: np.ndarray, people: np.ndarray, texts: Sequence[str],
           skeleton: Sequence[tuple[int, int]]) -> Image.Image:
  picture, factor = canvas.scaled(image)
  drawn = canvas.square(picture)
  draw = ImageDraw.Draw(drawn)
  for person, text in zip(people, texts):
    # Drawing takes no NaN, and is slow for what lies far outside.
    places = [tuple(np.clip(point[1::-1] * factor, -canvas.SIDE, 2 * canvas.SIDE))
              if point[2] > 0 and np.isfinite(point).all() else None for point in person]
    _draw_person(draw, places, person[:, 2], skeleton)
    shown = [place for place in places if place]
    if text and shown:
      _write(draw, min(shown, key=lambda place: place[1]), text)
  return drawn


def _draw_person(draw: ImageDraw.ImageDraw, places: Sequence[tuple[float, float] | None],
                 visibility: np.ndarray, skeleton: Sequence[tuple[int, int]]) -> None:
  for i, (a, b) in enumerate(skeleton):
    start, end = places[a], places[b]
    if start and end:
      draw.line([start, end], fill=canvas.colour(i), width=2)
  for place, seen in zip(places, visibility):
    if place:
      x, y = place
      draw.ellipse([x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS],
                   outline=(0, 0, 0) if seen > 1 else _DOT, fill=_DOT if seen > 1 else None)


def _write(draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str) -> None:
  font = ImageFont.load_default()
  corner = place[0] + 5, max(0, place[1] - 18)
  left, top, right, bottom = draw.textbbox(corner, text, font=font)
  draw.rectangle([left - 1, top - 1, right + 1, bottom + 1], fill=(255, 255, 255))
  draw.text(corner, text, fill=(0, 0, 0), font=font)
