"""FastEval against brute force, closed forms, published cases and its own promises."""

from __future__ import annotations

import csv
import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jft_reps.errors import ConfigError, DataError, StorageError
from jft_reps.metrics import average_precision, fasteval

READINGS, RESTRICTS = ("class", "picture"), ("before", "after")


def brute_force(scores, labels, k, weights, classes, restrict, reading):
  """The definition in plain loops: value and {class: AP}."""
  classes = set(classes)
  kept = []
  for row in scores:
    allowed = sorted(classes) if restrict == "before" else range(len(row))
    best = sorted(allowed, key=lambda c: (-row[c], c))[:k]
    kept.append([c for c in best if c in classes])
  found = {c: [] for c in classes if any(y[c] for y in labels)}
  shares = []
  for i, best in enumerate(kept):
    gained, hits = 0.0, 0
    for rank, c in enumerate(best, 1):
      if not labels[i][c]:
        continue
      hits += 1
      if reading == "picture":
        precision = hits / rank
      else:
        rivals = [j for j, other in enumerate(kept) if c in other and scores[j][c] >= scores[i][c]]
        precision = sum(1 for j in rivals if labels[j][c]) / len(rivals)
      gained += weights[c] * precision
      found[c].append(precision)
    heaviest = sorted((weights[c] for c in classes if labels[i][c]), reverse=True)[:k]
    if sum(heaviest) > 0:
      shares.append(gained / sum(heaviest))
  per_class = {c: sum(p) / sum(1 for y in labels if y[c]) for c, p in found.items()}
  if reading == "picture":
    return (sum(shares) / len(shares) if shares else math.nan), per_class
  total = sum(weights[c] for c in per_class)
  weighted = sum(weights[c] * ap for c, ap in per_class.items())
  return (weighted / total if total else math.nan), per_class


def world(seed, pictures=40, classes=17, levels=6, labelled=0.15):
  """Scores full of ties, and labels, some pictures and classes without any."""
  rng = np.random.default_rng(seed)
  scores = rng.integers(0, levels, (pictures, classes)) / 4.0 - 0.5
  labels = rng.random((pictures, classes)) < labelled
  labels[0] = False
  labels[:, 3] = False
  return scores, labels


def stream(scores, labels, cuts=(), order=None, exclude=None, dense=True, **options):
  """The same through `FastEval`, in any order and any batches."""
  order = np.arange(len(scores)) if order is None else np.asarray(order)
  evaluation = fasteval.FastEval(scores.shape[1], **options)
  for part in np.split(order, sorted(cuts)):
    ids = [f"p{i}".encode() for i in part]
    if dense:
      evaluation.update(ids, scores[part], labels[part])
    else:
      evaluation.update(ids, scores[part], label_ids=[np.flatnonzero(y) for y in labels[part]])
  return evaluation.result(exclude)


def same(a, b):
  """Two results are equal to the last bit."""
  np.testing.assert_array_equal(a.per_class, b.per_class)
  np.testing.assert_array_equal(a.counts, b.counts)
  np.testing.assert_equal(
      (a.value, a.macro, dict(a.groups), a.undefined, a.scalars()),
      (b.value, b.macro, dict(b.groups), b.undefined, b.scalars()))


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("restrict", RESTRICTS)
@pytest.mark.parametrize("k", [1, 3, 7, 16, 17, 100])
def test_equals_brute_force_with_ties(reading, restrict, k):
  for seed in range(6):
    scores, labels = world(seed, levels=(2, 6, 10**6)[seed % 3])
    rng = np.random.default_rng(seed)
    weights = rng.random(17) * (rng.random(17) < 0.9)
    classes = rng.permutation(17)[:17 if seed == 0 else 11]
    value, per_class = brute_force(scores, labels, k, weights, classes, restrict, reading)
    options = dict(k=k, class_weights=weights, classes=classes, restrict=restrict, reading=reading)
    for result in (fasteval.mean_average_precision(scores, labels, **options),
                   stream(scores, labels, cuts=(1, 5, 5, 30), dense=False, **options)):
      assert result.value == pytest.approx(value, abs=1e-12)
      assert result.macro == pytest.approx(np.mean(list(per_class.values())), abs=1e-12)
      wanted = np.full(17, np.nan)
      wanted[list(per_class)] = list(per_class.values())
      np.testing.assert_allclose(result.per_class, wanted, atol=1e-12)
      assert result.undefined == len(classes) - len(per_class)
      np.testing.assert_array_equal(result.counts, labels.sum(axis=0))


