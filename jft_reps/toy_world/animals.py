"""Animals of the toy world, but for the jointed figures: quadrupeds, birds, swimmers, crawlers."""

from __future__ import annotations

from jft_reps.toy_world.geometry import (
  ACCENT,
  BODY,
  DARK,
  LIGHT,
  SHADE,
  Part,
  arc,
  blob,
  ellipse,
  eye,
  limb,
  polygon,
)


def _legs(role: int, top: float, foot: float, width: float, *places: float) -> list[Part]:
  return [(role, limb(x, top, x, foot, width, 0.85 * width)) for x in places]


def quadrupeds() -> dict[str, list[Part]]:
  """Four legs: giraffe, elephant, cat, camel, turtle."""
  giraffe = [
      (DARK, limb(-5, 0, -6.6, 3.5, 0.35)), *_legs(SHADE, 3, 9, 0.9, -2, 2),
      *_legs(BODY, 3, 9, 1, -4, 4), (BODY, ellipse(0, 1.2, 5.6, 3)),
      (BODY, limb(4, 0.5, 6.4, -7.5, 1.9, 1.1)), (DARK, limb(5.8, -8, 5.6, -10, 0.4)),
      (DARK, limb(6.8, -8, 7, -10, 0.4)), (BODY, limb(6, -7.8, 8.8, -6.8, 1.4, 1)),
      (ACCENT, ellipse(9, -6.7, 1, 0.9)), *eye(6.6, -8, 0.6),
  ]
  elephant = [
      (SHADE, limb(-6.5, -2, -8, 2.5, 0.4)), *_legs(SHADE, 3, 8, 1.5, -1.8, 1.6),
      *_legs(BODY, 3, 8, 1.7, -4.6, 4), (BODY, ellipse(-1, 0, 6.2, 4.8)),
      (BODY, limb(7, -1.5, 9, 3, 1.7, 1.2)), (BODY, limb(9, 3, 8, 6.4, 1.2, 0.8)),
      (BODY, ellipse(5.6, -2.8, 3.4, 3.4)), (LIGHT, polygon(6.6, 0, 8, 0, 10.8, 2.6, 9.6, 3)),
      (ACCENT, ellipse(3.4, -2.6, 2.2, 3.2)), *eye(6.8, -3.6, 0.7),
  ]
  cat = [
      (BODY, arc(5, 5, 4.6, 2.8, -70, 100)), (BODY, ellipse(0, 4, 4.6, 5)),
      (ACCENT, polygon(-4.4, -4, -4.2, -10, -0.6, -6.6)),
      (ACCENT, polygon(4.4, -4, 4.2, -10, 0.6, -6.6)), (BODY, ellipse(0, -3.6, 4.8, 3.9)),
      (LIGHT, ellipse(-2.2, 8.3, 1.6, 0.9)), (LIGHT, ellipse(2.2, 8.3, 1.6, 0.9)),
      *eye(-2, -4, 1.1), *eye(1.8, -4, 1.1), (DARK, polygon(-0.8, -2.2, 0.8, -2.2, 0, -1.2)),
  ]
  camel = [
      (DARK, limb(-5.4, 0, -6.6, 3, 0.35)), *_legs(SHADE, 2, 9, 0.9, -2, 2.4),
      *_legs(BODY, 2, 9, 1, -4.2, 4.4), (BODY, ellipse(-2.6, -2.4, 2.3, 3.4)),
      (BODY, ellipse(2.2, -2.4, 2.3, 3.4)), (BODY, ellipse(0, 1, 6, 3)),
      (BODY, limb(5, 1, 7.6, -4.6, 1.6, 1.1)), (BODY, limb(7.2, -5, 10, -4.2, 1.3, 1)),
      (ACCENT, ellipse(0, -0.6, 2.2, 1.6)), *eye(7.8, -5.4, 0.6),
  ]
  turtle = [
      (ACCENT, limb(-7, 4, -9, 5, 0.8, 0.3)), (ACCENT, limb(-5, 4, -6, 7, 1.5)),
      (ACCENT, limb(4, 4, 5, 7, 1.5)), (ACCENT, limb(6, 3, 9, -0.6, 1.6, 2)),
      (BODY, ellipse(-0.4, 4.2, 7.6, 9, start=180, stop=360)),
      (SHADE, limb(-7.8, 4.2, 7, 4.2, 0.9)), *eye(9.4, -1, 0.7),
  ]
  return dict(giraffe=giraffe, elephant=elephant, cat=cat, camel=camel, turtle=turtle)


