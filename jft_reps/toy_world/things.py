"""Made things of the toy world: road vehicles, aircraft, buildings, tableware, emblems, marks."""

from __future__ import annotations

import numpy as np

from jft_reps.toy_world.geometry import (
  ACCENT,
  BODY,
  DARK,
  LIGHT,
  SHADE,
  WOOD,
  Part,
  arc,
  around,
  blob,
  box,
  ellipse,
  limb,
  polygon,
  star,
  wheel,
)


def road() -> dict[str, list[Part]]:
  """On wheels: car, bus, truck, tractor, train."""
  car = [
      (BODY, blob(-10, 4.6, -10, 0, -6, -0.6, -3.6, -5, 3.4, -5, 6.2, -0.6, 10, 0.4, 10.4, 4.6,
                  rounds=1)),
      (LIGHT, polygon(-4.6, -0.6, -2.8, -3.8, -0.2, -3.8, -0.2, -0.6)),
      (LIGHT, polygon(0.8, -0.6, 0.8, -3.8, 2.9, -3.8, 4.6, -0.6)),
      (ACCENT, box(8.2, 1, 10, 2.4)), *wheel(-5.4, 4.6, 2.3), *wheel(5.4, 4.6, 2.3),
  ]
  bus = [
      (BODY, blob(-10, 5, -10, -6, -9.6, -6.4, 9, -6.4, 9.8, -5.6, 10, 5, rounds=1)),
      *((LIGHT, box(x, -4.6, x + 3, -1.2)) for x in (-8.6, -4.6, -0.6, 3.4)),
      (LIGHT, box(7.4, -4.6, 9.4, -0.6)), (ACCENT, box(-9.6, 0.6, 9.6, 1.8)),
      *wheel(-5.4, 5, 2.2), *wheel(5.6, 5, 2.2),
  ]
  truck = [
      (BODY, box(-10.4, -6, 3, 4)), (ACCENT, blob(3.6, 4.4, 3.6, -3.6, 7.6, -3.6, 10.2, 0.4,
                                                  10.2, 4.4, rounds=1)),
      (LIGHT, polygon(5, 0, 5, -2.4, 7.2, -2.4, 8.6, 0)), (DARK, box(-10.4, 4, 10.2, 5)),
      *wheel(-7.4, 5.4, 2), *wheel(-2.6, 5.4, 2), *wheel(6.8, 5.4, 2),
  ]
  tractor = [
      (DARK, limb(6, -2, 6, -6.4, 0.5)), (ACCENT, box(-6.4, -7.4, 1, -6)),
      (BODY, polygon(-6, 3, -5.4, -6, 0.4, -6, 1, -2, 8.4, -2, 9, 3)),
      (LIGHT, polygon(-4, -1.6, -3.8, -4.8, -0.8, -4.8, -0.4, -1.6)),
      *wheel(-4, 3.8, 4.6), *wheel(6.4, 5.8, 2.6),
  ]
  train = [
      (DARK, polygon(4.2, -3, 3.6, -8, 7.4, -8, 6.8, -3)), (ACCENT, box(-10.4, -8.4, -2.6, -7)),
      (SHADE, box(-9.6, -7, -3.4, 4)), (LIGHT, box(-8.2, -5.6, -4.8, -2.2)),
      (BODY, blob(-3.4, -3.4, 8, -3.4, 9.8, -2, 9.8, 2, 8, 4, -3.4, 4, rounds=1)),
      (DARK, polygon(8, 3, 11.4, 7, 6, 7)), *wheel(-6.6, 5, 2.5), *wheel(-0.6, 5.4, 2.1),
      *wheel(4.6, 5.4, 2.1),
  ]
  return dict(car=car, bus=bus, truck=truck, tractor=tractor, train=train)


