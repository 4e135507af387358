import numpy as np
import pytest
import tensorflow as tf

from jft_reps.errors import ConfigError
from jft_reps.ops import preprocessing


def test_the_papers_range_is_minus_one_to_one():
  pixels = tf.reshape(tf.constant([0, 51, 255], tf.uint8), [1, 3])
  np.testing.assert_allclose(preprocessing.UNIT_RANGE(pixels), [[-1, -0.6, 1]], atol=1e-6)
  assert preprocessing.UNIT_RANGE(pixels, tf.bfloat16).dtype == tf.bfloat16


@pytest.mark.parametrize("kind", [preprocessing.CAFFE, preprocessing.SLIM,
                                  preprocessing.STANDARDISED])
def test_channels_mean_and_deviation_and_the_way_through_json(kind):
  rng = np.random.default_rng(0)
  pixels = rng.integers(0, 256, (2, 5, 4, 3)).astype(np.uint8)
  ordered = pixels[..., ::-1] if kind.channels == "BGR" else pixels
  want = (ordered.astype(np.float64) - kind.mean) / kind.std
  np.testing.assert_allclose(kind(pixels), want, atol=1e-4)
  assert preprocessing.from_json({**kind.to_json(), "crop": 299}) == kind


@pytest.mark.parametrize("note", [{}, {"mean": [1, 2], "std": [1, 1, 1], "channels": "RGB"},
                                  {"mean": [0] * 3, "std": [0, 1, 1], "channels": "RGB"},
                                  {"mean": [0] * 3, "std": [1] * 3, "channels": "GRB"}])
def test_a_senseless_note_is_refused(note):
  with pytest.raises(ConfigError, match="preprocessing"):
    preprocessing.from_json(note)
