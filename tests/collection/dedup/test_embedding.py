"""Embeddings decide close cases, bring candidates, and are of the right pictures."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from jft_reps import errors
from jft_reps.collection.dedup import embedding as duplicate_embedding
from jft_reps.collection.dedup import find as near_duplicates
from jft_reps.collection.dedup.find import Options
from jft_reps.collection.dedup.pictures import Picture
from tests.collection.dedup.duplicate_cases import LIGHT, TURNED, data, parts, scene


@pytest.fixture(scope="module")
def pictures():
  return {f"{i:02d}": data(scene(i)) for i in range(12)}


@pytest.fixture(scope="module")
def copies():
  return {**{name: edit(scene(3)) for name, edit in {**LIGHT, **TURNED}.items()},
          **{f"other {i}": data(scene(i)) for i in range(100, 105)}}


def mean_colour(pixels):
  """An embedding that sees coarse layout."""
  return pixels[:, ::4, ::4].reshape(len(pixels), -1).astype(np.float32)


def test_an_embedding_decides_close_cases_and_brings_candidates(pictures, copies):
  theirs = parts(copies)
  theirs[0] = dataclasses.replace(
      theirs[0], hashes=theirs[0].hashes ^ np.uint64(0x0F0F0F0F0F0F0F0F), source="train")
  mine = [dataclasses.replace(p, source="eval") for p in parts(pictures)]
  assert near_duplicates.find(mine, theirs) == []  # hashes that are wrong
  sources = {"eval": pictures, "train": copies}

  def embedding(approximate=False):
    return duplicate_embedding.Embedding(
        mean_colour, 32, lambda s: (Picture(*p) for p in sources[s].items()), mine,
        approximate=approximate)

  pairs = near_duplicates.find(mine, theirs, embedding=embedding())
  assert {("03", i) for i in ("resized", "recompressed", "mirrored", "exif", "png")} <= {
      p[:2] for p in pairs}
  assert {p.eval_id for p in pairs} == {"03"} and {(p.distance, p.how) for p in pairs} == {
      (-1, "embedding")}
  if duplicate_embedding.installed():
    assert near_duplicates.find(mine, theirs, embedding=embedding(True)) == pairs
  # Where hashes agree and pixels alone would not do:
  strict = {p.train_id: p.how for p in near_duplicates.find(mine, parts_of(theirs, copies), Options(
      pixels=0.9999, neighbours=0), embedding())}
  assert strict["resized"] == "embedding"


def parts_of(theirs, copies):
  return [dataclasses.replace(parts(copies)[0], source="train")]


def test_an_embedding_has_a_vote_in_every_pair_and_what_it_refuses_is_told(pictures, copies):
  mine, theirs = ([dataclasses.replace(p, source=name) for p in parts(some)]
                  for name, some in (("eval", pictures), ("train", copies)))
  sources = {"eval": pictures, "train": copies}
  alone = near_duplicates.find(mine, theirs)
  assert {p.train_id for p in alone} == {*LIGHT, *TURNED}
  # Sees the left upper corner alone, so turned copies agree in some symmetry only.
  corner = lambda p: p[:, :12, :12].reshape(len(p), -1).astype(np.float32)

  def find(embed, symmetries=8, **options):
    refused = []
    embedding = duplicate_embedding.Embedding(
        embed, 32, lambda s: (Picture(*p) for p in sources[s].items()), mine,
        symmetries=symmetries)
    pairs = near_duplicates.find(mine, theirs, Options(neighbours=0, **options), embedding,
                                 refused=refused)
    assert {(p.eval_id, p.train_id) for p in alone} == {(p.eval_id, p.train_id)
                                                        for p in (*pairs, *refused)}
    assert {p.how for p in refused} <= {"refused"}
    return {p.train_id for p in refused}

  assert not find(mean_colour) & {"mirrored", "quarter", "upside down", *LIGHT}
  assert "upside down" in find(corner, symmetries=2, least_cosine=0.7)
  assert not {"quarter", "upside down"} & find(corner, least_cosine=0.7)
  same = {p.train_id for p in alone if p.similarity == 1.0}
  assert find(mean_colour, least_cosine=1.1) >= {*LIGHT, *TURNED} - same
  # One that says the same of all pictures refuses none.
  assert not find(lambda p: np.ones((len(p), 3)))


def test_embeddings_are_of_the_pictures_that_were_hashed(pictures):
  mine = [dataclasses.replace(p, source="s") for p in parts(pictures)]
  other = dict(list(pictures.items())[1:])
  with pytest.raises(errors.DataError, match="index-stale"):
    duplicate_embedding.Embedding(
        mean_colour, 32, lambda s: (Picture(*p) for p in other.items()), mine)
  with pytest.raises(errors.NumericError, match="bad-embedding"):
    duplicate_embedding.Embedding(lambda p: mean_colour(p) * np.nan, 32, lambda s: (
        Picture(*p) for p in pictures.items()), mine)
