"""An index on disk is read as it was written, or refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from jft_reps import errors
from jft_reps.collection.dedup import index
from tests.collection.dedup.duplicate_cases import data, parts, scene


@pytest.fixture(scope="module")
def pictures():
  return {f"{i:02d}": data(scene(i)) for i in range(12)}


def test_an_index_is_read_as_written_and_merged(pictures, tmp_path):
  names = list(pictures)
  halves = [{i: pictures[i] for i in some} for some in (names[:5], names[5:])]
  for number, half in enumerate(halves):
    index.write(tmp_path / str(number), parts({**half, "bad": b""}, size=2))
  merged = index.joined(index.read(tmp_path / "0", tmp_path / "1"))
  whole = parts(pictures)[0]
  assert merged.ids == whole.ids and merged.unreadable == [("bad", "unsupported_format")] * 2
  for name in ("hashes", "thumbs", "aspects", "digests"):
    np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name))


def _pickle(folder):
  np.save(folder / "part-00000.hashes.npy", np.array([{}], object), allow_pickle=True)


def _inverted(path):
  data = path.read_bytes()
  path.write_bytes(data[:200] + bytes(255 - b for b in data[200:]))


DAMAGE = {
    "other bits": lambda f: _inverted(f / "part-00000.hashes.npy"),
    "other pixels": lambda f: _inverted(f / "part-00000.thumbs.npy"),
    "other names": lambda f: (f / "part-00000.json").write_text(
        (f / "part-00000.json").read_text().replace('"03"', '"30"')),
    "no description": lambda f: (f / "index.json").unlink(),
    "no JSON": lambda f: (f / "index.json").write_text("{"),
    "other version": lambda f: (f / "index.json").write_text(
        (f / "index.json").read_text().replace('"version": 2', '"version": 1')),
    "part gone": lambda f: (f / "part-00000.thumbs.npy").unlink(),
    "pickle": _pickle,
    "cut": lambda f: (f / "part-00000.hashes.npy").write_bytes(
        (f / "part-00000.hashes.npy").read_bytes()[:-8]),
    "ids gone": lambda f: (f / "part-00000.json").write_text('{"ids": [], "unreadable": []}'),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_index_is_refused(pictures, tmp_path, damage):
  index.write(tmp_path, parts(pictures))
  DAMAGE[damage](tmp_path)
  with pytest.raises(errors.DataError, match=str(tmp_path)):
    index.read(tmp_path)


def test_a_second_index_leaves_no_part_of_the_first(pictures, tmp_path):
  index.write(tmp_path, parts(pictures, size=2))
  index.write(tmp_path, parts(pictures, size=8))
  assert len(list(tmp_path.glob("part-*.json"))) == 2
  assert index.joined(index.read(tmp_path)).ids == list(pictures)


def test_one_id_for_two_pictures_of_a_side_is_refused(pictures):
  index.check_ids(parts(pictures, size=5))
  twice = [dataclasses.replace(parts(pictures)[0], source=name) for name in ("A", "B")]
  with pytest.raises(errors.DataError, match="ids-collide.*00: in A and in B; expected ids that"):
    index.check_ids(twice)