@pytest.mark.parametrize("reading", READINGS)
def test_many_classes_in_several_chunks_equal_brute_force(reading):
  rng = np.random.default_rng(7)
  scores = rng.standard_normal((60, 20_000)).astype(np.float32).round(2)  # ties at every boundary
  labels = np.zeros(scores.shape, np.uint8)
  labels[np.arange(60)[:, None], rng.integers(0, 50, (60, 8))] = 1
  scores += 2.5 * labels
  value, _ = brute_force(scores.tolist(), labels, 100, labels.sum(0), range(20_000), "before",
                         reading)
  result = fasteval.mean_average_precision(scores, labels, reading=reading)
  assert result.value == pytest.approx(value, abs=1e-12)
  assert 0.05 < value < 0.95


def test_closed_form_by_hand():
  # Class 0: order p0 (hit), p1 (miss), p2 (hit): (1 + 2/3) / 2. Class 1: p2 miss, p0 and p1 tie,
  # one of them a hit: precision of the group is 1/3. Class 2 has no positive.
  scores = np.array([[.9, .5, 0], [.8, .5, 0], [.7, .6, 0]])
  labels = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0]])
  result = fasteval.mean_average_precision(scores, labels, class_weights=[2, 1, 5])
  np.testing.assert_allclose(result.per_class, [5 / 6, 1 / 3, np.nan])
  assert result.value == pytest.approx((2 * 5 / 6 + 1 / 3) / 3)
  assert result.macro == pytest.approx((5 / 6 + 1 / 3) / 2)
  assert result.undefined == 1
  # By picture: p0 hit at 1, p1 hit at 2 (class 0 first), p2 hit at 1.
  by_picture = fasteval.mean_average_precision(scores, labels, reading="picture")
  assert by_picture.value == pytest.approx((1 + 1 / 2 + 1) / 3)
  # k = 1: p0, p1 and p2 keep class 0 alone, so class 1 has no hit left but its positive stays.
  np.testing.assert_allclose(
      fasteval.mean_average_precision(scores, labels, k=1).per_class, [5 / 6, 0, np.nan])


def test_weighted_picture_by_hand():
  # Labels 0 (weight 3) and 2 (weight 1), found at ranks 2 and 3: (3 · 1/2 + 1 · 2/3) / 4.
  # With k = 2 only the first hit stays and the divisor keeps both: (3 · 1/2) / 4; with k = 1 the
  # divisor is the heavier label alone.
  scores, labels = np.array([[2., 3., 1.]]), np.array([[1, 0, 1]])
  for k, expected in ((3, (3 / 2 + 2 / 3) / 4), (2, 3 / 8), (1, 0.0)):
    result = fasteval.mean_average_precision(scores, labels, k, [3, 7, 1], reading="picture")
    assert result.value == pytest.approx(expected)


def test_restrict_after_loses_what_other_classes_crowd_out():
  scores, labels = np.array([[.9, .8, .7], [.1, .2, .3]]), np.array([[0, 0, 1], [0, 0, 1]])
  before = fasteval.mean_average_precision(scores, labels, 2, classes=[2])
  after = fasteval.mean_average_precision(scores, labels, 2, classes=[2], restrict="after")
  assert (before.value, after.value) == (1.0, 0.5)


