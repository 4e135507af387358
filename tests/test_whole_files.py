"""Files that appear as a whole: what is there before, during and after writing, and for whom."""

from __future__ import annotations

import os

import pytest

from jft_reps import whole_files
from jft_reps.errors import StorageError


@pytest.mark.parametrize("content, stored", [
    ("é\n\r\n", "é\n\r\n".encode()), (b"\0\xff", b"\0\xff"), ("", b"")])
def test_what_is_written_is_there_byte_for_byte(tmp_path, content, stored):
  whole_files.write(tmp_path / "x", content)
  assert (tmp_path / "x").read_bytes() == stored and os.listdir(tmp_path) == ["x"]


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
  whole_files.write(tmp_path / "x", "old")
  with whole_files.replacing(tmp_path / "x") as file:
    file.write("new")
    file.flush()
    assert (tmp_path / "x").read_text() == "old"
  assert (tmp_path / "x").read_text() == "new"


def test_what_fails_on_the_way_leaves_the_old_file_alone(tmp_path):
  whole_files.write(tmp_path / "x", "old")
  with pytest.raises(KeyError), whole_files.replacing(tmp_path / "x") as file:
    file.write("half")
    raise KeyError
  assert (tmp_path / "x").read_text() == "old" and os.listdir(tmp_path) == ["x"]


def test_a_file_that_cannot_be_written_is_named_and_leaves_nothing(tmp_path):
  with pytest.raises(StorageError, match="gone/x: No such file"):
    whole_files.write(tmp_path / "gone" / "x", b"1")
  (tmp_path / "x").mkdir()
  with pytest.raises(StorageError, match="x: Is a directory"):
    whole_files.write(tmp_path / "x", b"1")
  assert os.listdir(tmp_path) == ["x"]
  with pytest.raises(StorageError, match="a folder to write to"):
    whole_files.write_all(tmp_path / ("y" * 300), {"a": "1"})


def test_links_are_replaced_and_not_followed(tmp_path):
  outside = tmp_path / "outside"
  outside.write_text("mine")
  folder = tmp_path / "folder"
  folder.mkdir()
  for name in ("x", f".x.tmp-{os.getpid()}"):  # of the file, and of what it is until it is whole
    (folder / name).symlink_to(outside)
  whole_files.write(folder / "x", "theirs")
  assert outside.read_text() == "mine" and os.listdir(folder) == ["x"]
  assert (folder / "x").read_text() == "theirs" and not (folder / "x").is_symlink()


def test_several_files_go_into_a_folder_that_is_made(tmp_path):
  paths = whole_files.write_all(tmp_path / "a" / "b", {"x": "1", "y": b"2"})
  assert [open(path).read() for path in paths] == ["1", "2"]


def test_a_file_may_wait_elsewhere_until_it_is_whole(tmp_path):
  (tmp_path / "scratch").mkdir()
  with whole_files.replacing(tmp_path / "x", folder=tmp_path / "scratch") as file:
    file.write("1")
    assert os.listdir(tmp_path) == ["scratch"]
  assert (tmp_path / "x").read_text() == "1" and not os.listdir(tmp_path / "scratch")
