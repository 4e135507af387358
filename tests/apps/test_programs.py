"""The programs as their users run them: errors in one line, exit codes, help, the doctor."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

import jft_reps
from jft_reps.apps import build_records, command_line, doctor, evaluate, train
from jft_reps.errors import ConfigError
from jft_reps.training import doctor as checks


def run(program, *arguments, root, **environment):
  return subprocess.run(
      [sys.executable, "-m", f"jft_reps.apps.{program}", *arguments], cwd=root, text=True,
      capture_output=True, timeout=120, env={**os.environ, **environment}, check=False)


@pytest.mark.parametrize("program", command_line.PROGRAMS)
def test_help_fits_on_a_page_and_loads_no_tensorflow(program, root):
  result = run(program, "--help", root=root)
  assert result.returncode == 0 and re.search(rf"jft(_reps\.apps\.|-reps ){program}", result.stdout)
  assert len(result.stdout.splitlines()) < 60
  assert "rebuild TensorFlow" not in result.stderr


@pytest.mark.parametrize("arguments,message", [
    (["--workdir=x"], "--config: missing"), (["--config=no.py", "--workdir=x"], "no such file"),
    (["--nonsense"], "nonsense"),
    (["--config=experiments/fig3_pretraining.py:random", "--workdir={tmp}/run",
      "--config.task.records={tmp}"], "manifest-train.json"),
    (["--config=experiments/fig3_pretraining.py:random", "--workdir={tmp}/run",
      "--local_cluster=workers=x"], "--local_cluster"),
    (["--config=experiments/fig3_pretraining.py:random,laptop", "--workdir=/dev/null/run"],
     "/dev/null/run/logs/tensorflow.log: Not a directory; expected a folder to write to. "
     "Choose another --workdir"),
    (["--config=experiments/fig3_pretraining.py:random,laptop", "--workdir={tmp}/run",
      "--config.task.records=/dev/null/x"], "Choose another --config.task.records")])
def test_train_says_what_is_wrong_in_one_line(arguments, message, root, tmp_path):
  result = run("train", *[a.replace("{tmp}", str(tmp_path)) for a in arguments], root=root)
  assert result.returncode in (1, 2, 4)
  (line,) = result.stderr.splitlines()
  assert line.startswith("jft_reps: error[") and message in line


@pytest.mark.parametrize("program,arguments,message", [
    ("train", ["--config.task.records={tmp}"], "manifest-train.json"),
    ("train", ["--config.task.records={tmp}", "--local_cluster=workers=x"], "--local_cluster"),
    ("probe", ["--config.task.records={tmp}"], "manifest-train.json"),
    ("train", ["--config.init.checkpoint={tmp}/no.h5"], "no.h5: no such file"),
    ("evaluate", [], "run: no such file"), ("export", ["--output=x"], "run: no such file")])
def test_what_is_missing_is_said_before_tensorflow_is_loaded(
    program, arguments, message, root, tmp_path):
  config = f"--config={root}/experiments/fig3_pretraining.py:random"
  arguments = [config, f"--workdir={tmp_path}/run",
               *(a.replace("{tmp}", str(tmp_path)) for a in arguments)]
  code = ("import importlib, sys\n"
          "from jft_reps.apps import command_line\n"
          f"program = importlib.import_module('jft_reps.apps.{program}')\n"
          f"code = command_line.run(program.main, ['{program}', *{arguments!r}])\n"
          "print(code, 'tensorflow' in sys.modules)")
  result = subprocess.run([sys.executable, "-c", code], cwd=root, text=True, capture_output=True,
                          timeout=60, check=True)
  code, loaded = result.stdout.split()
  assert code in "124" and loaded == "False" and message in result.stderr


def test_programs_import_one_keras(root):
  code = ("import sys\n"
          "from jft_reps.apps import command_line, doctor\n"
          "command_line.run(doctor.main, ['doctor'])\n"
          "print('tensorflow' in sys.modules, 'tf_keras' in sys.modules, 'keras' in sys.modules)")
  result = subprocess.run(
      [sys.executable, "-c", code], cwd=root, text=True, capture_output=True, timeout=120,
      env={k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}, check=True)
  assert result.stdout.splitlines()[-1] == "True True False"


def test_a_bad_tf_config_is_refused_before_any_server_starts(root):
  result = run("train", "--config=experiments/fig3_pretraining.py:random", "--workdir=x",
               root=root, TF_CONFIG='{"cluster": {}}')
  assert result.returncode == 1 and "error[tf-config]: TF_CONFIG" in result.stderr


@pytest.mark.parametrize("tf_config,arguments,message", [
    ("{}", ["--mirrored=2"], "--mirrored: given together with TF_CONFIG"),
    ("{}", ["--local_cluster=workers=1,ps=1"], "--local_cluster: given together with TF_CONFIG"),
    ("", ["--mirrored=2", "--local_cluster=workers=1,ps=1"],
     "--mirrored: given together with --local_cluster")])
def test_a_run_takes_place_in_one_way(tf_config, arguments, message, monkeypatch, root):
  monkeypatch.chdir(root)
  monkeypatch.setenv("TF_CONFIG", tf_config)
  with pytest.raises(ConfigError, match=message):
    train.main(["train", "--config=experiments/fig3_pretraining.py:random", "--workdir=x",
                *arguments])


@pytest.mark.parametrize("program,arguments", [
    (train, ["--config=experiments/fig3_pretraining.py:random", "--workdir=x"]),
    (evaluate, ["--config=experiments/fig3_pretraining.py:random", "--workdir=x"]),
    (build_records, ["--input=x", "--output=y"]), (doctor, [])])
def test_an_argument_that_is_no_flag_is_refused(program, arguments, capsys, monkeypatch, root):
  monkeypatch.chdir(root)
  assert command_line.run(program.main, ["program", *arguments, "workdir"]) == 1
  assert capsys.readouterr().err == (
      "jft_reps: error[flags]: workdir: an argument that is no flag. "
      "Write --flag=value; see --help.\n")


def test_the_programs_are_described_and_have_a_version(root, capsys, monkeypatch):
  monkeypatch.setattr(sys, "argv", ["jft-reps", "--help"])
  with pytest.raises(SystemExit) as end:
    command_line.main()
  said = capsys.readouterr().out
  assert end.value.code == 0 and "Evaluates a checkpoint, or every checkpoint" in said
  assert all(f"\n  {name} " in said for name in command_line.PROGRAMS)
  monkeypatch.setattr(sys, "argv", ["jft-reps", "--version"])
  with pytest.raises(SystemExit):
    command_line.main()
  assert capsys.readouterr().out == f"jft-reps {jft_reps.__version__}\n"


@pytest.mark.parametrize("program,missing", [
    (train, "config"), (evaluate, "workdir"), (build_records, "input")])
def test_a_flag_that_must_be_there_is_named(program, missing, capsys):
  assert command_line.run(program.main, ["program"]) == 1
  assert capsys.readouterr().err == (
      f"jft_reps: error[flags]: --{missing}: missing; expected a value. See --help.\n")


def test_dry_run_prints_the_resolved_configuration(capsys, monkeypatch, root):
  monkeypatch.chdir(root)
  assert train.main(["train", "--config=experiments/fig3_pretraining.py:random,laptop",
                     "--workdir=/w", "--dry_run", "--config.train.steps=7"]) == 0
  config = json.loads(capsys.readouterr().out)
  assert config["train"]["steps"] == 7 and config["task"]["records"] == "/w/records"


def test_the_doctor_knows_the_bad_combinations(monkeypatch, tmp_path):
  versions = {"setuptools": "82.0", "tensorflow": "2.21.0", "numpy": None}
  monkeypatch.setattr(checks, "_version", lambda p: versions.get(p, "2.20.1"))
  found = {f.what: f for f in checks.examine(str(tmp_path))}
  assert found["setuptools"].mark == "FAIL" and "setuptools<82" in found["setuptools"].fix
  assert found["tensorflow"].mark == "FAIL" and found["numpy"].found == "not installed"
  assert found["tf_keras"].mark == "ok  "


def test_the_doctor_tries_the_cluster(capsys, tmp_path, monkeypatch):
  monkeypatch.setenv("TF_CONFIG", json.dumps({
      "cluster": {"chief": ["localhost:1"], "worker": ["localhost:2"], "ps": ["localhost:3"]},
      "task": {"type": "chief", "index": 0}}))
  assert doctor.main(["doctor", f"--workdir={tmp_path}", "--timeout=0.2"]) == 1
  assert "no answer from worker 0 (localhost:2)" in capsys.readouterr().out