def test_published_cases_of_ap_at_k(shared_data):
  """Uniform weights make the picture-wise reading the usual mean of AP@k.

  A prediction list that names a class twice has no scores of its own; each repeat counts for
  nothing there and holds its rank, as a class does that nobody labelled, so it becomes one.
  A list with nothing to find counts 0 there and is undefined here: none of the cases has one.
  """
  path = shared_data / "evalref" / "mapk_literal_cases.json"
  cases = json.loads(path.read_text())["cases"]
  assert len(cases) >= 11
  for case in cases:
    one = case["fn"] == "apk"
    actual = [case["actual"]] if one else case["actual"]
    predicted = [case["predicted"]] if one else case["predicted"]
    assert all(actual)
    spare = 1000
    scores, labels = np.zeros((len(actual), 2000)), np.zeros((len(actual), 2000), bool)
    for i, (truth, ranked) in enumerate(zip(actual, predicted)):
      labels[i, truth] = True
      for rank in range(max(len(ranked), case["k"])):
        new = rank < len(ranked) and ranked[rank] not in ranked[:rank]
        scores[i, ranked[rank] if new else spare + rank] = 1 / (1 + rank)
    result = fasteval.mean_average_precision(
        scores, labels, case["k"], np.ones(2000), reading="picture")
    assert result.value == pytest.approx(case["expected"], abs=1e-12), case["src"]


@given(st.integers(0, 10**6), st.sampled_from(READINGS), st.sampled_from(RESTRICTS),
       st.integers(1, 20), st.data())
def test_order_and_batches_change_nothing(seed, reading, restrict, k, data):
  scores, labels = world(seed, levels=3)
  order = data.draw(st.permutations(range(len(scores))))
  cuts = data.draw(st.lists(st.integers(0, len(scores)), max_size=5))
  options = dict(k=k, reading=reading, restrict=restrict, classes=range(2, 14),
                 groups={"leaves": [4, 5, 6], "none": [3]}, train_counts=range(17, 0, -1))
  whole = fasteval.mean_average_precision(scores, labels, **options)
  same(whole, stream(scores, labels, cuts, order, **options))
  same(whole, stream(scores, labels, cuts, order, dense=False, **options))


@given(st.integers(0, 10**6), st.sampled_from(READINGS), st.sampled_from(RESTRICTS),
       st.integers(1, 20))
def test_monotone_transforms_of_scores_change_nothing(seed, reading, restrict, k):
  scores, labels = world(seed)
  options = dict(k=k, reading=reading, restrict=restrict, classes=range(3, 16))
  whole = fasteval.mean_average_precision(scores, labels, **options)
  for changed in (np.exp(scores), 1e3 * scores - 7, scores.astype(np.float32),
                  scores.astype(np.float16), (4 * scores).astype(np.int8)):
    same(whole, fasteval.mean_average_precision(changed, labels, **options))


@given(st.integers(0, 10**6), st.sampled_from(READINGS), st.integers(1, 20),
       st.floats(1e-300, 1e300))
def test_scale_of_weights_changes_nothing(seed, reading, k, scale):
  scores, labels = world(seed)
  weights = np.random.default_rng(seed).random(17) + 1e-3
  one, other = (fasteval.mean_average_precision(scores, labels, k, w, reading=reading)
                for w in (weights, weights * scale))
  assert one.value == pytest.approx(other.value, abs=1e-12)


@given(st.integers(0, 10**6), st.sampled_from(READINGS), st.integers(1, 20))
def test_a_class_without_positives_changes_only_the_count(seed, reading, k):
  scores, labels = world(seed)
  weights = np.arange(1.0, 19.0)
  wider = np.concatenate([scores, np.full((len(scores), 1), -9.0)], axis=1)
  more = np.concatenate([labels, np.zeros((len(labels), 1), bool)], axis=1)
  one = fasteval.mean_average_precision(scores, labels, k, weights[:17], reading=reading)
  other = fasteval.mean_average_precision(wider, more, k, weights, reading=reading)
  np.testing.assert_equal((one.value, one.macro, dict(one.groups)),
                          (other.value, other.macro, dict(other.groups)))
  assert other.undefined == one.undefined + 1


