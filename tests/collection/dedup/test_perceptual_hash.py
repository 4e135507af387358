"""Hashes stay where a picture is changed a little, and move as its symmetries say."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from jft_reps.collection.dedup import perceptual_hash as ph
from tests.data import picture_files


def grey(seed: int, side: int = ph.GRID) -> np.ndarray:
  """Smooth spots of several sizes."""
  rng = np.random.default_rng(seed)
  layers = [cv2.resize(rng.normal(size=(n, n)).astype(np.float32), (side, side),
                       interpolation=cv2.INTER_CUBIC) / n**0.5 for n in (3, 6, 12, 24)]
  spots = sum(layers)
  return (spots - spots.min()) / (spots.max() - spots.min()) * 255


def bits(one: int, other: int) -> int:
  return (int(one) ^ int(other)).bit_count()


def test_bits_are_the_signs_of_the_64_lowest_frequencies():
  pixels = grey(1, ph.COARSE).astype(np.float64)
  n, coefficient = ph.COARSE, {}
  for v in range(14):
    for u in range(14):
      wave = [[math.cos(math.pi * v * (y + 0.5) / n) * math.cos(math.pi * u * (x + 0.5) / n)
               for x in range(n)] for y in range(n)]
      coefficient[v, u] = float((pixels * wave).sum())
  radius = sorted(v * v + u * u for v, u in coefficient if v or u)[63]
  signs = sorted(c > 0 for (v, u), c in coefficient.items() if 0 < v * v + u * u < radius)
  word = ph.hash_pixels(pixels)
  assert sum(signs) <= word.bit_count() <= sum(signs) + 64 - len(signs)


def test_a_hash_knows_neither_brightness_nor_contrast():
  pixels = grey(2, ph.COARSE)
  assert ph.hash_pixels(pixels) == ph.hash_pixels(0.4 * pixels + 90)
  assert bits(ph.hash_pixels(pixels), ph.hash_pixels(255 - pixels)) == 64


@pytest.mark.parametrize("symmetry", ph.SYMMETRIES)
def test_hashes_of_a_turned_picture_are_the_turned_hashes(symmetry):
  upright, pixels = len(ph.UPRIGHT), grey(3)
  turned = ph.fingerprint(symmetry.of_pixels(pixels)).hashes[:upright]
  computed = symmetry.of_hashes(ph.fingerprint(pixels).hashes[:upright])
  assert max(map(bits, turned, computed)) <= 1  # a coefficient may be zero but for rounding


def test_symmetries_are_the_eight_of_the_square():
  pixels = np.arange(9).reshape(3, 3)
  wanted = {m.tobytes() for k in range(4) for q in [np.rot90(pixels, k)]
            for m in (q.copy(), q[:, ::-1].copy())}
  assert {np.ascontiguousarray(s.of_pixels(pixels)).tobytes() for s in ph.SYMMETRIES} == wanted
  for s in ph.SYMMETRIES:
    side = np.linalg.det(np.array([[0, 1], [1, 0]]) if s.transpose else np.eye(2))
    assert s.mirrors == (side * (-1) ** (s.flip_rows + s.flip_columns) < 0)


def test_views_find_crops_and_rotations():
  whole = grey(4, 400)
  square = lambda p: cv2.resize(p, (ph.GRID, ph.GRID), interpolation=cv2.INTER_AREA)
  mine = ph.fingerprint(square(whole)).hashes
  for cut in (0.02, 0.05, 0.1):
    edge = round(400 * cut)
    theirs = ph.fingerprint(square(whole[edge:-edge, edge:-edge])).hashes
    assert min(bits(a, b) for a in mine for b in theirs[:3]) <= 5, cut
  wide = cv2.resize(whole, (480, 400))
  mine = ph.fingerprint(square(wide), 1.2).hashes
  for angle in (5, -5, 30):
    matrix = cv2.getRotationMatrix2D((239.5, 199.5), angle, 1)
    theirs = ph.fingerprint(square(cv2.warpAffine(wide, matrix, (480, 400))), 1.2).hashes
    apart = [min(bits(a, theirs[i]) for i in ph.POLICIES["any"].upright) for a in mine]
    assert abs(ph.VIEWS[int(np.argmin(apart))].degrees) == abs(angle) and min(apart) <= 7


def test_unrelated_pictures_are_far_apart():
  hashes = [ph.fingerprint(grey(seed)).hashes[0] for seed in range(10, 40)]
  apart = [bits(a, b) for i, a in enumerate(hashes) for b in hashes[:i]]
  assert min(apart) > 10 and 29 < np.mean(apart) < 35


@pytest.mark.parametrize("value", [0, 128, 255])
def test_what_is_constant_or_nearly_is_degenerate(value):
  pixels = np.full((ph.GRID, ph.GRID), value, np.float32)
  assert ph.fingerprint(pixels).degenerate
  pixels[0] = 255 - value  # a line at the edge
  assert ph.fingerprint(pixels).degenerate
  assert not ph.fingerprint(picture_files.pixels(1, ph.GRID, ph.GRID).mean(-1)).degenerate


def test_no_hash_stays_none_under_symmetries():
  hashes = np.array([ph.NO_HASH, 5], np.uint64)
  for symmetry in ph.SYMMETRIES:
    assert symmetry.of_hashes(hashes)[0] == ph.NO_HASH