def aircraft() -> dict[str, list[Part]]:
  """In the air: plane, helicopter, rocket, balloon, airship."""
  plane = [
      (SHADE, polygon(-1, -1, -5, -6.4, -2.8, -6.4, 3.4, -1)),
      (BODY, polygon(-10.4, -6.4, -8, -6.4, -5, -1, -9, 0)),
      (BODY, blob(-10, -1.8, -4, -2.4, 6, -2.4, 10.4, 0, 9.6, 2, 4, 2.6, -6, 2)),
      (ACCENT, polygon(-2, 0.8, 3.6, 0.8, -3, 7, -5.6, 7)),
      (LIGHT, polygon(6.6, -1.6, 8.8, -0.4, 6.6, -0.2)),
      *((LIGHT, ellipse(x, -0.7, 0.7, corners=8)) for x in (-4, -1.4, 1.2, 3.8)),
  ]
  helicopter = [
      (DARK, limb(-8, -7, 10, -7, 0.45)), (DARK, limb(1, -7, 1, -4, 0.6)),
      (SHADE, limb(-1, -1, -10, -2.4, 1.2, 0.6)), (ACCENT, star(-10, -2.4, 4, 2.6, 0.8, 20)),
      (BODY, ellipse(2, 0, 6, 4.4)), (LIGHT, ellipse(4.2, -0.8, 3.4, 2.8, 0, -70, 90)),
      (DARK, limb(0, 4, -0.6, 6.4, 0.4)), (DARK, limb(4.4, 4, 5, 6.4, 0.4)),
      (DARK, limb(-3.6, 6.6, 7.8, 6.6, 0.5)),
  ]
  rocket = [
      (ACCENT, polygon(-2, 6, 2, 6, 0, 11)), (SHADE, polygon(-2.6, 1, -6, 7.6, -2.4, 6)),
      (SHADE, polygon(2.6, 1, 6, 7.6, 2.4, 6)),
      (BODY, blob(0, -13, 3.4, -6, 3.8, 0, 2.6, 6.6, -2.6, 6.6, -3.8, 0, -3.4, -6)),
      (LIGHT, ellipse(0, -3.4, 1.7)), (DARK, ellipse(0, -3.4, 0.9, corners=10)),
  ]
  balloon = [
      (DARK, limb(-3.4, 3, -1.6, 7, 0.25)), (DARK, limb(3.4, 3, 1.6, 7, 0.25)),
      (BODY, blob(0, -10.4, 6, -9, 7.6, -3, 4.6, 2.4, 2, 4.6, -2, 4.6, -4.6, 2.4, -7.6, -3,
                  -6, -9)),
      (ACCENT, box(-2.6, 3.2, 2.6, 4.4)), (WOOD, box(-2.2, 7, 2.2, 10)),
  ]
  airship = [
      (SHADE, polygon(-6, -1.6, -10.6, -5, -10.6, 4, -6, 1)),
      (ACCENT, blob(-2.4, 3, 4, 3, 3.4, 6.4, -1.8, 6.4)),
      (BODY, ellipse(0.6, -0.6, 9.6, 4.2)),
      (ACCENT, polygon(-6, -0.9, -10.4, -1.6, -10.4, 0.6, -6, 0)),
      *((LIGHT, box(x, 4, x + 1.1, 5.2)) for x in (-0.8, 1, 2.6)),
  ]
  return dict(plane=plane, helicopter=helicopter, rocket=rocket, balloon=balloon, airship=airship)