def birds() -> dict[str, list[Part]]:
  """Beaks and wings: duck, owl, flamingo, penguin, swallow."""
  duck = [
      (BODY, blob(-10, -2, -5, 0.5, 1, -1, 6, 0, 7.5, 5, 3, 8, -4, 8, -8, 5)),
      (BODY, limb(4.5, 2, 5, -4, 2.4, 2.2)), (BODY, ellipse(5.4, -4.6, 3.2)),
      (ACCENT, blob(7.8, -5.4, 11.5, -4.8, 11.5, -3.2, 7.8, -3)),
      (SHADE, blob(-6, 2, 1, 1, 3.5, 3, 0, 6, -5, 5)), *eye(6, -5.4, 0.8),
  ]
  owl = [
      (ACCENT, limb(-2, 8, -2, 9.4, 0.9)), (ACCENT, limb(2, 8, 2, 9.4, 0.9)),
      (BODY, polygon(-5, -4, -5, -10, -0.5, -7)), (BODY, polygon(5, -4, 5, -10, 0.5, -7)),
      (BODY, ellipse(0, 0.6, 5.6, 8)), (SHADE, ellipse(-5.2, 2, 1.8, 5, 10)),
      (SHADE, ellipse(5.2, 2, 1.8, 5, -10)), *eye(-2.4, -3.4, 2.3), *eye(2.2, -3.4, 2.3),
      (ACCENT, polygon(-1, -2, 1, -2, 0, 0.6)),
  ]
  flamingo = [
      (ACCENT, limb(-1, 2, -1, 10, 0.45)), (ACCENT, limb(1, 2, 3.4, 6, 0.45)),
      (ACCENT, limb(3.4, 6, 0, 7, 0.45)), (BODY, blob(-7, -1, -2, -3, 3, -3, 5, 0, 2, 3.4, -3, 3)),
      (BODY, limb(3.4, -0.6, 5.6, -4, 1.2, 0.9)), (BODY, limb(5.6, -4, 3.4, -7.4, 0.9)),
      (BODY, limb(3.4, -7.4, 5, -9.4, 0.9)), (BODY, ellipse(5.6, -9, 1.9, 1.6)),
      (DARK, polygon(7, -9.6, 9.4, -8.4, 8.6, -6, 6.6, -8)),
      (SHADE, blob(-6, -0.6, 0, -1.6, 2.4, 0, -1, 2)), *eye(5.8, -9.4, 0.5),
  ]
  penguin = [
      (ACCENT, ellipse(-2.4, 8.8, 2.2, 1.1)), (ACCENT, ellipse(2.4, 8.8, 2.2, 1.1)),
      (SHADE, ellipse(-5.4, 1, 1.4, 4.6, 18)), (SHADE, ellipse(5.4, 1, 1.4, 4.6, -18)),
      (BODY, ellipse(0, 0, 5, 9)), (LIGHT, ellipse(0, 3, 3.2, 5.2)),
      (LIGHT, ellipse(0, -4.6, 3, 2)), (DARK, ellipse(-1.4, -5, 0.7, corners=8)),
      (DARK, ellipse(1.4, -5, 0.7, corners=8)), (ACCENT, polygon(-1.3, -4, 1.3, -4, 0, -1.8)),
  ]
  swallow = [
      (SHADE, polygon(-1.6, 4, 1.6, 4, 3.6, 10, 0, 6.6, -3.6, 10)),
      (BODY, blob(-1, -3, -6, -5.4, -11, 0.5, -6, -1, -1.4, 3)),
      (BODY, blob(1, -3, 6, -5.4, 11, 0.5, 6, -1, 1.4, 3)), (BODY, ellipse(0, 0.4, 2.2, 5.2)),
      (ACCENT, ellipse(0, -4.6, 2, 2)), (DARK, polygon(-0.7, -6, 0.7, -6, 0, -8)),
      (LIGHT, ellipse(0, 1.6, 1.2, 2.6)), (DARK, ellipse(-0.9, -4.8, 0.5, corners=8)),
      (DARK, ellipse(0.9, -4.8, 0.5, corners=8)),
  ]
  return dict(duck=duck, owl=owl, flamingo=flamingo, penguin=penguin, swallow=swallow)


