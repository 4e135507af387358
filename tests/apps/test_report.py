"""The report program: from a study to files, running nothing but its plan."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from jft_reps import errors
from jft_reps.apps import command_line, report
from jft_reps.workflows.study import reporting
from tests.studies.running.test_results import write_study

PLAN = """
from jft_reps.studies.report.pages import Page
PAGES = [Page("t", "T", {"x": "X"}, {"a": {"start": "a"}, "b": {"start": "b"}}, pairs=[("a", "b")])]
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(reporting, "OURS", tmp_path.resolve() / "plans")
  (tmp_path / "plans").mkdir()
  (tmp_path / "plans" / "plan.py").write_text(PLAN)
  return write_study(tmp_path / "study", [
      ({"start": s, "seed": n}, {"x": v + n / 100 + (n == 2) * d}) for s, v, d in
      (("a", 0.5, 0.01), ("b", 0.2, 0.0)) for n in range(3)], "plans/plan.py:t,laptop")


def _run(*arguments):
  return command_line.run(report.main, ["report", *map(str, arguments)])


def test_a_study_becomes_a_report_with_the_plan_that_it_names(study, tmp_path, capsys):
  (tmp_path / "README.md").write_text("<!-- results:t --><!-- end -->")
  assert _run("--study=study", "--results=res", "--readme=README.md") == 0
  assert "6 of 6 runs done" in capsys.readouterr().out
  text = (study / "report" / "report.html").read_text()
  assert "a less b: +30.3 X" in text and "Study: plans/plan.py:t,laptop" in text
  assert (tmp_path / "res" / "t.csv").read_text().splitlines()[:2] == ["arm,seed,X", "a,0,0.5"]
  before = (tmp_path / "README.md").read_text()
  assert "a less b: +30.3 X" in before
  (tmp_path / "README.md").write_text("<!-- results:t -->\nold\n<!-- end -->")
  assert _run("--study=study", "--results=res", "--readme=README.md") == 0
  assert (tmp_path / "README.md").read_text() == before


def test_a_plan_of_the_clone_is_found_from_everywhere(study, tmp_path, monkeypatch):
  (tmp_path / "elsewhere").mkdir()
  monkeypatch.chdir(tmp_path / "elsewhere")
  assert _run(f"--study={study}") == 0


CONFIGURED = """
import ml_collections
from jft_reps.studies.report.pages import Page

def get_config(arg):
  if arg not in ("small", "large"):
    raise ValueError(f"{arg!r}: no such size")
  return ml_collections.ConfigDict({"size": arg, "sizes": (1, 2)})

def pages(config):
  return [Page("t", "T", {"x": "X"}, {"a": {"start": "a"}}, deviations=[
      f"It is {config.size} of {max(config.sizes)}."])]
"""


def test_pages_follow_the_configuration_of_the_study(study, tmp_path, capsys):
  (tmp_path / "plans" / "plan.py").write_text(CONFIGURED)
  plan, report_file = study / "plan.json", study / "report" / "report.html"
  content = json.loads(plan.read_text()) | {"plan": "plans/plan.py:small",
                                            "overrides": {"sizes": "3,4"}}
  plan.write_text(json.dumps(content))
  assert _run("--study=study") == 0
  assert "It is small of 4." in report_file.read_text()
  assert "Changed in the configuration of its plan: sizes = 3,4." in report_file.read_text()
  assert _run("--study=study", "--plan=plans/plan.py:large", "--config.sizes=7") == 0
  assert "It is large of 7." in report_file.read_text()
  capsys.readouterr()
  for flags, found in ((["--plan=plans/plan.py:tiny"], "no such size"),
                       (["--config.sizes="], "ValueError"), (["--config.sixes=1"], "sizes")):
    assert _run("--study=study", *flags) == 1
    error = capsys.readouterr().err
    assert found in error and error.count("\n") == 1


def test_pages_of_another_configuration_than_the_one_that_was_run_say_so(study, tmp_path, capsys):
  (tmp_path / "plans" / "plan.py").write_text(CONFIGURED)
  plan, report_file = study / "plan.json", study / "report" / "report.html"
  content = json.loads(plan.read_text()) | {
      "plan": "plans/plan.py:small", "config": {"size": "small", "sizes": [1, 2]}}
  plan.write_text(json.dumps(content))
  published = ("--results=res", f"--archive={tmp_path}/kept")
  assert _run("--study=study", *published) == 0
  assert "configuration" not in report_file.read_text()
  told = "was run with sizes=[1, 2] in place of [7]"
  assert _run("--study=study", "--config.sizes=7") == 0
  assert told in report_file.read_text() and told in capsys.readouterr().err
  (tmp_path / "plans" / "plan.py").write_text(CONFIGURED.replace("(1, 2)", "(7,)"))
  for name in ("study", "kept"):
    assert _run(f"--study={name}") == 0 and told in capsys.readouterr().err
    assert _run(f"--study={name}", "--results=res") == errors.ConfigError.exit_code
    assert told in capsys.readouterr().err


def test_plans_that_a_study_brings_along_are_not_run(study, tmp_path, capsys):
  (study / "evil.py").write_text("open('ran', 'w')")
  (tmp_path / "link").symlink_to(study)
  (tmp_path / "beside").mkdir()
  (tmp_path / "beside" / "evil.py").write_text("open('ran', 'w')")
  plan = study / "plan.json"
  content = plan.read_text()
  for name in ("study/evil.py", "link/evil.py", "beside/evil.py", "plans/../beside/evil.py",
               f"{study}/evil.py", "../x.py", "", "a\\u0000b", "/etc/passwd", "x" * 5000):
    plan.write_text(content.replace("plans/plan.py:t,laptop", name))
    assert _run("--study=study") == 1, name
    assert "--plan" in capsys.readouterr().err or len(name) > 4000
    assert not (tmp_path / "ran").exists()
  assert _run("--study=study", "--plan=plans/plan.py") == 0


@pytest.mark.parametrize("content, found", [
    ("PAGES = 3", "no PAGES"), ("def pages(config): 1", "no get_config"),
    ("x", "NameError"), ("(", "never closed"), ("PAGES = ['a']", "str"),
    ("PAGES = []", "no PAGES")])
def test_a_plan_without_pages_is_one_line(study, tmp_path, capsys, content, found):
  (tmp_path / "p.py").write_text(content)
  assert _run("--study=study", "--plan=p.py") == 1
  error = capsys.readouterr().err
  assert found in error and error.count("\n") == 1


@pytest.mark.parametrize("arguments, code", [
    ([], 1), (["--study=nowhere"], 2), (["--study=study", "--readme=R"], 1),
    (["--study=study", "--plan=nowhere.py"], 1), (["--readme=R", "--results=res"], 1)])
def test_bad_flags_are_one_line(study, capsys, arguments, code):
  assert _run(*arguments) == code
  assert capsys.readouterr().err.count("\n") == 1


def test_help_is_short_and_fast():
  command = [sys.executable, "-X", "importtime", "-m", "jft_reps.apps.report", "--help"]
  done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=True)
  assert len(done.stdout.splitlines()) <= 59
  assert "tensorflow" not in done.stderr and "matplotlib" not in done.stderr