def buildings() -> dict[str, list[Part]]:
  """To live or look out: house, castle, lighthouse, windmill, igloo."""
  house = [
      (DARK, box(4, -9, 6, -4)), (BODY, box(-7, -2, 7, 9)),
      (ACCENT, polygon(-9, -1.6, 0, -10, 9, -1.6)), (WOOD, box(-1.8, 3, 1.8, 9)),
      (LIGHT, box(-5.6, 0.6, -3, 3.4)), (LIGHT, box(3, 0.6, 5.6, 3.4)),
  ]
  castle = [
      (SHADE, polygon(-4, 0, -4, -6, -2.6, -6, -2.6, -4.6, -0.8, -4.6, -0.8, -6, 0.8, -6, 0.8, -4.6,
                      2.6, -4.6, 2.6, -6, 4, -6, 4, 0)),
      (BODY, box(-6, -1, 6, 8.6)),
      *((BODY, polygon(x - 2.4, 8.6, x - 2.4, -7, x - 1, -7, x - 1, -5.6, x + 1, -5.6, x + 1, -7,
                       x + 2.4, -7, x + 2.4, 8.6)) for x in (-7, 7)),
      (ACCENT, polygon(0.2, -9.6, 4, -8.4, 0.2, -7.2)), (DARK, limb(0, -6, 0, -9.6, 0.25)),
      (DARK, box(-7.5, -3, -6.5, 0)), (DARK, box(6.5, -3, 7.5, 0)),
      (WOOD, blob(-2, 8.6, -2, 4, 0, 2.4, 2, 4, 2, 8.6, rounds=1)),
  ]
  lighthouse = [
      (ACCENT, polygon(-3, -7.2, 0, -10.4, 3, -7.2)), (LIGHT, box(-2.2, -7.2, 2.2, -4)),
      (DARK, box(-3.6, -4.2, 3.6, -3)), (BODY, polygon(-2.8, -3, 2.8, -3, 4.6, 9, -4.6, 9)),
      (WOOD, box(-1.2, 5.6, 1.2, 9)), (SHADE, limb(-6, 9.4, 6, 9.4, 0.8)),
  ]
  sail = polygon(-0.4, 0, -0.4, -9, 2.2, -9, 2.2, -2, 0.4, -1)
  windmill = [
      (BODY, polygon(-3, -2, 3, -2, 5, 10, -5, 10)),
      (SHADE, ellipse(0, -2, 3.4, 3.2, start=180, stop=360)),
      (WOOD, box(-1.4, 6, 1.4, 10)), *((ACCENT, p) for p in around(0, -2.6, 4, sail, 25)),
      (DARK, ellipse(0, -2.6, 0.9, corners=8)),
  ]
  igloo = [
      (BODY, ellipse(-1, 6, 8.4, 10, start=180, stop=360)), (SHADE, box(3.4, 0.6, 9, 6)),
      (ACCENT, ellipse(8.6, 6, 3, 5.4, start=180, stop=360)),
      (DARK, ellipse(8.6, 6, 1.8, 3.8, start=180, stop=360)),
  ]
  return dict(house=house, castle=castle, lighthouse=lighthouse, windmill=windmill, igloo=igloo)


def tableware() -> dict[str, list[Part]]:
  """On the table: mug, bottle, teapot, goblet, vase."""
  mug = [
      (SHADE, arc(5, 1, 4.6, 2.6, -95, 95)), (BODY, polygon(-6.6, -6, 5.4, -6, 5, 8, -6.2, 8)),
      (LIGHT, ellipse(-0.6, -6, 6, 1.6)), (WOOD, ellipse(-0.6, -5.8, 4.8, 1)),
  ]
  bottle = [
      (BODY, blob(-1.4, -8, 1.4, -8, 1.4, -4, 3.6, -1, 3.6, 9.8, -3.6, 9.8, -3.6, -1, -1.4, -4,
                  rounds=1)),
      (ACCENT, box(-1.8, -10.6, 1.8, -8)), (LIGHT, box(-3.4, 1.6, 3.4, 6)),
      (SHADE, box(-2, 3, 2, 4.6)),
  ]
  teapot = [
      (SHADE, arc(-6, 1.6, 4.4, 2.8, 80, 280)),
      (SHADE, polygon(4, 5, 4, 0.6, 9, -4.6, 11, -4, 7.4, 3)),
      (BODY, ellipse(0, 2.2, 7, 6)), (ACCENT, ellipse(0, -3, 4, 1.8, start=180, stop=360)),
      (DARK, ellipse(0, -5.4, 1.1, corners=10)), (SHADE, limb(-4, 8, 4, 8, 0.6)),
  ]
  goblet = [
      (BODY, blob(-5, -9, 5, -9, 5, -3, 3, 1.6, -3, 1.6, -5, -3, rounds=1)),
      (ACCENT, ellipse(0, -8.6, 4.4, 1.1)), (SHADE, limb(0, 1, 0, 8, 0.8)),
      (SHADE, ellipse(0, 9, 4.4, 1.5)), (DARK, ellipse(0, 3.6, 1.4, 1)),
  ]
  vase = [
      (SHADE, arc(-4.4, -3, 3.2, 2, 100, 290)), (SHADE, arc(4.4, -3, 3.2, 2, -110, 80)),
      (BODY, blob(-3.4, -9.6, 3.4, -9.6, 1.8, -6, 6.6, -1, 6, 4, 2.4, 9.6, -2.4, 9.6, -6, 4,
                  -6.6, -1, -1.8, -6)),
      (ACCENT, limb(-2.8, -8.8, 2.8, -8.8, 0.8)), (ACCENT, limb(-2, 8.8, 2, 8.8, 0.9)),
  ]
  return dict(mug=mug, bottle=bottle, teapot=teapot, goblet=goblet, vase=vase)