@given(st.integers(0, 10**6), st.sampled_from(READINGS), st.sampled_from(RESTRICTS))
def test_a_perfect_scorer_gets_one_where_labels_fit(seed, reading, restrict):
  _, labels = world(seed)
  k = int(labels.sum(axis=1).max())
  result = fasteval.mean_average_precision(
      labels.astype(np.float32), labels, k, classes=range(12), restrict=restrict, reading=reading)
  assert result.value == pytest.approx(1.0, abs=1e-15)
  assert result.macro == 1.0


def test_more_labels_than_k_keep_a_perfect_scorer_below_one_by_class():
  labels = np.ones((4, 3))
  assert fasteval.mean_average_precision(labels, labels, 2).value == pytest.approx(2 / 3)
  assert fasteval.mean_average_precision(labels, labels, 2, reading="picture").value == 1.0


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("restrict", RESTRICTS)
@pytest.mark.parametrize("weights", [None, np.arange(17.0)])
def test_excluding_pictures_equals_a_run_without_them(reading, restrict, weights):
  scores, labels = world(11)
  options = dict(k=5, reading=reading, restrict=restrict, classes=range(15), class_weights=weights)
  out = [0, 7, 8, 39]
  without = stream(np.delete(scores, out, 0), np.delete(labels, out, 0), **options)
  result = stream(scores, labels, cuts=(8,), exclude=["p0", b"p7", "p8", "p39", "p999"], **options)
  same(result, stream(scores, labels, exclude=np.array([b"p0", b"p7", b"p8", b"p39"]), **options))
  same(result, without)
  assert (result.pictures, result.excluded) == (36, 4)
  assert "36 of 40 pictures" in result.definition
  with pytest.raises(ConfigError, match="a list of ids"):
    stream(scores, labels, exclude="p0", **options)


def test_float64_is_not_rounded_and_bfloat16_is_taken():
  close = np.array([[1.0, 0.0], [1.0 + 1e-12, 0.0]])
  labels = np.array([[0, 0], [1, 0]])
  assert fasteval.mean_average_precision(close, labels).value == 1.0
  assert fasteval.mean_average_precision(close.astype(np.float32), labels).value == 0.5
  mixed = fasteval.FastEval(2)
  mixed.update(["a"], close[:1].astype(np.float32), labels[:1])
  mixed.update(["b"], close[1:], labels[1:])
  assert mixed.result().value == 1.0
  half = pytest.importorskip("ml_dtypes").bfloat16
  assert fasteval.mean_average_precision(close.astype(half), labels).value == 0.5


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused_and_leave_nothing_behind(bad):
  scores, labels = world(3)
  evaluation = fasteval.FastEval(17, classes=range(4))
  evaluation.update([f"a{i}" for i in range(40)], scores, labels)
  before = evaluation.result()
  broken = scores.astype(np.float32)
  broken[21, 16] = broken[21, 2] = broken[30, 0] = bad  # class 16 is not even evaluated
  with pytest.raises(DataError, match=r"'b21'.*3 scores in 2 pictures"):
    evaluation.update([f"b{i}" for i in range(40)], broken, labels)
  same(before, evaluation.result())
  evaluation.update([f"b{i}" for i in range(40)], scores, labels)
  assert evaluation.result().pictures == 80


