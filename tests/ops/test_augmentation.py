"""Augmentation: off by default, the same for the same place, and within what it says."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from jft_reps.errors import ConfigError
from jft_reps.ops.augmentation import Augmentation, mixed

IMAGES = tf.constant(np.random.default_rng(0).integers(0, 256, (6, 20, 24, 3)).astype(np.uint8))
SEED, OTHER = tf.constant([3, 4], tf.int64), tf.constant([3, 5], tf.int64)


def test_off_changes_nothing():
  np.testing.assert_array_equal(Augmentation().pictures(IMAGES, SEED), IMAGES)


@pytest.mark.parametrize("how", [Augmentation(colour=0.4), Augmentation(zoom=0.3),
                                 Augmentation(colour=0.2, zoom=0.5)])
def test_the_same_place_gives_the_same_pictures(how):
  found = how.pictures(IMAGES, SEED)
  assert found.dtype == tf.uint8 and found.shape == IMAGES.shape
  np.testing.assert_array_equal(found, tf.function(how.pictures)(IMAGES, SEED))
  assert (found.numpy() != how.pictures(IMAGES, OTHER).numpy()).mean() > 0.5


def test_colour_keeps_within_its_factors():
  grey = tf.fill([64, 4, 4, 3], tf.constant(100, tf.uint8))  # contrast and saturation do nothing
  found = Augmentation(colour=0.4).pictures(grey, SEED).numpy()
  assert (found.min((1, 2, 3)) == found.max((1, 2, 3))).all()
  values = found[:, 0, 0, 0]
  assert 60 <= values.min() < 75 and 125 < values.max() <= 140


def test_zoom_shows_a_part_enlarged():
  ramp = tf.cast(tf.tile(tf.reshape(tf.linspace(0.0, 255.0, 64), [1, 1, 64, 1]), [200, 64, 1, 3]),
                 tf.uint8)
  found = Augmentation(zoom=0.25).pictures(ramp, SEED).numpy().astype(float)
  spans = (found[:, 32, -1, 0] - found[:, 32, 0, 0]) / 255  # share of the width that is seen
  assert 0.25 ** 0.5 * (3 / 4) ** 0.5 - 0.02 < spans.min() < 0.6 and spans.max() <= 1.0
  assert (np.diff(found[:, 32, :, 0], axis=1) >= 0).all()


def test_mixup_blends_neighbours_by_a_beta_draw():
  how = Augmentation(mixup=0.2)
  shares = np.array([how.blend(tf.constant([0, i], tf.int64)) for i in range(400)])
  assert (shares >= 0.5).all() and (shares <= 1).all()
  draws = np.random.default_rng(0).beta(0.2, 0.2, 100_000)
  assert shares.mean() == pytest.approx(np.maximum(draws, 1 - draws).mean(), abs=0.02)
  blended = mixed(IMAGES, tf.constant(0.75)).numpy()
  expected = 0.75 * IMAGES.numpy() + 0.25 * np.roll(IMAGES.numpy(), -1, 0).astype(float)
  assert abs(blended - expected).max() <= 0.5


@pytest.mark.parametrize("arguments", [{"colour": 1.0}, {"colour": -0.1}, {"zoom": 0.0},
                                       {"zoom": 1.1}, {"mixup": -1}, {"mixup": float("nan")}])
def test_what_cannot_be_is_refused(arguments):
  with pytest.raises(ConfigError, match="config.task.augmentation"):
    Augmentation(**arguments)