def emblems() -> dict[str, list[Part]]:
  """Curved signs: heart, crown, moon, bolt, spade."""
  half = (0, -5, 3, -9, 9, -8, 10, -1.6, 5, 4.6)
  heart = [
      (BODY, blob(*half, 0, 10, -5, 4.6, -10, -1.6, -9, -8, -3, -9)),
      (LIGHT, ellipse(-5.4, -3.6, 0.9, 2, 35, corners=10)),
  ]
  crown = [
      (BODY, polygon(-8, 6, -10, -5, -4.6, 0, 0, -8, 4.6, 0, 10, -5, 8, 6)),
      (ACCENT, box(-8, 5, 8, 8)), *((ACCENT, ellipse(x, y, 1.3, corners=10)) for x, y in (
          (-10, -5.6), (0, -8.6), (10, -5.6))),
      (LIGHT, ellipse(0, 6.5, 1, corners=8)),
  ]
  tips = ellipse(0, 0, 9, start=60, stop=300, corners=22)
  hollow = ellipse(3.6, 0, 7.9, start=81, stop=279, corners=22)[::-1]
  moon = [(BODY, np.concatenate([tips, hollow])), (DARK, arc(-4.2, -2.4, 1.4, 0.9, 20, 160)),
          (ACCENT, star(4.6, 0, 5, 2.6, 1.1))]
  bolt = [
      (SHADE, polygon(2.6, -10, -5.4, 1.8, 0, 1.8, -2.4, 10.8, 7.6, -2.6, 1.8, -2.6, 6.8, -10)),
      (BODY, polygon(1.2, -10, -6.4, 1, -0.9, 1, -3.6, 10, 6.4, -3.4, 0.6, -3.4, 5.4, -10)),
  ]
  spade = [
      (SHADE, polygon(-3.4, 9.6, -0.8, 2, 0.8, 2, 3.4, 9.6)),
      (BODY, blob(0, -11, 5, -4.6, 9.6, 0.6, 8, 6, 3, 6.4, 0, 3, -3, 6.4, -8, 6, -9.6, 0.6,
                  -5, -4.6)),
      (ACCENT, ellipse(0, -0.6, 1.8, 2.6)),
  ]
  return dict(heart=heart, crown=crown, moon=moon, bolt=bolt, spade=spade)


def marks() -> dict[str, list[Part]]:
  """Angular signs: star, cross, arrow, gear, hourglass."""
  five = [(BODY, star(0, 0, 5, 10, 4.6)), (ACCENT, star(0, 0, 5, 4.6, 2.1))]
  cross = [
      (BODY, polygon(-3, -9, 3, -9, 3, -3, 9, -3, 9, 3, 3, 3, 3, 9, -3, 9, -3, 3, -9, 3, -9, -3,
                     -3, -3)),
      (ACCENT, box(-2, -2, 2, 2)),
  ]
  arrow = [
      (BODY, polygon(-10, -2.8, 0.6, -2.8, 0.6, -7.6, 10, 0, 0.6, 7.6, 0.6, 2.8, -10, 2.8)),
      (ACCENT, polygon(-10, -2.8, -7.4, -2.8, -7.4, 2.8, -10, 2.8)),
  ]
  gear = [
      *((BODY, p) for p in around(0, 0, 8, polygon(-2, 0, -1.5, -10, 1.5, -10, 2, 0))),
      (BODY, ellipse(0, 0, 7.4)), (ACCENT, ellipse(0, 0, 3.4)),
      (DARK, ellipse(0, 0, 1.7, corners=12)),
  ]
  hourglass = [
      (BODY, polygon(-5.4, -8.4, 5.4, -8.4, 0.9, 0, 5.4, 8.4, -5.4, 8.4, -0.9, 0)),
      (WOOD, box(-7, -10, 7, -8)), (WOOD, box(-7, 8, 7, 10)),
      (LIGHT, polygon(-3.6, -7.4, 3.6, -7.4, 2.8, -5.8, -2.8, -5.8)),
  ]
  return dict(star=five, cross=cross, arrow=arrow, gear=gear, hourglass=hourglass)