def test_labels_are_checked():
  scores, labels = world(3)
  names = [f"a{i}" for i in range(40)]
  wrong = labels.astype(float)
  wrong[5, 6] = 0.5
  def refused(match, ids=names, scores=scores, error=DataError, **truth):
    with pytest.raises(error, match=match):
      fasteval.FastEval(17).update(ids, scores, **truth)
  refused(r"'a5'.*0\.5 of class 6", labels=wrong)
  refused("shape", labels=labels[:, :3])
  refused("39 rows", label_ids=[[0]] * 39)
  refused(r"'a2'.*label 17; expected 0 to 16", label_ids=[[0], [1], [4, 17], *[[]] * 37])
  refused("label -2", label_ids=np.full((40, 2), -2))
  refused("integers", label_ids=np.full((40, 2), 0.0))
  refused("both or neither", error=ConfigError)
  refused("both or neither", error=ConfigError, labels=labels, label_ids=[[]] * 40)
  refused(r"expected \[40, 17\]", scores=scores[:, :5], labels=labels)
  refused("dtype", scores=scores.astype(complex), labels=labels)
  refused("'a1' twice", ids=["a1", *names[1:]], labels=labels)
  taken = fasteval.FastEval(17)
  taken.update(names, scores, labels)
  with pytest.raises(DataError, match="'a7' twice"):
    taken.update([b"a7"], scores[:1], labels[:1])


def test_padded_label_ids_equal_dense_labels():
  scores, labels = world(5)
  padded = np.full((40, 20), -1)
  for i, row in enumerate(labels):
    found = np.flatnonzero(row)
    padded[i, 1:1 + 2 * len(found)] = np.repeat(found[::-1], 2)  # in any order, repeats count once
  evaluation = fasteval.FastEval(17, k=4)
  evaluation.update(range(40), scores, label_ids=padded)
  same(evaluation.result(), fasteval.mean_average_precision(scores, labels, 4))


def test_nothing_defined_is_left_out_never_a_number():
  for evaluation in (fasteval.FastEval(4), fasteval.FastEval(4, reading="picture")):
    for name in ("x", "y", "z"):
      result = evaluation.result()
      assert math.isnan(result.value) and result.undefined == 4
      assert result.scalars("fasteval/") == {"fasteval/classes": 0.0, "fasteval/undefined": 4.0}
      evaluation.update([name], np.zeros((1, 4)), np.zeros((1, 4), bool))
      evaluation.update([], np.zeros((0, 4)), label_ids=np.zeros((0, 3), int))


def test_head_middle_tail_groups_and_names():
  rng = np.random.default_rng(0)
  scores, labels = rng.random((200, 8)), rng.random((200, 8)) < np.geomspace(0.5, 0.05, 8)
  labels[:, 2] = False
  groups = {"leaves": [5, 6, 7], "level 1": np.arange(8) < 1, "empty": [2]}
  result = fasteval.mean_average_precision(scores, labels, groups=groups)
  ap = result.per_class
  order = [c for c in np.argsort(-labels.sum(0), kind="stable") if c != 2]
  expected = {"head": ap[order[:3]].mean(), "middle": ap[order[3:5]].mean(),
              "tail": ap[order[5:]].mean(), "leaves": ap[5:].mean(), "level 1": ap[0],
              "mAP@100": np.average(np.delete(ap, 2), weights=np.delete(labels.sum(0), 2)),
              "macro mAP@100": np.nanmean(ap), "classes": 7, "undefined": 1}
  assert result.scalars() == pytest.approx(expected, abs=1e-12)
  assert "evaluation count" in result.definition
  turned = fasteval.mean_average_precision(scores, labels, train_counts=np.arange(8, dtype="u1"))
  assert turned.groups["head"] == pytest.approx(ap[[7, 6, 5]].mean())
  assert turned.groups["tail"] == pytest.approx(ap[[1, 0]].mean())
  assert "training count" in turned.definition


