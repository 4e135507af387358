"""Plants of the toy world: flowers, trees, fruit."""

from __future__ import annotations

import numpy as np

from jft_reps.toy_world.geometry import (
  ACCENT,
  BODY,
  DARK,
  GREEN,
  LIGHT,
  SHADE,
  WOOD,
  Part,
  arc,
  around,
  blob,
  ellipse,
  limb,
  polygon,
  rotate,
)


def _stem(top: float, *leaves: float) -> list[Part]:
  """A stem from `top` to the ground with leaves turned by the given degrees."""
  leaf = ellipse(0, -3.2, 1.3, 3.4)
  return [(GREEN, limb(0, top, 0, 10, 0.55)), *((GREEN, rotate(leaf, a) + (0, 9)) for a in leaves)]


def flowers() -> dict[str, list[Part]]:
  """Petals on a stem: daisy, tulip, lily, bluebell, poppy."""
  daisy = [
      *_stem(-3, 55), *((BODY, p) for p in around(0, -3.4, 8, ellipse(0, -4.2, 1.7, 3))),
      (ACCENT, ellipse(0, -3.4, 2.5)),
  ]
  tulip = [
      *_stem(0, 30, -30), (SHADE, blob(-3.4, -4, 0, -12, 3.4, -4, 0, 0)),
      (BODY, blob(-5, -10.4, -5.4, -3, -3, 1.4, 1.4, 1.4, 1, -4.6, -2.6, -7)),
      (BODY, blob(5, -10.4, 5.4, -3, 3, 1.4, -1.4, 1.4, -1, -4.6, 2.6, -7)),
  ]
  lily = [
      *_stem(-3, -55),
      *((SHADE, p) for p in around(0, -3, 3, polygon(0, 0, -2, -4, 0, -8, 2, -4), 60)),
      *((BODY, p) for p in around(0, -3, 3, polygon(0, 0.6, -2.3, -4, 0, -8.4, 2.3, -4))),
      (ACCENT, ellipse(0, -3, 1.2)),
  ]
  bell = blob(-1, -2.4, 1, -2.4, 2, 0, 3, 3.4, 1.4, 2.4, 0, 4, -1.4, 2.4, -3, 3.4, -2, 0, rounds=1)
  bluebell = [
      (GREEN, arc(1, -2, 6.6, 5.6, 180, 330)), (GREEN, limb(-5.1, -2, -4, 10, 0.55)),
      (GREEN, rotate(ellipse(0, -4.4, 1.2, 4.4), -24) + (-4.2, 10)),
      *((BODY, bell + place) for place in ((-1.4, -4.2), (3.4, -3.2), (6.6, 1.2))),
  ]
  poppy = [
      *_stem(0, 50, -50), (SHADE, ellipse(0, -6.6, 4.6, 3.6)), (BODY, ellipse(-3.6, -3, 3.8, 4.2)),
      (BODY, ellipse(3.6, -3, 3.8, 4.2)), (BODY, ellipse(0, -0.6, 4.4, 3.2)),
      (DARK, ellipse(0, -3.2, 2, 2)), (ACCENT, ellipse(0, -3.2, 0.8, corners=8)),
  ]
  return dict(daisy=daisy, tulip=tulip, lily=lily, bluebell=bluebell, poppy=poppy)


