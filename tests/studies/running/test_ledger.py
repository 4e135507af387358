"""The ledger: whole lines survive every cut, and one study at a time writes it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from jft_reps.errors import ConfigError, StorageError
from jft_reps.studies.running import ledger


def _filled(folder) -> ledger.Ledger:
  book = ledger.Ledger(folder)
  book.append("a", "started", name="first", kind="toy")
  book.append("a", "done", name="first", kind="toy", seconds=2.5, numbers={"x": 1.0, "y": None})
  book.append("b", "failed", name="second", reason="exit code 3")
  book.append("b", "timeout", name="second", reason="after 5 s")
  return book


def test_what_is_appended_is_read_again(tmp_path):
  book = _filled(tmp_path)
  assert ledger.read(tmp_path) == book.records == ledger.Ledger(tmp_path).records
  a, b = book.records["a"], book.records["b"]
  assert (a.status, a.seconds, a.numbers, a.failures) == ("done", 2.5, {"x": 1.0, "y": None}, 0)
  assert (b.status, b.failures, b.reason) == ("timeout", 2, "after 5 s")


def test_a_ledger_cut_anywhere_has_its_whole_lines_and_goes_on(tmp_path):
  whole = _filled(tmp_path).path.read_bytes()
  for length in range(len(whole)):
    (tmp_path / "ledger.jsonl").write_bytes(whole[:length])
    ledger.Ledger(tmp_path).append("c", "done", numbers={"z": 2.0})
    lines = (tmp_path / "ledger.jsonl").read_bytes().split(b"\n")
    kept = whole[:length].count(b"\n")
    assert b"\n".join(lines[:kept]) == b"\n".join(whole.split(b"\n")[:kept])
    assert [json.loads(line)["id"] for line in lines[kept:-1]] == ["c"] and lines[-1] == b""


def test_damaged_lines_are_passed_over(tmp_path):
  _filled(tmp_path)
  with open(tmp_path / "ledger.jsonl", "ab") as file:
    for line in (b"\xff\x00", b"[1]", b"{}", b'{"id": 3, "status": "done", "time": 1}', b"[" * 9999,
                 b'{"id": "a", "status": "lost", "time": 1}', b'{"id": "a", "status": "done"}',
                 b'{"id": "a", "status": "done", "time": 1, "numbers": [1]}', b"NaN", b"",
                 b'{"id": "a", "status": "done", "time": 1' + b"0" * 400 + b"}"):
      file.write(line + b"\n")
  assert {id: r.status for id, r in ledger.read(tmp_path).items()} == {"a": "done", "b": "timeout"}


def test_a_second_study_is_refused_until_the_first_one_ends(tmp_path):
  other = [sys.executable, "-c", "import sys; from jft_reps.studies.running import ledger\n"
           "with ledger.alone(sys.argv[1]): pass", str(tmp_path)]
  assert not ledger.in_use(tmp_path)
  with ledger.alone(tmp_path):
    assert ledger.in_use(tmp_path)
    refused = subprocess.run(other, capture_output=True, text=True)
    with pytest.raises(ConfigError, match=r"\[workdir-in-use\].*another study"):
      with ledger.alone(tmp_path):
        pass
  assert "workdir-in-use" in refused.stderr
  assert not ledger.in_use(tmp_path) and subprocess.run(other).returncode == 0


def test_a_directory_that_cannot_be_written_is_named(tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(StorageError, match=r"\[workdir\].*file"):
    with ledger.alone(tmp_path / "file" / "study"):
      pass
  (tmp_path / "ledger.jsonl").mkdir()
  with pytest.raises(StorageError, match=r"\[ledger-read\].*ledger\.jsonl"):
    ledger.read(tmp_path)