def test_definition_says_everything():
  scores, labels = world(1)
  text = fasteval.mean_average_precision(scores, labels, 7, classes=range(12)).definition
  assert text.startswith("mAP@7 (class-wise, over 11 of 12 classes with >= 1 positive, weights: ")
  assert "substitute" in text and "best 7 of the evaluated classes" in text and "\n" not in text
  text = fasteval.mean_average_precision(
      scores, labels, reading="picture", restrict="after",
      class_weights=fasteval.ClassWeights(np.ones(17), "from w.csv")).definition
  assert text.startswith("mAP@100 (picture-wise, over 16 of 17 classes")
  assert "from w.csv" in text and "best 100 of all classes" in text and "substitute" not in text


@pytest.mark.parametrize("options, match", [
    (dict(k=0), "k: 0"), (dict(k=1.5), "integer"), (dict(num_classes=0), "num_classes"),
    (dict(restrict="during"), "before or after"), (dict(reading="image"), "class or picture"),
    (dict(classes=[]), "no class"), (dict(classes=[5]), "class 5"),
    (dict(classes=[-1]), "class -1"), (dict(classes=[1, 1]), "class 1 twice"),
    (dict(classes=[0.5]), "class indices"),
    (dict(groups={"x": [9]}), "class 9"), (dict(groups={"head": [0]}), "another name"),
    (dict(train_counts=[1, 2]), "train_counts"),
])
def test_options_are_checked(options, match):
  with pytest.raises(ConfigError, match=match):
    fasteval.FastEval(**{"num_classes": 5, **options})


def test_weights_are_read_from_a_file(tmp_path):
  path = tmp_path / "weights.csv"
  path.write_text("\ufeffid,weight\n# social media, 2017\n\ncat,2\n dog , 1e1\n\"a, b\",0\n",
                  encoding="utf-8")
  weights = fasteval.read_class_weights(path, 4, ids=["dog", "cat", "a, b", "unknown"])
  np.testing.assert_array_equal(weights.values, [10, 2, 0, np.nan])
  path.write_text("2,1\n0,3\n1,4\n")
  indexed = fasteval.read_class_weights(path, 3)
  np.testing.assert_array_equal(indexed.values, [3, 4, 1])
  scores, labels = np.eye(3), np.eye(3)[[1, 0, 2]]
  result = fasteval.mean_average_precision(scores, labels, 1, indexed)
  assert result.value == 1 / 8 and "weights.csv" in result.definition
  with pytest.raises(DataError, match="no weight for 1 evaluated classes, the first is 3"):
    fasteval.FastEval(4, class_weights=weights)
  fasteval.FastEval(4, class_weights=weights, classes=range(3))


@pytest.mark.parametrize("content, match", [
    (b"0,1\nsofa,2\n", r"w\.csv:2: unknown class 'sofa'"),
    (b"0,1\n3,2\n", r":2: unknown class '3'"),
    (b"0,1\n1,-2\n", r":2: weight '-2'"), (b"0,nan\n", r":1: weight 'nan'"),
    (b"0,inf\n", r":1: weight"), (b"0,\n", r":1: weight ''"), (b"0,1,2\n", r":1: 3 fields"),
    (b"0\n", r":1: 1 fields"), (b"0,1\n\n0,1\n", r":3: class '0' again, first on line 1"),
    (b"0,\xff\n", "UTF-8"), (b'"0,1\n', "w.csv"), (b"0,x\x1b[31m\n", r"\\x1b"),
])
def test_bad_weight_files_name_file_and_line(tmp_path, content, match):
  path = tmp_path / "w.csv"
  path.write_bytes(content)
  with pytest.raises(DataError, match=match):
    fasteval.read_class_weights(path, 3)


def test_weights_are_checked(tmp_path):
  with pytest.raises(DataError, match="missing.csv"):
    fasteval.read_class_weights(tmp_path / "missing.csv", 3)
  with pytest.raises(DataError, match="2 ids for 3 classes"):
    fasteval.read_class_weights(tmp_path / "missing.csv", 3, ids=["a", "b"])
  for weights, match in (([1, 2], "shape"), ([1, -1, 0], "-1.0 for class 1"),
                         ([1, 2, np.inf], "inf"),
                         ([0, 0, 0], "weighs 0"), ([1, np.nan, 1], "first is 1")):
    with pytest.raises(DataError, match=match):
      fasteval.FastEval(3, class_weights=weights)


