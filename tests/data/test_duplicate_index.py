"""An index on disk is read as it was written, or refused."""

from __future__ import annotations

import numpy as np
import pytest

from jft_reps import errors
from jft_reps.data import duplicate_index
from tests.data.duplicate_cases import data, parts, scene


@pytest.fixture(scope="module")
def pictures():
  return {f"{i:02d}": data(scene(i)) for i in range(12)}


def test_an_index_is_read_as_written_and_merged(pictures, tmp_path):
  names = list(pictures)
  halves = [{i: pictures[i] for i in some} for some in (names[:5], names[5:])]
  for number, half in enumerate(halves):
    duplicate_index.write(tmp_path / str(number), parts({**half, "bad": b""}, size=2))
  merged = duplicate_index.joined(duplicate_index.read(tmp_path / "0", tmp_path / "1"))
  whole = parts(pictures)[0]
  assert merged.ids == whole.ids and merged.unreadable == [("bad", "unsupported_format")] * 2
  for name in ("hashes", "thumbs", "aspects"):
    np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name))


def _pickle(folder):
  np.save(folder / "part-00000.hashes.npy", np.array([{}], object), allow_pickle=True)


DAMAGE = {
    "no description": lambda f: (f / "index.json").unlink(),
    "no JSON": lambda f: (f / "index.json").write_text("{"),
    "other version": lambda f: (f / "index.json").write_text(
        (f / "index.json").read_text().replace('"version": 1', '"version": 2')),
    "part gone": lambda f: (f / "part-00000.thumbs.npy").unlink(),
    "pickle": _pickle,
    "cut": lambda f: (f / "part-00000.hashes.npy").write_bytes(
        (f / "part-00000.hashes.npy").read_bytes()[:-8]),
    "ids gone": lambda f: (f / "part-00000.json").write_text('{"ids": [], "unreadable": []}'),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_index_is_refused(pictures, tmp_path, damage):
  duplicate_index.write(tmp_path, parts(pictures))
  DAMAGE[damage](tmp_path)
  with pytest.raises(errors.DataError, match=str(tmp_path)):
    duplicate_index.read(tmp_path)
