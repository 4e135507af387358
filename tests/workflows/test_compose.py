"""Configurations: rows, overrides, the paper's numbers, and messages for what is wrong."""

from __future__ import annotations

import sys

import pytest

from jft_reps.apps import command_line
from jft_reps.errors import ConfigError
from jft_reps.training import optimizers
from jft_reps.workflows import compose, configuration, generating

FIG3 = "experiments/fig3_pretraining.py"


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch, root):
  monkeypatch.chdir(root)


def config(row="random"):
  return configuration.read_config(f"{FIG3}:{row}")[0]


def test_the_papers_numbers():
  c = config()
  assert (c.task.backbone.depth, c.task.classifier_shards, c.task.batch_size) == (101, 50, 32)
  assert (c.task.resize, c.task.crop, c.train.weight_decay) == (340, 299, 1e-4)
  assert (c.schedule.initial, c.schedule.rate, c.schedule.every) == (1e-3, 0.9, 3_000_000)
  assert (c.train.steps, c.optimizer.name, c.optimizer.momentum) == (36_000_000, "rmsprop", 0.9)
  assert list(c.train.keep_steps) == [12_000_000, 24_000_000, 36_000_000]


def test_options_are_made_of_the_configuration():
  options = compose.options(config("random,laptop"))
  assert options.steps == config("random,laptop").train.steps
  assert options.optimizer.momentum == 0.3 and options.schedule.steps == 50


def test_values_are_overridden_by_key():
  c = config()
  configuration.override(c, {
      "train.steps": "10", "schedule.initial": "4e-2", "task.records": "x/y",
      "task.eval_splits": "a,b", "train.in_flight": "3", "optimizer.rho": "1"})
  assert (c.train.steps, c.schedule.initial, c.task.records) == (10, 0.04, "x/y")
  assert tuple(c.task.eval_splits) == ("a", "b")
  assert c.train.in_flight == 3 and c.optimizer.rho == 1.0


@pytest.mark.parametrize("key,value,message", [
    ("train.stepz", "1", "Did you mean --config.train.steps"), ("trian.steps", "1", "unknown key"),
    ("train.steps", "ten", "expected int"), ("train.steps", "1.5", "expected int"),
    ("schedule.initial", "NaN", "expected float"), ("schedule.staircase", "maybe", "bool"),
    ("train.in_flight", "abc", "expected int"), ("train.in_flight", "2.5", "expected int"),
    ("task.class_weights", "7", "expected str"),
    ("task.backbone.pre_activation", "1", "expected bool")])
def test_a_wrong_override_is_named(key, value, message):
  with pytest.raises(ConfigError, match=message):
    configuration.override(config(), {key: value})


@pytest.mark.parametrize("argument,message", [
    ("nowhere.py", "no such file"), (f"{FIG3}:JFT", "expected random, imagenet"),
    (f"{FIG3}:random,tiny", "random,tiny"), ("experiments", "no such file"),
    ("README.md:random", "no Python file")])
def test_a_wrong_configuration_is_named(argument, message):
  with pytest.raises(ConfigError, match=message):
    configuration.read_config(argument)


def test_a_configuration_that_is_not_python_is_named_with_its_line(tmp_path):
  (tmp_path / "mine.py").write_text("a = 1\nb = (\n")
  with pytest.raises(ConfigError, match=r"mine.py:2: '\(' was never closed"):
    configuration.read_config(tmp_path / "mine.py")
  (tmp_path / "mine.py").write_text("a = 1\nb = [][a]\n")
  with pytest.raises(ConfigError, match=r"mine.py: IndexError: list index .*, at .*mine.py:2"):
    configuration.read_config(tmp_path / "mine.py")
  (tmp_path / "mine.py").write_text("a = 1\n")
  with pytest.raises(ConfigError, match="mine.py: no get_config"):
    configuration.read_config(tmp_path / "mine.py")


@pytest.mark.parametrize("key,value,message", [
    ("train.steps", 0, "at least 1"), ("schedule.initial", -1.0, "positive"),
    ("optimizer.name", "adam", "rmsprop or momentum"), ("train.log_every", -5, "at least 1")])
def test_values_out_of_range_are_refused(key, value, message):
  c = config()
  c.update_from_flattened_dict({key: value})
  with pytest.raises(ConfigError, match=message):
    compose.options(c)


def test_an_unknown_task_or_argument_is_named():
  c = config()
  c.task.name = "pretrian"
  with pytest.raises(ConfigError, match="'pretrian'"):
    compose.task(c)
  c = config()
  with c.unlocked():
    c.task.depht = 50
  with pytest.raises(ConfigError, match="depht"):
    compose.task(c)


def test_an_unknown_trainer_optimizer_or_schedule_argument_is_named():
  for section, key in (("train", "stepz"), ("optimizer", "nesterov"), ("schedule", "rates")):
    c = config()
    with c.unlocked():
      c[section][key] = 1
    with pytest.raises(ConfigError, match=f"config.{section}.*{key}"):
      compose.options(c)


def test_a_fault_inside_a_task_or_an_optimizer_is_not_the_configurations(monkeypatch):
  def broken(**arguments):
    return len(arguments["batch_size"])

  monkeypatch.setattr("jft_reps.tasks.pretrain.create", broken)
  with pytest.raises(TypeError, match=r"object of type 'int' has no len\(\)"):
    compose.task(config())
  monkeypatch.setitem(
      optimizers.BY_NAME, "rmsprop", lambda rho, momentum, epsilon: rho + "")
  with pytest.raises(TypeError, match="unsupported operand"):
    compose.options(config())


def test_a_package_that_a_task_lacks_is_not_an_unknown_task(monkeypatch):
  monkeypatch.delitem(sys.modules, "jft_reps.tasks.pretrain", raising=False)
  monkeypatch.setitem(sys.modules, "jft_reps.tasks.panels.labels", None)
  monkeypatch.delattr("jft_reps.tasks.panels.labels", raising=False)
  with pytest.raises(ModuleNotFoundError, match="panels.labels"):
    compose.task(config())


def test_a_module_that_is_no_task_is_named():
  c = config()
  c.task.name = "scored_sets"
  with pytest.raises(ConfigError, match="'scored_sets'"):
    compose.task(c)


def test_overrides_are_taken_out_of_the_arguments():
  rest, found = command_line.split_overrides(
      ["p", "--config=a.py", "--config.train.steps=3", "--x"])
  assert rest == ["p", "--config=a.py", "--x"] and found == {"train.steps": "3"}
  with pytest.raises(ConfigError, match="no value"):
    command_line.split_overrides(["--config.train.steps", "3"])


def test_the_toy_world_is_not_laid_among_other_records(tmp_path):
  c = config()
  with c.unlocked():
    c.toy_world = {"splits": {"train": (2, 1)}, "size": 40}
    c.task.update({"records": str(tmp_path), "hierarchy": "x"})
  (tmp_path / "manifest-mine.json").write_text('{"metadata": {"labels": "labels.txt"}}')
  (tmp_path / "hierarchy.csv").write_text("mine")
  with pytest.raises(ConfigError, match="toy-world.*manifest-mine.json: records that are not the"):
    generating.generate(c)
  assert (tmp_path / "hierarchy.csv").read_text() == "mine"
  assert sorted(p.name for p in tmp_path.iterdir()) == ["hierarchy.csv", "manifest-mine.json"]
