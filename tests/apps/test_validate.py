"""`validate` and `noise_sheet` as their users run them."""

from __future__ import annotations

import csv
import json

import pytest

from jft_reps.apps import command_line, noise_sheet, subset, train, validate
from jft_reps.errors import JftError
from tests.apps import tiny_run
from tests.data import picture_files as files
from tests.data import record_files

LABELS = ("thing", "dog", "pug")
EDGES = "child,parent\nthing,\ndog,thing\npug,dog\n"


def run(capsys, *arguments, program=validate):
  code = command_line.run(program.main, ["program", *arguments])
  out, err = capsys.readouterr()
  return code, out.splitlines(), [line for line in err.splitlines() if "/s" not in line]


def written(directory, bad: int = 0):
  examples = {f"p{i}": files.example(f"p{i}", labels=(i % 3,)) for i in range(12)}
  examples |= {f"x{i}": files.example(f"x{i}", labels=(9,)) for i in range(bad)}
  record_files.write(directory, "train", record_files.by_shard(examples, 2), LABELS)
  dense = {f"d{i}": files.example(f"d{i}", labels=(2,)) for i in range(4)}
  record_files.write(directory, "dense", record_files.by_shard(dense, 1), LABELS)
  (directory / "tree.csv").write_text(EDGES)
  return [f"--hierarchy={directory / 'tree.csv'}", "--hierarchy_format=edges"]


def test_good_records_end_with_0_and_a_line_per_set(tmp_path, capsys):
  written(tmp_path)
  code, out, err = run(capsys, f"--records={tmp_path}")
  assert code == 0 and not err
  assert [line.partition(":")[0] for line in out] == ["dense", "train", "ok"]
  code, out, _ = run(capsys, f"--records={tmp_path}", "--splits=train", "--full",
                     "--processes=1")
  assert code == 0 and out[-1] == "ok: nothing is wrong"


def test_findings_are_lines_and_exit_code_2(tmp_path, capsys):
  written(tmp_path, bad=7)
  code, out, err = run(capsys, f"--records={tmp_path}", "--splits=train", "--lines=3")
  assert code == 2 and not err
  assert all(line.startswith("label_out_of_range: train-0000") for line in out[:3])
  assert out[3] == "label_out_of_range: … and 4 more"
  assert out[-1] == "7 findings: label_out_of_range 7"


def test_a_subset_holds_what_its_index_says(tmp_path, capsys):
  examples = {f"p{i}": files.example(f"p{i}", labels=(i % 3,)) for i in range(12)}
  examples["bad"] = files.example("bad", labels=(9,))
  record_files.write(tmp_path, "train", record_files.by_shard(examples, 2), LABELS)
  same = {name: examples[name] for name in ("p3", "p7")}
  record_files.write(tmp_path, "val", record_files.by_shard(same, 1), LABELS)
  (tmp_path / "ids.txt").write_text("bad\np3\np7\n")
  assert command_line.run(subset.main, [
      "subset", f"--records={tmp_path}", "--name=clean",
      f"--leave_out_ids={tmp_path}/ids.txt"]) == 0
  capsys.readouterr()
  code, out, _ = run(capsys, f"--records={tmp_path}", "--splits=train,val")
  assert code == 2 and out[-1] == "3 findings: split_overlap 2, label_out_of_range 1"
  code, out, _ = run(capsys, f"--records={tmp_path}", "--splits=clean,val")
  assert code == 0 and out[0].startswith("clean: 10 pictures in 2 shards, 10 labels")
  code, out, _ = run(capsys, f"--records={tmp_path}", "--splits=clean,train")
  assert "clean: 10 pictures in 2 shards of train, held against its manifest" in out
  (tmp_path / "index-clean.bin").write_bytes(b"")
  code, out, _ = run(capsys, f"--records={tmp_path}", "--splits=clean,val")
  assert code == 2 and out[0].startswith("bad-index") and out[-1] == "1 findings: bad-index 1"


def test_a_noise_sheet_refuses_a_hierarchy_of_other_classes(tmp_path, capsys):
  hierarchy = written(tmp_path)
  (tmp_path / "tree.csv").write_text("child,parent\ndog,\nthing,\npug,dog\n")
  code, _, err = run(capsys, f"--records={tmp_path}", *hierarchy, "--class=dog",
                     "--checkpoint=/nowhere", f"--output={tmp_path}/a.png", program=noise_sheet)
  assert code == 2 and "error[labels-differ]" in err[-1]