def trees() -> dict[str, list[Part]]:
  """A crown on a trunk: fir, oak, palm, cactus, poplar."""
  fir = [
      (WOOD, limb(0, 5, 0, 9.4, 1.2)), (BODY, polygon(-7.4, 7, 7.4, 7, 0, -1)),
      (SHADE, polygon(-5, 2.6, 5, 2.6, 0, 4.4)), (BODY, polygon(-6.2, 2.6, 6.2, 2.6, 0, -5.4)),
      (SHADE, polygon(-3.6, -2, 3.6, -2, 0, -0.4)), (BODY, polygon(-4.6, -2, 4.6, -2, 0, -10)),
  ]
  oak = [
      (WOOD, polygon(-1.4, 1, 1.4, 1, 2, 10, -2, 10)), (WOOD, limb(0, 5, 3, 1, 0.7)),
      *((BODY, ellipse(x, y, r)) for x, y, r in (
          (-4.6, -1, 3.8), (4.6, -1, 3.8), (-2.6, -5.4, 4), (2.8, -5.6, 4), (0, -2, 4.4))),
      (ACCENT, ellipse(-3.6, -2, 0.9, corners=8)), (ACCENT, ellipse(3.4, -4.6, 0.9, corners=8)),
      (ACCENT, ellipse(0.6, 0, 0.9, corners=8)),
  ]
  frond = blob(-0.4, 0.9, 0.8, -3, 4.6, -5, 9.8, -1.4, 5.6, -2.2, 2.6, 0.2)
  palm = [
      (WOOD, limb(0.6, -3, -1.6, 3.4, 0.8, 1)), (WOOD, limb(-1.6, 3.4, -1.2, 10, 1, 1.3)),
      *((BODY, rotate(frond, angle) * (side, 1) + (0.6, -3.4))
        for angle in (-44, 36, -4) for side in (1, -1)),
      (ACCENT, ellipse(-0.5, -2.4, 1.2)), (ACCENT, ellipse(1.7, -2.4, 1.2)),
  ]
  cactus = [
      (BODY, limb(3, 2, 6, 2, 1.4)), (BODY, limb(6, 2, 6, -4, 1.5)),
      (BODY, limb(-3, 4, -6, 4, 1.4)),
      (BODY, limb(-6, 4, -6, -1.4, 1.5)), (BODY, limb(0, 6.6, 0, -6.4, 2.7)),
      *((ACCENT, p) for p in around(0, -9.2, 5, ellipse(0, -0.9, 0.7, 1.1, corners=8))),
      (WOOD, polygon(-4.4, 6, 4.4, 6, 3.4, 10.4, -3.4, 10.4)),
  ]
  poplar = [
      (WOOD, limb(0, 5, 0, 9.6, 0.9)),
      (BODY, blob(0, -12, 3.4, -5, 3.9, 3, 2, 7, -2, 7, -3.9, 3, -3.4, -5)),
      (SHADE, ellipse(1.2, 2, 0.8, 2.4)), (SHADE, ellipse(-1, -3, 0.7, 2.2)),
  ]
  return dict(fir=fir, oak=oak, palm=palm, cactus=cactus, poplar=poplar)


def fruit() -> dict[str, list[Part]]:
  """To eat: apple, banana, cherry, strawberry, pineapple."""
  leaf = ellipse(0, -2.2, 1.2, 2.4)
  apple = [
      (WOOD, limb(0, -4.4, 0.8, -8.6, 0.6)), (GREEN, rotate(leaf, 70) + (0.8, -7)),
      (BODY, blob(0, -4, 4, -6.6, 8.4, -3, 7.4, 4, 3.6, 8.8, 0, 7.6, -3.6, 8.8, -7.4, 4,
                  -8.4, -3, -4, -6.6)),
      (LIGHT, ellipse(-4, -2, 0.9, 1.9, 25, corners=10)),
  ]
  banana = [
      (BODY, np.concatenate([ellipse(0, -6, 12, start=20, stop=160),
                             ellipse(0, -16.3, 18.3, start=52, stop=128)[::-1]])),
      (DARK, ellipse(11, -2, 1.1, corners=10)), (DARK, limb(-10.6, -1.4, -11.8, -4, 0.9)),
      (SHADE, arc(0, -10.4, 14.2, 13.4, 62, 118)),
  ]
  banana = [(role, rotate(part, -40)) for role, part in banana]
  cherry = [
      (GREEN, limb(-4, 3, 1, -8, 0.5)), (GREEN, limb(4.6, 4, 1, -8, 0.5)),
      (GREEN, rotate(leaf * 1.5, 75) + (1, -7.6)), (BODY, ellipse(-4.4, 4.4, 4.4)),
      (BODY, ellipse(4.8, 5, 4.4)), (LIGHT, ellipse(-6, 2.8, 0.8, 1.3, 25, corners=8)),
      (LIGHT, ellipse(3.2, 3.4, 0.8, 1.3, 25, corners=8)),
  ]
  strawberry = [
      (BODY, blob(-7, -5, 0, -6.6, 7, -5, 7, 1, 3, 7, 0, 10, -3, 7, -7, 1)),
      *((LIGHT, ellipse(x, y, 0.5, 0.75, corners=8)) for x, y in (
          (-3.6, -1), (0, 0), (3.6, -1), (-2, 3), (2, 3), (0, 6))),
      *((GREEN, p) for p in around(0, -5.6, 5, polygon(-1, 0, 0, -4.4, 1, 0), 180)),
      (GREEN, limb(0, -6, 0.6, -9, 0.5)),
  ]
  pineapple = [
      *((GREEN, rotate(polygon(-1.3, 0, 0, -8, 1.3, 0), a) + (0, -2.4))
        for a in (-48, 48, -24, 24, 0)),
      (BODY, ellipse(0, 3.4, 5, 6.6)), (SHADE, limb(-3.6, 0.6, 3, 7.4, 0.3)),
      (SHADE, limb(3.6, 0.6, -3, 7.4, 0.3)),
  ]
  return dict(apple=apple, banana=banana, cherry=cherry, strawberry=strawberry,
              pineapple=pineapple)
