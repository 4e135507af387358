"""Precision and recall of noisy labels are those of sets, their intervals cover what they say."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from jft_reps.collection.labels import precision, verdicts
from jft_reps.data.hierarchy.graph import Hierarchy
from jft_reps.errors import DataError
from tests.data import picture_files as files
from tests.data import record_files

TREE = Hierarchy(["thing", "dog", "cat", "pug", "rock"],
                 [("dog", "thing"), ("cat", "thing"), ("pug", "dog")])
CLASSES = len(TREE)
RNG = np.random.default_rng(3)
NOISY = {f"p{i}": sorted(set(RNG.integers(0, CLASSES, RNG.integers(0, 4)).tolist()))
         for i in range(60)}
TRUE = {name: sorted(set(RNG.integers(0, CLASSES, RNG.integers(0, 4)).tolist()))
        for name in list(NOISY)[:40]}


def written(directory, split, labels, **more):
  examples = {n: files.example(n, labels=ids, **{k: v[n] for k, v in more.items()})
              for n, ids in labels.items()}
  return record_files.write(directory, split, record_files.by_shard(examples, 3), TREE.ids)


def grown(ids, below=False):
  names = [TREE.ids[i] for i in ids]
  more = [d for n in names for d in (TREE.descendants(n) if below else TREE.ancestors(n))]
  return {TREE.index(n) for n in (*names, *more)}


def test_a_dense_sample_gives_precision_and_recall_of_sets(tmp_path):
  noisy = written(tmp_path, "train", NOISY)
  unknown = {n: [4] if i % 5 == 0 else [] for i, n in enumerate(TRUE)}
  truth = verdicts.from_records(
      written(tmp_path, "dense", TRUE, unknown=unknown), CLASSES, dense=True)
  listed, expanded = precision.measure(noisy, CLASSES, truth, TREE)
  for found, grow in ((listed, set), (expanded, grown)):
    claims = {n: grow(NOISY[n]) for n in TRUE}
    holds = {n: grown(TRUE[n]) for n in TRUE}
    judged = {n: claims[n] - (set(unknown[n]) - holds[n]) for n in TRUE}
    hits = sum(len(judged[n] & holds[n]) for n in TRUE)
    assert found.precision.true == hits
    assert found.precision.labels == sum(map(len, judged.values()))
    assert found.precision.value == hits / found.precision.labels
    assert found.recall.value == hits / sum(map(len, holds.values()))
    assert found.unjudged == sum(map(len, claims.values())) - found.precision.labels
    for c in range(CLASSES):
      assert found.labels[c] == sum(c in one for one in judged.values())
      assert found.true[c] == sum(c in judged[n] & holds[n] for n in TRUE)
  assert "with their ancestors: recall" in expanded.text()


def test_verdicts_on_some_labels_judge_only_what_follows_from_them(tmp_path):
  noisy = written(tmp_path, "train", {"a": [3], "b": [1, 2], "c": [4], "d": [3]})
  path = tmp_path / "verdicts.csv"
  path.write_text("ImageID,Source,LabelName,Confidence\na,verification,pug,1\n"
                  "b,verification,dog,0\nb,verification,nonsense,1\nd,verification,dog,0\n")
  truth = verdicts.from_csv(path, TREE.ids, dense=False)
  listed, expanded = precision.measure(noisy, CLASSES, truth, TREE)
  # True: pug of a. False: dog of b; pug of d, since where there is no dog there is no pug.
  assert (listed.precision.true, listed.precision.labels, listed.unjudged) == (1, 3, 1)
  assert listed.recall is None
  # With ancestors: pug, dog and thing of a are true; dog of b, pug and dog of d are false.
  assert (expanded.precision.true, expanded.precision.labels, expanded.unjudged) == (3, 6, 3)
  (alone,) = precision.measure(noisy, CLASSES, truth)
  assert (alone.precision.true, alone.precision.labels) == (1, 2)


def test_verified_absences_of_records_are_verdicts(tmp_path):
  noisy = written(tmp_path, "train", {"a": [1], "b": [1], "c": [2]})
  other = written(tmp_path, "human", {"a": [1], "b": [], "c": []},
                  absent={"a": [2], "b": [1], "c": []})
  (found,) = precision.measure(
      noisy, CLASSES, verdicts.from_records(other, CLASSES, dense=False))
  assert (found.precision.true, found.precision.labels, found.unjudged) == (1, 2, 1)


def test_real_rows_of_open_images_are_read(shared_data):
  folder = shared_data / "multilabel" / "openimages_rows"
  for name in ("v2_human.csv", "v3_human.csv"):
    rows = list(csv.DictReader(open(folder / name)))
    labels = sorted({r["LabelName"] for r in rows})
    found = verdicts.from_csv(folder / name, labels, dense=False)
    said = {(i, labels[c], v) for v, table in ((1, found.present), (0, found.absent))
            for i, classes in table.items() for c in classes}
    assert said == {(r["ImageID"], r["LabelName"], int(float(r["Confidence"]))) for r in rows}


@pytest.mark.parametrize("text,slug,place", [
    ("a,dog\n", "verdict-line", ":1"), ("a,dog,1\nb,cat,0.7\n", "verdict-line", ":2"),
    ("a,dog,yes\n", "verdict-line", ":1"), ("a,dog,1\n\na,dog,0\n", "verdict-twice", ":3"),
    ("", "verdict-file", ""), ('a,"dog\n', "verdict-file", ""), ("a,wolf,1\n", "verdict-file", "")])
def test_bad_verdicts_are_named_by_line(tmp_path, text, slug, place):
  path = tmp_path / "v.csv"
  path.write_text(text)
  if slug == "verdict-file" and "wolf" in text:
    assert not any(map(len, verdicts.from_csv(path, TREE.ids, False).present.values()))
    return
  with pytest.raises(DataError) as error:
    verdicts.from_csv(path, TREE.ids, dense=False)
  assert error.value.slug == slug and error.value.where == f"{path}{place}"


def test_a_sample_of_other_pictures_is_refused(tmp_path):
  noisy = written(tmp_path, "train", {"a": [1]})
  truth = verdicts.from_records(written(tmp_path, "val", {"z": [1]}), CLASSES, True)
  with pytest.raises(DataError, match="none of the 1 pictures with verdicts is in it"):
    precision.measure(noisy, CLASSES, truth)


def test_wilsons_interval_is_the_published_one():
  # Newcombe 1998, Statistics in Medicine 17, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
  for true, number, low, high in ((81, 263, .2553, .3662), (15, 148, .0624, .1605),
                                  (0, 20, 0, .1611), (1, 29, .0061, .1718)):
    found = precision.share(np.arange(number) < true, np.ones(number))
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)


def clusters(random, pictures):
  """Labels of pictures, most of which are right or wrong together; precision 0.8."""
  labels = random.integers(1, 12, pictures)
  chance = random.beta(0.8, 0.2, pictures)
  return random.binomial(labels, chance), labels


def test_intervals_cover_though_labels_of_a_picture_agree():
  random = np.random.default_rng(0)
  covered = plain = 0
  for _ in range(600):
    true, labels = clusters(random, 80)
    found = precision.share(true, labels)
    covered += found.low <= 0.8 <= found.high
    low, high = precision.wilson(found.value, labels.sum())
    plain += low <= 0.8 <= high
  assert 0.92 <= covered / 600 <= 0.98
  assert plain / 600 < 0.75  # what taking labels for independent would give


def test_the_interval_is_near_a_bootstrap_over_pictures():
  random = np.random.default_rng(1)
  true, labels = clusters(random, 400)
  found = precision.share(true, labels)
  draws = random.integers(0, 400, (4000, 400))
  low, high = np.quantile(true[draws].sum(1) / labels[draws].sum(1), (0.025, 0.975))
  assert found.low == pytest.approx(low, abs=0.006)
  assert found.high == pytest.approx(high, abs=0.006)


def test_intervals_of_samples_that_agree_keep_their_width():
  every = precision.share([3, 5, 2], [3, 5, 2])
  assert every.value == 1.0 and every.low < 0.5 and every.high == 1.0
  assert (every.effective, every.labels, every.pictures) == (3, 10, 3)
  one = precision.share([1], [2])
  assert one.low < 0.1 and one.high > 0.9
  none = precision.share([0, 0], [0, 0])
  assert np.isnan(none.value) and str(none) == "n/a (no labels)"


def test_the_table_has_the_classes_with_enough_labels(tmp_path):
  noisy = written(tmp_path, "train", NOISY)
  truth = verdicts.from_records(written(tmp_path, "dense", TRUE), CLASSES, True)
  (found,) = precision.measure(noisy, CLASSES, truth)
  rows = list(csv.DictReader(io.StringIO(precision.class_table(found, TREE.ids, 12))))
  assert [r["id"] for r in rows] == [TREE.ids[c] for c in range(CLASSES) if found.labels[c] >= 12]
  for row in rows:
    true, labels = int(row["true"]), int(row["labels"])
    low, high = precision.wilson(true / labels, labels)
    assert float(row["low"]) == pytest.approx(low, abs=1e-4)
    assert float(row["high"]) == pytest.approx(high, abs=1e-4)
