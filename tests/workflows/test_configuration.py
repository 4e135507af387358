"""Single values of a configuration, as flags give them."""

from __future__ import annotations

import pytest

from jft_reps import workflows
from jft_reps.errors import ConfigError
from jft_reps.workflows import compose, configuration

ROW = "experiments/fig3_pretraining.py:random"


def test_another_optimizer_brings_its_own_arguments():
  config = workflows.load(ROW, {"optimizer.name": "momentum"})
  assert config.optimizer.to_dict() == {"name": "momentum"}
  assert type(compose.options(config).optimizer).__name__ == "Momentum"
  config = workflows.load(ROW, {"optimizer.name": "momentum", "optimizer.momentum": 0.5})
  assert compose.options(config).optimizer.momentum == 0.5
  same = workflows.load(ROW, {"optimizer.name": "rmsprop", "optimizer.rho": 0.5})
  assert (same.optimizer.rho, same.optimizer.epsilon) == (0.5, 1.0)
  with pytest.raises(ConfigError, match="config.optimizer"):
    compose.options(workflows.load(ROW, {"optimizer.name": "momentum", "optimizer.rho": 0.5}))


def test_none_is_no_text():
  config = workflows.load(ROW, {"init.checkpoint": "RUN"})
  configuration.override(config, {"init.checkpoint": "None", "task.hierarchy": "None"})
  assert config.init.checkpoint is None and config.task.hierarchy is None


def test_a_name_alone_is_a_file_of_experiments(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert workflows.load("fig3_pretraining:random") == workflows.load(
      str(configuration.EXPERIMENTS / "fig3_pretraining.py:random"))
  with pytest.raises(ConfigError, match="no such file"):
    workflows.load("fig99:random")


def test_a_runs_configuration_is_read_and_never_run(tmp_path):
  (tmp_path / "config.json").write_text('{"task": {"records": "R"}, "train": {"steps": 3}}')
  found = configuration.of_run(tmp_path, {"train.steps": "4"}, "elsewhere")
  assert (found.config.train.steps, found.config.task.records) == (4, "elsewhere")
  assert configuration.differences(found.config, tmp_path) == [
      "config.task.records=elsewhere, the run: R", "config.train.steps=4, the run: 3"]
  for text in ("{", "[]", '{"task": 3}', "import os"):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ConfigError, match="config.json"):
      configuration.of_run(tmp_path)
