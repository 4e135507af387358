"""mIOU against counting pixels in sets, on VOC's own masks and on random ones, and promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from jft_reps.errors import ConfigError, DataError
from jft_reps.metrics.mean_iou import Dominant, MeanIoU

VOC = tuple(
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse "
    "motorbike person pottedplant sheep sofa train tvmonitor".split())
LABELS = ("sky", "sea", "sand", "ship")


def fed(pictures, labels=LABELS):
  """A metric that took (prediction, truth) by id."""
  metric = MeanIoU(labels)
  for name, (predicted, truth) in pictures.items():
    metric.update(name, predicted, truth)
  return metric


def evaluate(pictures, labels=LABELS, exclude=None):
  return fed(pictures, labels).result(exclude)


def sets(pictures, classes):
  """The sets of (picture, pixel) predicted as and truly of each class, without void pixels."""
  found, true = ([set() for _ in range(classes)] for _ in range(2))
  for name, (predicted, truth) in pictures.items():
    for place, (p, t) in enumerate(zip(predicted.ravel().tolist(), truth.ravel().tolist())):
      if t != 255:
        found[p].add((name, place))
        true[t].add((name, place))
  return found, true


def assert_is_set_counting(result, pictures):
  classes = len(result.per_class)
  found, true = sets(pictures, classes)
  pixels = sum(map(len, true))
  ious = [len(f & t) / len(f | t) if f | t else None for f, t in zip(found, true)]
  for row, iou, f, t in zip(result.per_class.values(), ious, found, true):
    assert row == {"IoU": iou, "truth": len(t) / pixels if pixels else None,
                   "predicted": len(f) / pixels if pixels else None}
  defined = [iou for iou in ious if iou is not None]
  recalls = [len(f & t) / len(t) for f, t in zip(found, true) if t]
  expected = {"mIOU": sum(defined) / len(defined) if defined else None,
              "pixel accuracy":
                  sum(len(f & t) for f, t in zip(found, true)) / pixels if pixels else None,
              "mean accuracy": sum(recalls) / len(recalls) if recalls else None}
  assert result.numbers == {name: v if v is None else pytest.approx(v, abs=1e-12)
                            for name, v in expected.items()}
  assert result.undefined == ious.count(None) and result.pictures == len(pictures)


@pytest.fixture(scope="module")
def truths(shared_data):
  """Every sixth mask of VOC's, by id."""
  paths = sorted((shared_data / "detection/voc100/SegmentationClass").glob("*.png"))[::6]
  return {path.stem: np.asarray(Image.open(path)) for path in paths}


def without_void(mask):
  return np.where(mask == 255, 0, mask).astype(np.uint8)


def test_the_truth_itself_is_1(truths):
  result = evaluate({name: (without_void(t), t) for name, t in truths.items()}, VOC)
  there = set().union(*(np.unique(t).tolist() for t in truths.values())) - {255}
  assert 5 < len(there) < 21
  assert set(result.numbers.values()) == {1.0} and result.undefined == 21 - len(there)
  assert all(row["truth"] == row["predicted"] for row in result.per_class.values())


@pytest.mark.parametrize("spoil, low, high", [
    (lambda t: np.roll(without_void(t), 4, axis=1), 0.7, 0.99),
    (lambda t: np.roll(without_void(t), 16, axis=1), 0.4, 0.8),
    (np.zeros_like, 0.03, 0.2),
], ids=["shifted by 4", "shifted by 16", "all background"])
def test_spoiled_real_masks_are_counted_like_sets(truths, spoil, low, high):
  pictures = {name: (spoil(t), t) for name, t in list(truths.items())[:6]}
  result = evaluate(pictures, VOC)
  assert_is_set_counting(result, pictures)
  assert low < result.numbers["mIOU"] < high


def test_all_background_has_the_share_of_background_and_nothing_else(truths):
  metric = fed({name: (np.zeros_like(t), t) for name, t in truths.items()}, VOC)
  result = metric.result()
  first, *others = result.per_class.values()
  assert first["IoU"] == first["truth"] == result.numbers["pixel accuracy"]
  assert first["predicted"] == 1.0 and {row["IoU"] for row in others} == {0.0, None}
  assert metric.dominant() == Dominant("background", 1.0, first["truth"])


def world(seed):
  """Small pictures with void, by id; classes and pixels may be missing altogether."""
  rng = np.random.default_rng(seed)
  pictures = {}
  for i in rng.permutation(rng.integers(1, 5)):
    shape, most = rng.integers(1, 6, 2), rng.integers(1, 5)
    truth = rng.integers(0, most, shape).astype(np.uint8)
    truth[rng.random(shape) < rng.choice([0.0, 0.3, 1.0])] = 255
    pictures[f"p{i}"] = (rng.integers(0, rng.integers(1, 5), shape).astype(np.uint8), truth)
  return pictures


@given(seed=st.integers(0, 2**32 - 1))
def test_random_masks_are_counted_like_sets(seed):
  pictures = world(seed)
  assert_is_set_counting(evaluate(pictures), pictures)


@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
def test_leaving_out_equals_never_having_seen_and_order_does_not_matter(seed, share):
  pictures, rng = world(seed), np.random.default_rng(seed)
  out = [name for name in pictures if rng.random() < share]
  a = evaluate(pictures, exclude=[*out, "never seen"])
  b = evaluate({name: pictures[name] for name in reversed(pictures) if name not in out})
  assert (a.numbers, a.per_class, a.undefined, a.pictures) == (
      b.numbers, b.per_class, b.undefined, b.pictures)
  assert a.excluded == len(out)