def swimmers() -> dict[str, list[Part]]:
  """In the water: angelfish, whale, octopus, shark, jellyfish."""
  angelfish = [
      (ACCENT, polygon(-5, 0, -10, -5, -8.4, 0, -10, 5)),
      (ACCENT, polygon(-3, -3, -2, -9, 3.6, -3.4)), (ACCENT, polygon(-3, 3, -2, 9, 3.6, 3.4)),
      (BODY, ellipse(0.6, 0, 7.6, 5)), (SHADE, polygon(-1.5, 0.5, 2, 1.6, -1.5, 3)),
      (SHADE, limb(8, 0.8, 7.4, 0.8, 0.7)), *eye(5, -1.2, 1.1),
  ]
  whale = [
      (ACCENT, arc(-0.2, -6.4, 2.6, 1.5, 180, 290)), (ACCENT, arc(6.2, -6.4, 2.6, 1.5, 250, 360)),
      (BODY, polygon(-8, 0, -11, -5.4, -8, -4, -5.2, -6, -6.4, 0)),
      (BODY, blob(-9, -2, -7, 2, -3, -3, 4, -5, 9, -2.6, 10, 3, 6, 7, -2, 7.4, -8, 4)),
      (LIGHT, blob(9.4, 2, 2, 3.4, -3, 5.6, 0, 7.2, 6, 6.6, 9, 4.6)),
      (SHADE, blob(0, 3, 3, 3, 1, 8, -2, 7.6)), *eye(6, 0, 0.9),
  ]
  octopus = [
      *((SHADE, limb(x, 2, 1.6 * x, 8, 1.3, 0.8)) for x in (-4, 4)),
      *((BODY, limb(x, 2, 1.5 * x + 0.8, 9, 1.3, 0.8)) for x in (-2.2, 0.4, 2.4)),
      (BODY, limb(-4.6, 2, -9.4, 4.6, 1.3, 0.8)), (BODY, limb(4.6, 2, 9.4, 4.6, 1.3, 0.8)),
      (BODY, ellipse(0, -2.6, 6, 6.6)), *eye(-2, -1.6, 1.5), *eye(2, -1.6, 1.5),
      (ACCENT, ellipse(0, 1.6, 1.6, 0.8)),
  ]
  shark = [
      (BODY, polygon(-7, 0, -12, -5, -9.6, 0.4, -11, 4)),
      (SHADE, polygon(-2, -2, -1, -7.4, 3, -2.6)),
      (BODY, blob(-9, 0, -3, -3.6, 4, -3.6, 11, -0.6, 8, 2.6, 0, 3.4)),
      (LIGHT, blob(9, 0.8, 1, 1.2, -4, 1.2, 0, 3.4, 6, 3)),
      (ACCENT, polygon(0.6, 1.6, 3.4, 1.6, -1, 6.2)), (DARK, limb(3.4, -1.6, 3.2, 0.6, 0.25)),
      (DARK, limb(4.4, -1.6, 4.2, 0.6, 0.25)), *eye(7.2, -1.2, 0.7),
  ]
  jellyfish = [
      *((ACCENT, limb(x, 0, x + 0.9, 4.6, 0.6)) for x in (-4.4, -1.6, 1.4, 4)),
      *((ACCENT, limb(x + 0.9, 4.6, x - 0.5, 9, 0.6, 0.4)) for x in (-4.4, -1.6, 1.4, 4)),
      (BODY, ellipse(0, 0.4, 7, 8.4, start=180, stop=360)),
      *((SHADE, ellipse(x, 0.4, 1.8, 1.3, corners=12)) for x in (-5.2, -1.7, 1.8, 5.2)),
      *eye(-2.2, -3, 0.9), *eye(1.8, -3, 0.9),
  ]
  return dict(angelfish=angelfish, whale=whale, octopus=octopus, shark=shark, jellyfish=jellyfish)


