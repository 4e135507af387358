"""The program prints what the library says, and one line for what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from jft_reps.apps import hierarchy as app
from jft_reps.data.hierarchy.graph import Hierarchy, Node


@pytest.fixture
def pets(tmp_path):
  path = tmp_path / "pets.csv"
  Hierarchy(
      [Node("dog"), Node("animal", "An animal"), Node("pet"), Node("poodle")],
      [("dog", "animal"), ("dog", "pet"), ("poodle", "dog")]).write(path)
  return path


def run(capsys, *words):
  code = app.main(["hierarchy", *map(str, words)])
  out, err = capsys.readouterr()
  return code, out, err


def test_stats_is_one_json_object(capsys, pets):
  code, out, err = run(capsys, "stats", f"--hierarchy={pets}", "--format=edges")
  assert (code, err) == (0, "")
  assert json.loads(out) == {
      "nodes": 4, "edges": 3, "roots": 2, "leaves": 1, "multi_parent": 1, "max_fan_out": 1,
      "max_depth": 2, "closure_pairs": 5}


def test_show_unfolds_a_node_once(capsys, pets):
  _, out, _ = run(capsys, "show", f"--hierarchy={pets}", "--format=edges")
  assert out.splitlines() == [
      "animal  An animal  (1)", "  dog  (1)", "    poodle", "pet  (1)", "  dog  (1) see above"]
  _, out, _ = run(capsys, "show", f"--hierarchy={pets}", "--format=edges", "--node=pet",
                  "--depth=1")
  assert out.splitlines() == ["pet  (1)", "  dog  (1)"]


def test_closure_lists_all_pairs(capsys, pets, tmp_path):
  _, out, _ = run(capsys, "closure", f"--hierarchy={pets}", "--format=edges")
  assert out.splitlines() == [
      "dog\tanimal", "dog\tpet", "poodle\tdog", "poodle\tanimal", "poodle\tpet"]
  target = tmp_path / "closure.tsv"
  code, out, _ = run(capsys, "closure", f"--hierarchy={pets}", "--format=edges", "--ids=index",
                     f"--output={target}")
  assert (code, out) == (0, "")
  assert target.read_text() == "0\t1\n0\t2\n3\t0\n3\t1\n3\t2\n"
  code, _, err = run(capsys, "closure", f"--hierarchy={pets}", "--format=edges", "--max_pairs=4")
  assert code == 2 and "5 pairs" in err


def test_check_prints_every_finding(capsys, tmp_path):
  bad = tmp_path / "bad.csv"
  bad.write_text("child,parent\nr,\na,b\nb,a\nc,c\nd,nowhere\nd,nowhere\n")
  code, _, err = run(capsys, "check", f"--hierarchy={bad}", "--format=edges")
  lines = err.splitlines()
  assert code == 2 and [x.partition("]")[0] for x in lines] == [
      "error[missing-parent", "error[self-parent", "error[cycle"]
  assert f"{bad}:6" in lines[0] and f"{bad}:5" in lines[1] and f"{bad}:3" in lines[2]


def test_check_notes_what_does_no_harm(capsys, tmp_path):
  path = tmp_path / "h.csv"
  path.write_text("a,b\na,b\nc,b\n")
  code, out, err = run(capsys, "check", f"--hierarchy={path}", "--format=edges")
  assert (code, err) == (0, "")
  assert out.splitlines() == [
      "note: 1 edges stated again, counted once", "ok: 3 nodes, 2 edges"]


def test_flags_do_not_stick_between_calls(capsys, pets):
  run(capsys, "show", f"--hierarchy={pets}", "--format=edges", "--node=pet")
  _, out, _ = run(capsys, "show", f"--hierarchy={pets}", "--format=edges")
  assert out.startswith("animal")
  code, _, err = run(capsys, "show", "--format=edges")
  assert code == 1 and "--hierarchy" in err


@pytest.mark.parametrize(("words", "code", "said"), [
    ([], 1, "no subcommand"),
    (["delete"], 1, "delete"),
    (["stats"], 1, "--hierarchy"),
    (["stats", "--hierarchy=x"], 1, "--format"),
    (["stats", "--hierarchy=x", "--format=xml"], 1, "xml"),
    (["stats", "--no_such_flag"], 1, "no_such_flag"),
    (["stats", "--hierarchy=/no/such/file", "--format=edges"], 2, "No such file"),
    (["stats", "--hierarchy=/", "--format=is_a", "--header"], 1, "header"),
    (["show", "--hierarchy={pets}", "--format=edges", "--node=z\x1b"], 2, r"z\x1b"),
    (["closure", "--hierarchy={pets}", "--format=edges", "--output=/no/dir/f"], 4, "/no/dir/f"),
    (["stats", "--hierarchy={pets}", "--format=mlimages"], 2, "pets.csv:1"),
])
def test_errors_are_one_line(capsys, pets, words, code, said):
  found, out, err = run(capsys, *(w.format(pets=pets) for w in words))
  assert (found, out) == (code, "")
  assert err.startswith("error[") and err.count("\n") == 1 and said in err


def test_a_long_chain_takes_little_time_and_memory(tmp_path, root):
  path = tmp_path / "chain.csv"
  path.write_text("".join(f"n{i},n{i - 1}\n" for i in range(1, 100_001)))
  code = (
      "import sys; from jft_reps.apps import hierarchy; hierarchy.main(sys.argv);"
      "print([x for x in open('/proc/self/status') if 'VmHWM' in x][0].split()[1]);"
      "import time; print(time.process_time())")
  done = subprocess.run(
      [sys.executable, "-c", code, "stats", f"--hierarchy={path}", "--format=edges"],
      capture_output=True, text=True, cwd=root, timeout=300)
  assert done.stderr == ""
  stats, peak_kib, seconds = done.stdout.splitlines()
  assert json.loads(stats)["closure_pairs"] == 100_000 * 100_001 // 2
  assert int(peak_kib) < 500_000 and float(seconds) < 30


def test_a_closed_pipe_is_no_error(tmp_path, root):
  path = tmp_path / "chain.csv"
  path.write_text("".join(f"n{i},n{i - 1}\n" for i in range(1, 2000)))
  process = subprocess.Popen(
      [sys.executable, "-m", "jft_reps.apps.hierarchy", "closure", f"--hierarchy={path}",
       "--format=edges"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root)
  assert process.stdout.readline() == "n1\tn0\n"
  process.stdout.close()
  assert process.stderr.read() == "" and process.wait(timeout=60) == 0


def test_the_program_starts_without_tensorflow(root):
  code = "import sys; import jft_reps.apps.hierarchy; assert 'tensorflow' not in sys.modules"
  subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_swapped_columns_are_told(capsys, tmp_path):
  lines = "".join(f"leaf{i},top{i % 3}\n" for i in range(60)) + "top0,root\ntop1,root\ntop2,root\n"
  (tmp_path / "right.csv").write_text(lines)
  (tmp_path / "swapped.csv").write_text("".join(
      ",".join(reversed(line.split(","))) + "\n" for line in lines.splitlines()))
  assert run(capsys, "check", f"--hierarchy={tmp_path / 'right.csv'}", "--format=edges")[0] == 0
  code, out, err = run(capsys, "check", f"--hierarchy={tmp_path / 'swapped.csv'}", "--format=edges")
  assert code and not out.startswith("ok") and "--order=parent,child" in err
  assert run(capsys, "check", f"--hierarchy={tmp_path / 'swapped.csv'}", "--format=edges",
             "--order=parent,child")[0] == 0


@pytest.mark.parametrize("header", ["parent_id,child_id", "source,target", "Child_ID,Parent_ID"])
def test_a_header_of_other_words_is_no_edge(capsys, tmp_path, header):
  (tmp_path / "e.csv").write_text(f"{header}\nanimal,dog\nanimal,cat\n")
  code, _, err = run(capsys, "check", f"--hierarchy={tmp_path / 'e.csv'}", "--format=edges")
  assert code and "e.csv:1" in err and "looks like a header" in err
  code, out, _ = run(capsys, "check", f"--hierarchy={tmp_path / 'e.csv'}", "--format=edges",
                     "--header", "--order=parent,child")
  assert (code, out) == (0, "ok: 3 nodes, 2 edges\n")


def test_another_form_of_json_has_no_edges(capsys, tmp_path):
  """AudioSet's ontology: a list of nodes that name their children by id."""
  (tmp_path / "ontology.json").write_text(json.dumps([
      {"id": "/m/1", "name": "Sound", "child_ids": ["/m/2"]},
      {"id": "/m/2", "name": "Speech", "child_ids": []}]))
  for form in ("openimages", "edges", "mlimages", "is_a"):
    code, out, err = run(capsys, "check", f"--hierarchy={tmp_path / 'ontology.json'}",
                         f"--format={form}")
    assert code and err and not out.startswith("ok"), form