@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_predicted_at_void_pixels_has_no_influence(seed):
  pictures, rng = world(seed), np.random.default_rng(seed)
  changed = {name: (np.where(t == 255, rng.integers(0, 4, t.shape), p).astype(np.uint8), t)
             for name, (p, t) in pictures.items()}
  assert evaluate(changed) == evaluate(pictures)
  changed["void"] = (np.ones((9, 9), np.uint8), np.full((9, 9), 255, np.uint8))
  more, fewer = evaluate(changed), evaluate(pictures)
  assert (more.numbers, more.per_class) == (fewer.numbers, fewer.per_class)
  assert more.pictures == fewer.pictures + 1


def test_a_class_that_is_only_predicted_counts_with_0_and_one_that_is_nowhere_not_at_all():
  truth = np.array([[0, 0, 1, 255]], np.uint8)
  result = evaluate({"p": (np.array([[0, 2, 1, 3]], np.uint8), truth)})
  assert [row["IoU"] for row in result.per_class.values()] == [0.5, 1.0, 0.0, None]
  assert result.numbers == {"mIOU": 0.5, "pixel accuracy": 2 / 3, "mean accuracy": 0.75}
  assert result.undefined == 1 and "3 of 4 classes" in result.definition
  assert "over 2 that truth has; 1 void pixels ignored, 3 counted; 1 pictures" in result.definition
  assert "pixel accuracy  0.6667" in result.table()


@pytest.mark.parametrize("pictures", [{}, {"p": (np.zeros((3, 3), np.uint8),
                                                 np.full((3, 3), 255, np.uint8))}])
def test_without_a_pixel_that_counts_nothing_is_defined(pictures):
  result = evaluate(pictures)
  assert set(result.numbers.values()) == {None} and result.scalars("voc/") == {}
  assert result.undefined == 4 and fed(pictures).dominant() is None
  assert "n/a" in result.table()


def test_more_pixels_than_32_bits_hold_are_counted():
  metric, mask = MeanIoU(LABELS), np.ones((1024, 1024), np.uint8)
  metric.update("0", mask, mask)
  pairs, counts, void = metric._pictures.without(None)[0]
  assert pairs.tolist() == [257] and counts.tolist() == [2**20] and void == 0
  for i in range(1, 5000):
    metric._pictures.add(str(i), (pairs, counts, void))
  assert "5,242,880,000 counted" in metric.result().definition
  assert metric.result().numbers["mIOU"] == 1.0


def test_a_class_with_over_99_percent_of_the_predictions_is_dominant():
  truth = np.arange(1000, dtype=np.uint8).reshape(10, 100) % 2
  for others, expected in ((10, None), (9, Dominant("sea", 0.991, 0.5))):
    predicted = np.ones_like(truth)
    predicted.flat[:others] = 3
    assert fed({"p": (predicted, truth)}).dominant() == expected
  assert fed({"p": (truth, truth)}).dominant(over=0.4).label == "sky"


def masks(predicted=0, truth=0, shape=(2, 3), other=(2, 3), dtype=np.uint8):
  return np.full(shape, predicted, dtype), np.full(other, truth, np.uint8)


@pytest.mark.parametrize("arguments, match", [
    (masks(other=(3, 2)), r"mask-shape\]: picture 'p': prediction of shape \[2, 3\].*\[3, 2\]"),
    (masks(dtype=np.int64), r"mask-type\]: picture 'p': prediction of dtype int64.*uint8"),
    (masks(shape=(2, 3, 3)), r"prediction of dtype uint8 and shape \[2, 3, 3\]"),
    (masks(other=(2, 3, 3)), r"truth of dtype uint8 and shape \[2, 3, 3\]"),
    (masks(truth=200), r"mask-class\]: picture 'p': id 200 in the truth; expected 0 to 3, or 255"),
    (masks(predicted=4), "id 4 in the prediction; expected 0 to 3"),
    (masks(predicted=255), "id 255 in the prediction.*void is no prediction"),
    (masks(predicted=255, truth=255), "id 255 in the prediction"),
])
def test_wrong_masks_are_refused_and_leave_nothing_behind(arguments, match):
  metric = MeanIoU(LABELS)
  with pytest.raises(DataError, match=match):
    metric.update("p", *arguments)
  assert metric.result().pictures == 0
  metric.update("p", *masks())
  with pytest.raises(DataError, match="'p' twice"):
    metric.update(b"p", *masks())


def test_void_may_be_another_id_but_not_that_of_a_class():
  metric = MeanIoU(LABELS, void=4)
  metric.update("p", *masks(predicted=1, truth=4))
  metric.update("q", *masks(predicted=1, truth=1))
  assert metric.result().numbers["mIOU"] == 1.0
  with pytest.raises(DataError, match="id 255 in the truth; expected 0 to 3, or 4 for void"):
    metric.update("r", *masks(truth=255))
  for labels, void in ((LABELS, 3), (LABELS, 256), (map(str, range(256)), 255)):
    with pytest.raises(ConfigError, match="void-id"):
      MeanIoU(tuple(labels), void)
  with pytest.raises(ConfigError, match="'sea' twice"):
    MeanIoU(("sea", "sea"))
  with pytest.raises(ConfigError, match="one string"):
    metric.result("p")


def test_guessing_is_the_commonest_class_everywhere():
  truth = np.random.default_rng(2).choice(4, (40, 30), p=[0.5, 0.3, 0.2, 0.0]).astype(np.uint8)
  real, blind = MeanIoU(list("abcd")), MeanIoU(list("abcd"))
  for name in "12":
    real.update(name, np.roll(truth, 1), truth)
    blind.update(name, np.zeros_like(truth), truth)
  for excluded in ((), ("1",)):
    found, expected = real.guessing(excluded), blind.result(excluded).numbers
    assert found == pytest.approx({name: expected[name] for name in found}) and len(found) == 3
