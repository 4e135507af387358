"""No reader of folders passes over anything in silence."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from jft_reps.apps import build_records, command_line
from jft_reps.collection.dedup import pictures as duplicate_pictures
from jft_reps.data.sources import file_tree, folder, mask_folders
from jft_reps.errors import DataError


@pytest.fixture
def tree(tmp_path):
  image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8))
  root = tmp_path / "in"
  for name in ("cat/1.jpg", "cat/2.JPEG", "cat/deep/3.png", "cat/4.jfif", "cat/5.bmp", "cat/6.bmp",
               "dog/1.webp", "dog/.hidden.jpg"):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, format="JPEG" if path.suffix in (".jfif", ".jpg", ".JPEG") else
               {".png": "PNG", ".bmp": "BMP", ".webp": "WEBP"}[path.suffix])
  (root / "cat" / "README").write_text("cats")
  return root


READERS = {
    "folder": lambda root: list(folder.read(root)),
    "masks": lambda root: mask_folders.open_set([root], []),
    "dedup": lambda root: list(duplicate_pictures.folder(root)),
}


def test_others_are_counted_by_their_ending(tree):
  counts: dict[str, int] = {}
  found = list(file_tree.walk(tree, folder.SUFFIXES, counts))
  assert found == ["cat/1.jpg", "cat/2.JPEG", "cat/4.jfif", "cat/deep/3.png"]
  assert counts == {".bmp files passed over": 2, ".webp files passed over": 1,
                    "hidden files passed over": 1, "files without an ending passed over": 1}


def test_a_build_says_what_it_passed_over_and_which_label_is_lost(tree, tmp_path, capsys, caplog):
  assert command_line.run(build_records.main, [
      "build_records", f"--input={tree}", f"--output={tmp_path / 'out'}", "--shards=1"]) == 0
  out = capsys.readouterr().out
  assert "2 .bmp files passed over" in out and "1 .webp files passed over" in out
  assert "labels are lost: dog" in caplog.text


@pytest.mark.parametrize("reader", READERS)
def test_a_linked_folder_is_no_silence(reader, tree, tmp_path):
  (tmp_path / "elsewhere").mkdir()
  (tree / "linked").symlink_to(tmp_path / "elsewhere")
  with pytest.raises(DataError, match="linked") as error:
    READERS[reader](tree)
  assert "elsewhere" in error.value.found


@pytest.mark.parametrize("reader", READERS)
def test_nor_is_one_that_cannot_be_read(reader, tree, monkeypatch):
  scandir = os.scandir

  def refusing(path):
    if str(path).endswith("dog"):
      raise PermissionError(13, "Permission denied", str(path))
    return scandir(path)

  monkeypatch.setattr(os, "scandir", refusing)
  with pytest.raises(DataError, match="Permission denied") as error:
    READERS[reader](tree)
  assert error.value.where.endswith("dog")
