import numpy as np
import pytest
import tensorflow as tf

from jft_reps import errors
from jft_reps.data.records import schema


def _feature(serialized, key):
  feature = tf.train.Example.FromString(serialized).features.feature[key]
  return list(getattr(feature, feature.WhichOneof("kind")).value)


def test_lists_stay_lists_under_the_keys_of_model_garden():
  serialized = schema.encode(
      "a/b", b"jpeg", "jpeg", 10, 20, [5, 2, 5], [0.5, 1.0, 0.25], [7],
      [[0.0, 0.1, 0.5, 0.6], [0.2, 0.3, 1.0, 1.0]], [3, 4], [b"m1", b"m2"],
      [[[0.1, 0.2, 2], [0.3, 0.4, 0]], [[0.5, 0.6, 1], [0, 0, 0]]])
  assert _feature(serialized, "image/source_id") == [b"a/b"]
  assert _feature(serialized, "image/height") == [10]
  assert _feature(serialized, "image/width") == [20]
  assert _feature(serialized, "image/class/label") == [5, 2, 5]
  assert _feature(serialized, "image/class/confidence") == [0.5, 1.0, 0.25]
  assert _feature(serialized, "image/class/unknown") == [7]
  np.testing.assert_allclose(_feature(serialized, "image/object/bbox/ymin"), [0, 0.2])
  np.testing.assert_allclose(_feature(serialized, "image/object/bbox/xmax"), [0.6, 1.0])
  assert _feature(serialized, "image/object/class/label") == [3, 4]
  assert _feature(serialized, "image/object/mask") == [b"m1", b"m2"]
  np.testing.assert_allclose(_feature(serialized, "image/object/keypoint/y"), [0.1, 0.3, 0.5, 0])
  assert _feature(serialized, "image/object/keypoint/visibility") == [2, 0, 1, 0]


def test_parsing_specification_reads_back_and_gives_empty_lists_for_what_is_absent():
  parsed = tf.io.parse_single_example(
      schema.encode("x", b"e", "png", 1, 1, [2]),
      {**schema.picture_features(), **schema.object_features()})
  assert parsed[schema.LABEL].numpy().tolist() == [2]
  assert parsed[schema.SOURCE_ID].numpy().tolist() == [b"x"]
  for key in (schema.CONFIDENCE, schema.UNKNOWN, *schema.BOX, schema.OBJECT_MASK):
    assert parsed[key].shape[0] == 0


def test_what_is_known_of_each_box():
  serialized = schema.encode(
      "x", b"e", "png", 1, 1, [2], boxes=[[0, 0, 1, 1]] * 2, object_labels=[0, 1],
      crowd=[True, False], difficult=[0, 1], area=[3.5, 7])
  assert _feature(serialized, "image/object/is_crowd") == [1, 0]
  assert _feature(serialized, "image/object/difficult") == [0, 1]
  assert _feature(serialized, "image/object/area") == [3.5, 7.0]
  assert set(schema.box_features()) < set(schema.object_features())


@pytest.mark.parametrize("more", [
    {"confidences": [1.0, 0.5]}, {"boxes": [[0, 0, 1]]}, {"boxes": [[0, 0, 1, float("nan")]]},
    {"boxes": [[0, 0, 1, 1]], "object_labels": [1, 2]},
    {"boxes": [[0, 0, 1, 1]], "object_masks": []}, {"boxes": [[0, 0, 1, 1]], "crowd": [0, 1]},
    {"boxes": [], "difficult": [1]}, {"boxes": [[0, 0, 1, 1]], "area": []},
    {"boxes": [[0, 0, 1, 1]], "keypoints": [[[0, 0]]]},
])
def test_lists_that_do_not_fit_together_are_refused_with_the_id(more):
  with pytest.raises(errors.DataError, match="picture me: "):
    schema.encode("me", b"", "jpeg", 1, 1, [1], **more)
