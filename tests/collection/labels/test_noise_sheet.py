"""The sheet has the pictures of the class, in order of their distance to a centroid."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from jft_reps.collection.labels import kmeans, noise_sheet
from jft_reps.errors import DataError, NumericError
from jft_reps.ops import images
from tests.data import picture_files as files
from tests.data import record_files

CROP = images.CenterCrop(16, 16)


def flat(value: int) -> bytes:
  out = io.BytesIO()
  Image.new("RGB", (20, 20), (value, 0, 255 - value)).save(out, "PNG")
  return out.getvalue()


def embed(pictures):
  """Mean red and blue."""
  return tf.reduce_mean(tf.cast(pictures, tf.float32), [1, 2])[:, ::2]


def written(directory):
  labels = {"a": (1,), "b": (2,), "c": (0,), "d": (1, 0), "e": (3,), "f": (2, 2)}
  reds = {"a": 10, "b": 20, "c": 30, "d": 250, "e": 40, "f": 50}
  examples = {n: files.example(n, flat(reds[n]), labels=ids) for n, ids in labels.items()}
  examples["bad"] = files.example("bad", flat(9)[:60], labels=(1,))
  examples["far"] = files.example("far", flat(9), labels=(1, 7))
  return record_files.write(directory, "train", record_files.by_shard(examples, 2), list("wxyz"))


def test_only_usable_pictures_of_the_classes_are_collected(tmp_path):
  record_set = written(tmp_path)
  found = noise_sheet.collect(record_set, 4, [1, 2], embed, CROP, side=8)
  assert sorted(found.ids) == ["a", "b", "d", "f"]
  reds = {"a": 10, "b": 20, "d": 250, "f": 50}
  for name, feature, small in zip(found.ids, found.features, found.thumbnails):
    np.testing.assert_allclose(feature, [reds[name], 255 - reds[name]], atol=1e-3)
    assert small.shape == (8, 8, 3) and (small[..., 0] == reds[name]).all()


def batches(*sizes):
  """What is read, as `collect` takes it."""
  made = lambda n: {"id": tf.constant([f"p{k}" for k in range(n)]),
                    "image": tf.zeros([n, 16, 16, 3], tf.uint8)}
  return lambda *given: [made(n) for n in sizes]


def test_no_more_are_read_than_asked_for(monkeypatch):
  seen = []
  monkeypatch.setattr(noise_sheet, "_batches", batches(3, 3, 3))
  found = noise_sheet.collect(None, 4, [1], embed, CROP, limit=5, side=8,
                              progress=lambda *done: seen.append(done))
  assert found.ids == ["p0", "p1", "p2", "p0", "p1"] and seen == [(3, 5), (5, 5)]
  assert len(found.features) == len(found.thumbnails) == 5


def test_no_picture_and_no_numbers_are_errors(monkeypatch, tmp_path):
  record_set = record_files.write(tmp_path, "train", [[files.example("e", labels=(3,))]])
  monkeypatch.setattr(noise_sheet, "_batches", batches())
  with pytest.raises(DataError, match="split train: no usable picture carries it"):
    noise_sheet.collect(record_set, 4, [0], embed, CROP)
  monkeypatch.setattr(noise_sheet, "_batches", batches(2))
  with pytest.raises(NumericError, match="not all finite"):
    noise_sheet.collect(record_set, 4, [1], lambda p: embed(p) * float("nan"), CROP)


def test_rows_are_equal_steps_of_the_distance_on_the_unit_sphere():
  random = np.random.default_rng(0)
  features = random.normal(size=(200, 6)) + np.array([4, 0, 0, 0, 0, 0])
  found = noise_sheet.arrange(features, clusters=3, steps=5)
  unit = features / np.linalg.norm(features, axis=1, keepdims=True)
  means = np.stack([unit[found.centroids == k].mean(0) for k in range(3)])
  distances = np.linalg.norm(unit[:, None] - means, axis=2)
  np.testing.assert_allclose(found.distances, distances.min(1), atol=1e-9)
  assert (found.centroids == distances.argmin(1)).all()
  step = (found.distances.max() - found.distances.min()) / 5
  wanted = np.minimum((found.distances - found.distances.min()) / step, 4).astype(int)
  assert (found.rows == wanted).all() and np.allclose(np.diff(found.edges), step)
  same = noise_sheet.arrange(np.ones((3, 2)), clusters=4, steps=5)
  assert np.allclose(same.distances, 0) and len(set(same.rows)) == 1


@given(st.integers(1, 40), st.integers(1, 6), st.integers(0, 5))
def test_centroids_are_means_of_what_is_nearest(count, clusters, seed):
  values = np.random.default_rng(seed).normal(size=(count, 3))
  centroids = kmeans.kmeans(values, clusters, seed)
  assert len(centroids) == min(count, clusters)
  nearest = ((values[:, None] - centroids)**2).sum(2).argmin(1)
  for k in set(nearest):
    np.testing.assert_allclose(centroids[k], values[nearest == k].mean(0))
  np.testing.assert_array_equal(centroids, kmeans.kmeans(values, clusters, seed))


def test_separate_clouds_get_a_centroid_each():
  random = np.random.default_rng(5)
  centres = 20 * random.normal(size=(5, 8))
  values = np.concatenate([c + random.normal(size=(30, 8)) for c in centres])
  found = kmeans.kmeans(values, 5, seed=1)
  gaps = np.linalg.norm(found[:, None] - centres, axis=2)
  assert sorted(gaps.argmin(1)) == list(range(5)) and gaps.min(1).max() < 1.5
  assert len(kmeans.kmeans(np.ones((4, 2)), 3)) == 1


def test_the_sheet_shows_near_pictures_above_far_ones():
  values = np.concatenate([np.linspace(0, 0.2, 9), [1.0]])
  features = np.stack([np.cos(values), np.sin(values)], 1)
  shades = (20 * np.arange(10)).astype(np.uint8)
  members = noise_sheet.Members(
      [f"p{i}" for i in range(10)], features, np.broadcast_to(
          shades[:, None, None, None], (10, 12, 12, 3)).copy())
  arranged = noise_sheet.arrange(features, clusters=1, steps=4)
  sheet = np.asarray(Image.open(io.BytesIO(
      noise_sheet.draw(members, arranged, "cl\x1bass é", columns=5))))
  for row in range(4):
    inside = sorted(np.flatnonzero(arranged.rows == row), key=lambda i: arranged.distances[i])
    picks = [inside[round(k)] for k in np.linspace(0, len(inside) - 1, 5)] if inside else []
    picks = list(dict.fromkeys(picks))
    for column in range(5):  # a square of 12 with 8 between and a line of 14, the first is blank
      place = sheet[22 + row * 34 + 6, 8 + (column + 1) * 20 + 6]
      assert place[0] == (shades[picks[column]] if column < len(picks) else 255)
  lines = list(csv.DictReader(io.StringIO(noise_sheet.table(members, arranged))))
  assert lines[-1]["id"] == "p9" and lines[-1]["row"] == "3" and len(lines) == 10
  distances = [float(line["distance"]) for line in lines]
  assert distances == sorted(distances)