def test_statistics_and_precision_are_written(tmp_path, capsys):
  hierarchy = written(tmp_path)
  verdicts = tmp_path / "verdicts.csv"
  verdicts.write_text("id,label,verdict\np1,dog,1\np2,pug,1\np4,dog,0\np5,pug,0\n")
  code, out, _ = run(capsys, f"--records={tmp_path}", "--splits=train", *hierarchy,
                     f"--statistics={tmp_path / 'out'}", f"--truth={verdicts}")
  assert code == 0
  found = json.loads((tmp_path / "out" / "train" / "statistics.json").read_text())
  assert found["listed"]["labels"] == 12 and found["with_ancestors"]["labels"] == 4 + 8 + 12
  judged = json.loads((tmp_path / "out" / "train" / "label_precision.json").read_text())
  assert [(one["precision"]["true"], one["precision"]["labels"]) for one in judged] == [
      (2, 4), (5, 8 - 1)]
  text = (tmp_path / "out" / "train" / "label_precision.txt").read_text()
  assert "labels as listed: precision 50.0% (95 % interval" in text and text.strip() in (
      "\n".join(out))


def test_a_fasteval_set_is_written_with_the_flags_that_use_it(tmp_path, capsys):
  hierarchy = written(tmp_path)
  code, out, _ = run(capsys, f"--records={tmp_path}", "--splits=dense", "--nocheck", *hierarchy,
                     f"--fasteval={tmp_path / 'fe'}", "--prevalence=train")
  assert code == 0 and len(out) == 2 and "labels a picture with ancestors, weights" in out[0]
  _, flat, _ = run(capsys, f"--records={tmp_path}", "--splits=dense", "--nocheck",
                   f"--fasteval={tmp_path / 'flat'}")
  assert "labels a picture, weights" in flat[0]
  assert (tmp_path / "fe" / "eval_classes.txt").read_text() == "thing\ndog\npug\n"
  rows = dict(csv.reader(open(tmp_path / "fe" / "class_weights.csv")))
  assert float(rows["thing"]) == 1.0 and float(rows["pug"]) == pytest.approx(1 / 3)
  assert out[1] == (f"use --config.task.eval_classes={tmp_path}/fe/eval_classes.txt "
                    f"--config.task.class_weights={tmp_path}/fe/class_weights.csv")


@pytest.mark.parametrize("arguments,code,message", [
    ([], 1, "--records: missing"),
    (["--records={tmp}/none"], 2, "error[no-manifest]: {tmp}/none"),
    (["--records={tmp}", "--truth=x"], 1, "--truth: given without --statistics"),
    (["--records={tmp}", "--fasteval=x"], 1, "--fasteval: given for 2 sets"),
    (["--records={tmp}", "--hierarchy=x"], 1, "--hierarchy_format: missing"),
    (["--records={tmp}", "--nocheck", "--statistics=/dev/null/x"], 4, "/dev/null/x/dense"),
    (["--records={tmp}", "--splits=train", "--nocheck", "--statistics={tmp}/o", "--truth=gone"],
     2, "manifest-gone.json")])
def test_what_is_wrong_is_said_in_one_line(tmp_path, capsys, arguments, code, message):
  written(tmp_path)
  found, _, err = run(capsys, *[a.replace("{tmp}", str(tmp_path)) for a in arguments])
  assert found == code
  (line,) = err
  assert line.startswith("jft_reps: error[") and message.replace("{tmp}", str(tmp_path)) in line


def test_a_hierarchy_of_other_classes_is_a_finding_and_no_basis_of_statistics(tmp_path, capsys):
  hierarchy = written(tmp_path)
  (tmp_path / "tree.csv").write_text("child,parent\ndog,\nthing,\npug,dog\n")
  code, out, err = run(capsys, f"--records={tmp_path}", "--splits=train", *hierarchy)
  assert code == 2 and out[0].startswith("labels-differ") and "class 0 is 'thing' here" in out[0]
  code, _, err = run(capsys, f"--records={tmp_path}", "--splits=train", "--nocheck", *hierarchy,
                     f"--statistics={tmp_path}/o")
  assert code == 2 and "labels-differ" in err[0]


@pytest.mark.slow
def test_a_noise_sheet_of_a_run(tmp_path, capsys, monkeypatch, root):
  monkeypatch.chdir(root)
  assert command_line.run(train.main, tiny_run.arguments(tmp_path / "run")) == 0
  records = tmp_path / "run" / "records"
  capsys.readouterr()
  given = [f"--records={records}", f"--hierarchy={records}/hierarchy.csv",
           "--hierarchy_format=edges", f"--checkpoint={tmp_path}/run"]
  code, out, err = run(capsys, *given, "--class=living", f"--output={tmp_path}/o/sheet.png",
                       "--rows=3", program=noise_sheet)
  assert code == 0 and not err, err
  rows = list(csv.DictReader(open(tmp_path / "o" / "sheet.csv")))
  assert 0 < len(rows) <= 64 and {int(r["row"]) for r in rows} <= {0, 1, 2}
  assert (tmp_path / "o" / "sheet.png").stat().st_size > 1000
  for wrong, message in (
      (["--class=none", "--output=a.png"], "no node 'none'"),
      (["--class=living", "--output=a.jpg"], "a name that ends in .png"),
      (["--class=living", "--output=a.png", "--crop=40"], "--crop: 40")):
    with pytest.raises(JftError, match=message):
      noise_sheet.main(["program", *given, *wrong])