def test_csv_has_one_row_per_evaluated_class(tmp_path):
  scores, labels = world(2)
  result = fasteval.mean_average_precision(scores, labels, classes=range(1, 6))
  path = tmp_path / "classes.csv"
  fasteval.write_csv(result, path, ids=[f"/m/{c}" for c in range(17)],
                     names=[f'a "{c}",\nb' for c in range(17)])
  with open(path, newline="", encoding="utf-8") as file:
    rows = list(csv.DictReader(file))
  assert [r["index"] for r in rows] == ["1", "2", "3", "4", "5"]
  assert [r["id"] for r in rows] == [f"/m/{c}" for c in range(1, 6)]
  assert rows[0]["name"] == 'a "1",\nb'
  assert [int(r["positives"]) for r in rows] == labels.sum(0)[1:6].tolist()
  assert rows[2]["ap"] == "" and result.undefined == 1
  assert [float(r["ap"]) for r in rows if r["ap"]] == result.per_class[[1, 2, 4, 5]].tolist()
  assert list(tmp_path.iterdir()) == [path]
  with pytest.raises(StorageError, match="nowhere"):
    fasteval.write_csv(result, tmp_path / "nowhere" / "x.csv")
  with pytest.raises(ConfigError, match="ids: 1 entries"):
    fasteval.write_csv(result, path, ids=["a"])


@pytest.mark.parametrize("arguments", [
    {"k": 3}, {"k": 20}, {"k": 3, "class_weights": np.linspace(0.1, 1, 12)},
    {"k": 4, "classes": [1, 2, 5, 7, 9]}, {"k": 6, "classes": [1, 2, 5, 7, 9], "restrict": "after"},
    {"k": 3, "reading": "picture"}])
def test_guessing_is_the_mean_of_scorers_that_know_the_frequencies_alone(arguments):
  rng = np.random.default_rng(1)
  labels = (rng.random((60, 12)) < np.linspace(0.02, 0.5, 12)).astype(np.uint8)
  ids = [str(i) for i in range(60)]
  metric = fasteval.FastEval(12, groups={"some": [0, 3, 11]}, **arguments)
  metric.update(ids, rng.standard_normal((60, 12)), labels)
  before = metric.result()

  def blind(pictures: np.ndarray) -> fasteval.FastEvalResult:
    """The commonest classes, in gaps that the order of pictures, by lot, does not cross."""
    truth = labels[pictures]
    scores = 10.0 * truth.sum(0) + rng.random((len(truth), 1)) + 1e-3 * np.arange(12, 0, -1)
    return fasteval.mean_average_precision(scores, truth, groups={"some": [0, 3, 11]}, **arguments)

  for excluded in ([], ids[:20]):
    draws = [blind(np.arange(len(excluded), 60)) for _ in range(400)]
    found = metric.guessing(excluded)
    for name, value in found.scalars().items():
      values = [draw.scalars()[name] for draw in draws]
      error = np.std(values) / np.sqrt(len(values))
      assert value == pytest.approx(np.mean(values), abs=5 * error + 1e-12), name
  assert metric.result().value == before.value


def test_a_random_order_is_exact_over_all_orders():
  hits = np.array([1, 1, 0, 0, 0], bool)
  every = [average_precision.by_class(np.zeros(5, int), -np.arange(5.0), np.array(order),
                                      np.array([2]))[0] for order in itertools.permutations(hits)]
  found = average_precision.of_random_order(np.array([True, True, False]), np.array([2, 0, 1]), 5)
  np.testing.assert_allclose(found, [np.mean(every), np.nan, 0.0])
