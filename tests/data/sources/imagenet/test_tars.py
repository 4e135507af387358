"""Tars of classes are read in place, whatever wrote them; what is no plain file is refused."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
import time

import pytest

from jft_reps import errors
from jft_reps.data.sources import tar_files
from jft_reps.data.sources.imagenet import tars
from tests.data import picture_files as files

_WNIDS = ("n01440764", "n02084071", "n15075141")


def _tar(members, form=tarfile.GNU_FORMAT):
  """Bytes of an archive of (name or TarInfo, bytes)."""
  out = io.BytesIO()
  with tarfile.open(fileobj=out, mode="w", format=form) as tar:
    for name, data in members:
      info = tarfile.TarInfo(name) if isinstance(name, str) else name
      info.size = len(data) if info.type in (tarfile.REGTYPE, b"S", b"L", b"x") else 0
      info.mtime = 1.5  # pax writes an extended header for a broken number
      tar.addfile(info, io.BytesIO(data))
  return out.getvalue()


def _pictures(wnid, count):
  return {f"{wnid}_{i}.JPEG": files.encoded(i + int(wnid[1:]) % 97) for i in range(count)}


def _folder(root, form=tarfile.GNU_FORMAT):
  root.mkdir()
  for count, wnid in enumerate(_WNIDS, 1):
    (root / f"{wnid}.tar").write_bytes(_tar(_pictures(wnid, count).items(), form))
  return root


def _all():
  return {name: (wnid, data) for count, wnid in enumerate(_WNIDS, 1)
          for name, data in _pictures(wnid, count).items()}


def _read(path):
  opened = tars.open_set(path)
  return {s.picture_id: (s.labels[0], s.data) for s in opened.read()}, opened


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_a_folder_of_tars_gives_every_picture_with_its_class(tmp_path, form):
  root = _folder(tmp_path / "in", form)
  (root / "words.txt").write_text("n01440764\ttench\n")
  got, opened = _read(root)
  assert got == _all() and opened.labels == _WNIDS and opened.counts["classes"] == 3


@pytest.mark.parametrize("packed", [False, True])
def test_an_archive_of_archives_is_read_in_place(tmp_path, packed):
  root = _folder(tmp_path / "in")
  inner = [(f"winter21_whole/{p.name}", p.read_bytes()) for p in sorted(root.iterdir())]
  whole = _tar([("winter21_whole/readme.txt", b"hello"), *inner], tarfile.PAX_FORMAT)
  path = tmp_path / "whole.tar"
  path.write_bytes(gzip.compress(whole) if packed else whole)
  got, opened = _read(path)
  assert got == _all() and opened.labels is None
  assert +opened.counts == {"classes": 3, "other_members": 1}
  assert sorted(os.listdir(tmp_path)) == ["in", "whole.tar"]


def test_one_class_alone_other_files_and_long_names(tmp_path):
  long = "a" * 180 + "_é.jpg"
  members = [("sub/", b""), (f"sub/{long}", files.encoded(1)), ("list.txt", b"x"),
             ("._n01440764_1.JPEG", b"x"), ("n01440764_1.JPEG", files.encoded(2))]
  members[0] = (tarfile.TarInfo("sub"), b"")
  members[0][0].type = tarfile.DIRTYPE
  for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
    (tmp_path / "n01440764.tar").write_bytes(_tar(members, form))
    got, opened = _read(tmp_path / "n01440764.tar")
    assert got == {f"n01440764/{long}": ("n01440764", files.encoded(1)),
                   "n01440764_1.JPEG": ("n01440764", files.encoded(2))}
    assert opened.counts["other_members"] == 2


def test_a_class_without_pictures_is_counted(tmp_path):
  (tmp_path / "n01440764.tar").write_bytes(_tar([]))
  got, opened = _read(tmp_path)
  assert not got and opened.counts["classes_without_pictures"] == 1


def _special(kind, name="x.jpg"):
  info = tarfile.TarInfo(name)
  info.type, info.linkname = kind, "/etc/passwd"
  return info


@pytest.mark.parametrize("member, message", [
    (_special(tarfile.SYMTYPE), "x.jpg is a link"), (_special(tarfile.LNKTYPE), "x.jpg is a link"),
    (_special(tarfile.CHRTYPE), "is a device"), (_special(tarfile.BLKTYPE), "is a device"),
    (_special(tarfile.FIFOTYPE), "is a FIFO"), (_special(b"S"), "is a sparse file"),
    (_special(b"Z"), "is of type Z"),
    ("../x.jpg", r"path '../x.jpg'; expected one below"), ("a/../../x.jpg", "path 'a/../../x.jpg'"),
    ("/etc/x.jpg", "path '/etc/x.jpg'"), ("a\\..\\..\\x.jpg", r"path 'a"),
    ("../" + "d/" * 90 + "x.jpg", r"path '../d/d")])
def test_what_leaves_the_archive_is_refused(tmp_path, member, message):
  for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
    (tmp_path / "n01440764.tar").write_bytes(_tar([("ok.jpg", b"1"), (member, b"")], form))
    with pytest.raises(errors.DataError, match=message):
      _read(tmp_path)
  assert os.listdir(tmp_path) == ["n01440764.tar"]


def _header(name, size, kind=tarfile.REGTYPE):
  info = tarfile.TarInfo(name)
  info.size, info.type = size, kind
  return info.tobuf(tarfile.GNU_FORMAT)


_WHOLE = _tar([("a.jpg", bytes(700)), ("b.jpg", bytes(100))])


@pytest.mark.parametrize("data, message", [
    (b"", r"n01440764.tar @ byte 0: 0 bytes of a header"),
    (_WHOLE[:300], "byte 0: 300 bytes of a header"),
    (_WHOLE[:900], r"byte 0: member of 700 bytes passes the end, 388 are left"),
    (_WHOLE[:1536], r"byte 1536: 0 bytes of a header; no mark of the end"),
    (_WHOLE[:100] + b"7" + _WHOLE[101:], "byte 0: no header of a tar archive: bad checksum"),
    (b"<!doctype html>" + bytes(2000), "no header of a tar archive"),
    (_header("a.jpg", 1 << 60) + bytes(512), f"member of {1 << 60} bytes passes the end"),
    (_header("a.jpg", -5) + bytes(512), "-5 bytes"),
    (_header("a", 1 << 40, b"L") + bytes(512), f"{1 << 40} bytes; expected at most {1 << 20}"),
    (_header("a", 512, b"x") + bytes(512), "an extended header that is damaged"),
    (_header("a", 16, b"x") + b"16 path=../a.jpg".ljust(512, b"\0") + _header("a", 0), "path"),
    (gzip.compress(_WHOLE, mtime=0)[:60], "n01440764.tar: .*whole tar archive"),
    (gzip.compress(_WHOLE, mtime=0)[:-20] + bytes(20), "n01440764.tar @ byte"),
    (gzip.compress(_header("a.txt", 1 << 33) + bytes(20 << 20), mtime=0),
     "archive-bomb.*at most 200 times"),
])
def test_damage_is_named_by_its_byte(tmp_path, data, message):
  (tmp_path / "n01440764.tar").write_bytes(data)
  start = time.thread_time()
  with pytest.raises(errors.DataError, match=message):
    _read(tmp_path)
  assert time.thread_time() - start < 30


def test_a_damaged_class_inside_of_an_archive_is_named(tmp_path):
  bad = _tar([("n01440764_1.JPEG", bytes(5000))])[:1024]
  (tmp_path / "whole.tar").write_bytes(_tar([("n01440764.tar", bad)]))
  with pytest.raises(errors.DataError, match=r"whole.tar n01440764.tar @ byte 512: member of 5000"):
    _read(tmp_path / "whole.tar")
  (tmp_path / "whole.tar").write_bytes(_tar([("a.jpg", b"1")]))
  with pytest.raises(errors.DataError, match="no archive of a class, 1 other members"):
    _read(tmp_path / "whole.tar")


def test_a_huge_picture_and_too_many_members_are_refused(tmp_path, monkeypatch):
  with open(tmp_path / "n01440764.tar", "wb") as file:
    file.write(_header("a.jpg", 5 << 30))
    file.truncate((5 << 30) + 4096)  # a hole: 4 KB of disk
  with pytest.raises(errors.DataError, match="a.jpg: 5368709120 bytes; .* at most 33554432"):
    _read(tmp_path)
  monkeypatch.setattr(tar_files, "_MOST_MEMBERS", 3)
  (tmp_path / "n01440764.tar").write_bytes(_tar([(f"{i}.jpg", b"1") for i in range(4)]))
  with pytest.raises(errors.DataError, match="member 4 of 1 bytes"):
    _read(tmp_path)


def test_folders_without_tars_and_links_out_of_them(tmp_path):
  with pytest.raises(errors.DataError, match="no nXXXXXXXX.tar among 0 files.*--source=folder"):
    tars.open_set(tmp_path)
  os.mkfifo(tmp_path / "n01440764.tar")  # nobody will ever write to it
  with pytest.raises(errors.DataError, match="no nXXXXXXXX.tar among 1 files"):
    tars.open_set(tmp_path)
  os.remove(tmp_path / "n01440764.tar")
  with pytest.raises(errors.DataError, match="no such file or folder"):
    tars.open_set(tmp_path / "none")
  (tmp_path / "in").mkdir()
  (tmp_path / "n01440764.tar").write_bytes(_tar([("a.jpg", b"1")]))
  (tmp_path / "in" / "n01440764.tar").symlink_to(tmp_path / "n01440764.tar")
  with pytest.raises(errors.DataError, match="leaves the folder"):
    _read(tmp_path / "in")


def test_memory_does_not_grow_with_the_archive(tmp_path):
  picture = bytes(200_000)
  (tmp_path / "n01440764.tar").write_bytes(_tar([(f"{i}.jpg", picture) for i in range(400)]))
  code = ("import resource, sys\n"
          "from jft_reps.data.sources.imagenet import tars\n"
          "at = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
          f"before = at()\nn = sum(1 for _ in tars.open_set({str(tmp_path)!r}).read())\n"
          "print(n, at() - before)")
  out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
  count, grown = map(int, out.stdout.split())
  assert count == 400 and grown < 20_000  # kilobytes, of 80,000 in the archive
