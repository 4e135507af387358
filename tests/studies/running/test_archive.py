"""Archives: a study without its weights that reports and studies take for the study itself."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest

from jft_reps.errors import DataError, StorageError
from jft_reps.studies.report import sections
from jft_reps.studies.report.pages import Page
from jft_reps.studies.running import archive, results
from tests.studies.running.test_results import write_study

PAGE = Page("p", "P", {"coco/AP50": "AP50", "coco/APs": "APs"},
            {"before": {"arm": "a"}, "after": {"arm": "b"}}, pairs=(("after", "before"),),
            gained=("before", "after"))


def made(directory):
  runs = [({"arm": arm, "seed": seed}, {"coco/AP50": 0.1 * (arm == "b") + 0.01 * seed + 1e-9,
                                        "coco/APs": None},
           {"classes.json": {"AP50": {"cat": seed / 7, "dog": 0.1 + (arm == "b") * seed / 10}},
            "definitions.json": {"coco": "at IoU 0.5"}})
          for arm in "ab" for seed in range(3)]
  return write_study(directory, [*runs, ({"arm": "b", "seed": 3}, "out of memory"),
                                 ({"arm": "b", "seed": 4}, None)])


def kept(tmp_path):
  """A made-up study and its archive, both read."""
  study = results.of_directory(made(tmp_path / "study"))
  archive.write(tmp_path / "kept", study, ("definitions.json",),
                      {r.id for r in study.results})
  return study, archive.read(tmp_path / "kept")


def test_a_report_of_an_archive_is_that_of_its_study(tmp_path):
  study, archived = kept(tmp_path)
  first, second = (sections.section(PAGE, s.results) for s in (study, archived))
  assert first.rows == second.rows and len(first.rows) == 6
  assert first.sentences == second.sentences and first.tables == second.tables
  assert first.gained == second.gained and first.gained
  assert second.definitions == ["coco: at IoU 0.5"]
  assert archived.plan == study.plan == "plan.py:laptop"


def test_what_failed_and_what_was_left_out_is_told(tmp_path):
  study, archived = kept(tmp_path)
  assert [r.status for r in archived.results] == ["done"] * 6 + ["failed", "left"]
  assert "out of memory" in archived.results[6].reason
  told = dataclasses.replace(study, notes=["2 runs of others"], planned=9, overrides={"a": "b"})
  archive.write(tmp_path / "told", told)
  again = archive.read(tmp_path / "told")
  assert (again.notes, again.planned, again.overrides) == (["2 runs of others"], 9, {"a": "b"})


def test_what_is_no_archive_is_not_taken(tmp_path):
  with pytest.raises(DataError, match="no study.jsonl"):
    archive.take(made(tmp_path / "study"), tmp_path / "work")


def test_an_archive_of_an_archive_is_the_same(tmp_path):
  kept(tmp_path)
  archived = archive.read(tmp_path / "kept")
  archive.write(tmp_path / "again", archived, ("definitions.json",),
                      {r.id for r in archived.results})
  for name in (archive.RUNS, archive.CARDS):
    assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "kept" / name).read_bytes()


def test_of_archive_and_study_the_first_that_is_done_counts(tmp_path):
  study, _ = kept(tmp_path)
  later = tmp_path / "later" / "ledger.jsonl"
  made(tmp_path / "later")
  line = {"id": f"{7:012x}", "status": "done", "time": 9.0, "numbers": {"coco/AP50": 0.9}}
  later.write_text(later.read_text().replace("0.01", "0.77") + json.dumps(line) + "\n")
  both = archive.opened([tmp_path / "kept", tmp_path / "later"]).results
  assert both[7].numbers == {"coco/AP50": 0.9} and len(both) == len(study.results)
  assert both[1].numbers["coco/AP50"] == 0.01


def test_run_cards_name_no_place_of_the_machine(tmp_path):
  study = made(tmp_path / "study")
  card = (f"# Run card\n\n| | |\n|---|---|\n| command | {tmp_path}/clone/jft_reps/apps/study.py "
          f"--run={tmp_path}/study/runs/{0:012x} |\n")
  (study / "runs" / f"{0:012x}" / "run_0.1").mkdir()
  (study / "runs" / f"{0:012x}" / "run_0.1" / "run_card.md").write_text(card)
  archive.write(tmp_path / "kept", results.of_directory(study))
  text = (tmp_path / "kept" / archive.CARDS).read_text()
  assert "## run_0\n" in text and "## run_1" not in text and str(tmp_path) not in text
  assert f"| command | python -m jft_reps.apps.study --run=STUDY/runs/{0:012x} |" in text
  assert archive.read(tmp_path / "kept").results[0].card in text


def test_run_cards_are_not_taken_through_links(tmp_path):
  study, secret = made(tmp_path / "study"), tmp_path / "secret"
  secret.mkdir()
  (secret / "run_card.md").write_text("secret")
  (study / "runs" / f"{0:012x}" / "run_0.1").symlink_to(secret)
  (study / "runs" / f"{1:012x}" / "run_card.md").symlink_to(secret / "run_card.md")
  archive.write(tmp_path / "kept", results.of_directory(study))
  assert "secret" not in (tmp_path / "kept" / archive.CARDS).read_text()


def test_a_study_that_went_on_from_an_archive_says_all_that_it_says(tmp_path):
  made(tmp_path / "first")
  place = tmp_path / "first" / "runs" / f"{0:012x}"
  (place / "run_card.md").write_text("# Run card\n\n| steps | 7 |\n")
  study = results.of_directory(tmp_path / "first")
  ids = {r.id for r in study.results}
  archive.write(tmp_path / "kept", study, ("definitions.json",), ids)
  second = made(tmp_path / "second")
  shutil.rmtree(second / "runs")
  archive.take(tmp_path / "kept", second)
  for paths in ([second], [second, tmp_path / "kept"], [tmp_path / "kept", second]):
    archive.write(tmp_path / "again", archive.opened(paths), ("definitions.json",), ids)
    for name in (archive.RUNS, archive.CARDS):
      assert (tmp_path / "again" / name).read_text() == (tmp_path / "kept" / name).read_text()


def test_an_empty_file_and_a_run_twice_are_no_archive(tmp_path):
  kept(tmp_path)
  path = tmp_path / "kept" / archive.RUNS
  path.write_text("".join([*path.read_text().splitlines(True), path.read_text().splitlines()[1]]))
  with pytest.raises(DataError, match="a run twice"):
    archive.read(tmp_path / "kept")
  path.write_text("")
  with pytest.raises(DataError, match="an empty file"):
    archive.read(tmp_path / "kept")


@pytest.mark.parametrize("damage", [
    "", "[]", "{", "1", '{"id": "x"}', "\udc80", '"' * 70_000, "[" * 100_000,
    '{"id": "../x", "name": "a", "config": "c", "kind": "k", "needs": [], "tags": {}}',
    '{"id": "x", "name": "a", "config": "c", "kind": "k", "needs": 1, "tags": {}}',
    '{"id": "x", "name": "a", "config": "c", "kind": "k", "needs": [], "tags": 1}',
    '{"id": "x", "name": "a", "config": "c", "kind": "k", "needs": [], "tags": {}, "numbers": 1}',
    '{"id": "x", "name": "a", "config": "c", "kind": "k", "needs": [], "tags": {}, '
    '"numbers": {"a": "b"}}',
    '{"id": "x", "name": "a", "config": "c", "kind": "k", "needs": [], "tags": {}, '
    '"numbers": {"a": NaN}}',
    '{"id": "x", "name": "a", "config": "c", "kind": "k", "needs": [], "tags": {}, '
    '"numbers": {"a": 1}, "files": {"classes.json": []}}'])
def test_a_damaged_line_is_named(tmp_path, damage):
  kept(tmp_path)
  path = tmp_path / "kept" / archive.RUNS
  lines = path.read_bytes().splitlines(True)
  path.write_bytes(b"".join([*lines[:3], damage.encode("utf-8", "surrogateescape") + b"\n"]))
  with pytest.raises(DataError, match="study.jsonl"):
    archive.read(tmp_path / "kept")


def test_a_link_is_no_archive_and_a_file_no_folder(tmp_path):
  kept(tmp_path)
  (tmp_path / "link").mkdir()
  (tmp_path / "link" / archive.RUNS).symlink_to(tmp_path / "kept" / archive.RUNS)
  with pytest.raises(DataError, match="plan.json"):
    archive.opened([tmp_path / "link"])
  (tmp_path / "file").touch()
  with pytest.raises(StorageError):
    archive.write(tmp_path / "file", archive.read(tmp_path / "kept"))
