"""A sheet shows every picture where it belongs, and captions that fit."""

from __future__ import annotations

import numpy as np

from jft_reps.collection import contact_sheet
from jft_reps.collection.contact_sheet import Tile

_RED, _BLUE = (255, 0, 0), (0, 0, 255)


def plain(colour, height=10, width=10):
  return np.full((height, width, 3), colour, np.uint8)


def test_pictures_lie_in_rows_and_keep_their_aspect():
  made = np.asarray(contact_sheet.sheet(
      [[Tile(plain(_RED)), Tile(plain(_BLUE, 10, 40))], [Tile(None), Tile(plain(_BLUE, 400, 200))]],
      side=80))
  red, blue = (np.argwhere((made == colour).all(-1)) for colour in (_RED, _BLUE))
  assert np.ptp(red, 0).tolist() == [79, 79]
  wide = blue[blue[:, 0] < 100]
  tall = blue[blue[:, 0] >= 100]
  assert np.ptp(wide, 0).tolist() == [19, 79] and np.ptp(tall, 0).tolist() == [79, 39]
  assert wide[:, 1].min() > red[:, 1].max()
  assert abs(wide.mean(0)[0] - red.mean(0)[0]) < 1  # centred in its square
  missing = np.argwhere((made == contact_sheet._MISSING).all(-1))
  assert np.ptp(missing, 0).tolist() == [79, 79] and missing[:, 0].min() > red[:, 0].max()


def test_a_grid_breaks_rows():
  made = contact_sheet.grid((Tile(plain(_RED)) for _ in range(5)), 2, side=40)
  one = contact_sheet.grid([Tile(plain(_RED))] * 2, 2, side=40)
  assert made.width == one.width and made.height > 2.5 * one.height
  assert (np.asarray(made) == _RED).all(-1).sum() == 5 * 1600


def test_captions_are_cut_to_their_tile_and_hostile_ones_escaped():
  long = Tile(plain(_RED), "a very long name of a picture that goes on and on.jpg")
  hostile = Tile(plain(_BLUE), "b\x1b[2J\n")
  made = np.asarray(contact_sheet.sheet([[long, hostile]], side=60, title="t"))
  gap = made[:, 8 + 60:8 + 60 + 8]
  assert (gap == 255).all()
  assert contact_sheet.sheet([]).width > 0


def test_grey_pictures_and_no_words():
  made = np.asarray(contact_sheet.sheet([[Tile(np.full((20, 20), 77, np.uint8))]], side=20))
  assert (made == 77).all(-1).sum() == 400