def crawlers() -> dict[str, list[Part]]:
  """Many legs or none: spider, snail, butterfly, crab. This family is held out whole."""
  knees = [(-8, -6, -10, -1), (-9, -1.4, -10.4, 3), (-8.6, 2.6, -9.4, 7), (-6.4, 5.4, -6.4, 9.6)]
  spider = [
      *(part for s in (1, -1) for kx, ky, fx, fy in knees for part in (
          (DARK, limb(0, 0.6, s * kx * 0.75, ky, 0.5)),
          (DARK, limb(s * kx * 0.75, ky, s * fx * 0.86, fy, 0.5, 0.3)))),
      (BODY, ellipse(0, 2.6, 4.4, 5)), (ACCENT, ellipse(0, -3.4, 2.8, 2.6)),
      *eye(-1.1, -4, 0.8), *eye(1.1, -4, 0.8),
  ]
  snail = [
      (ACCENT, blob(-10, 7.4, -4, 5, 4, 5, 5.6, -1.4, 9.4, -1.4, 9.6, 4, 7, 8, -8, 8)),
      (ACCENT, limb(6.6, -1, 6, -5, 0.4)), (ACCENT, limb(8.4, -1, 9.4, -5, 0.4)),
      (DARK, ellipse(6, -5.4, 0.8, corners=8)), (DARK, ellipse(9.5, -5.4, 0.8, corners=8)),
      (BODY, ellipse(-1.6, 0, 6.2)), (SHADE, arc(-1.6, 0.4, 4.2, 3.3, 20, 330)),
      (SHADE, arc(-1.2, 0.4, 1.9, 1.0, 150, 440)),
  ]
  butterfly = [
      *((BODY, ellipse(s * 4.8, -3, 5, 4.2, s * -30)) for s in (1, -1)),
      *((SHADE, ellipse(s * 3.8, 4.4, 3.4, 3.8, s * 30)) for s in (1, -1)),
      *((ACCENT, ellipse(s * 4, 4.6, 1.4, 1.6)) for s in (1, -1)),
      *((DARK, limb(0, -5, s * 2.4, -9.4, 0.3)) for s in (1, -1)), (DARK, limb(0, -5, 0, 6, 0.9)),
  ]
  crab = [
      *(part for s in (1, -1) for part in (
          (ACCENT, limb(s * 5, 1, s * 8.4, -2.4, 0.8)), (ACCENT, ellipse(s * 8.4, -4.8, 2.8, 3)),
          (DARK, polygon(s * 8.4, -5, s * 7.6, -8.6, s * 9.6, -8.6)),
          *((SHADE, limb(s * 4.6, y, s * 9, y + 3.4, 0.6, 0.4)) for y in (2, 3.6, 5.2)))),
      *((ACCENT, limb(s * 2, 0, s * 2, -4, 0.5)) for s in (1, -1)),
      (BODY, ellipse(0, 2.6, 6.6, 4.6)), *eye(-2, -4.4, 1.1), *eye(2, -4.4, 1.1),
      (DARK, arc(0, 2.6, 2.6, 2, 30, 150)),
  ]
  return dict(spider=spider, snail=snail, butterfly=butterfly, crab=crab)
