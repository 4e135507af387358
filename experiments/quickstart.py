"""The whole system in minutes: a picture world, a cluster, a watched pre-training run.

  python -m experiments.quickstart --workdir=DIR [--seed=0]

Generates pictures with noisy, long-tailed, hierarchical labels; starts a cluster in this process
(chief, 2 workers, 2 parameter servers over gRPC); pre-trains a small ResNet with a sharded
classifier, while a monitor evaluates the checkpoints with FastEval mAP@100; ends with a table,
TensorBoard curves and `report.md`. About four minutes on two cores.
"""

from __future__ import annotations

import pathlib
import sys
import threading
import time
from collections.abc import Sequence

from absl import flags

from experiments import fig3_pretraining
from jft_reps import program
from jft_reps.errors import StorageError
from jft_reps.workflows import compose, generating

FLAGS = flags.FlagValues()
flags.DEFINE_string("workdir", None, "Where records, run and report go.", flag_values=FLAGS)
flags.DEFINE_integer("seed", 0, "Of pictures, labels, weights and order.", flag_values=FLAGS)
flags.DEFINE_integer("steps", 4500, "Pushes of all workers together.", lower_bound=1,
                     flag_values=FLAGS)
flags.DEFINE_integer("pictures", 20_000, "Training pictures.", lower_bound=1,
                     flag_values=FLAGS)
flags.DEFINE_integer("workers", 2, "Workers.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer("ps", 2, "Parameter servers.", lower_bound=1, flag_values=FLAGS)

_MAP, _LEAVES = "fasteval/mAP@100", "fasteval/leaves"


def configure(workdir: pathlib.Path, seed: int, steps: int, pictures: int):
  """The laptop configuration of figure 3, for one seed and size."""
  config = fig3_pretraining.get_config("random,laptop")
  config.workdir = str(workdir)
  config.task.records = str(workdir / "records")
  config.task.hierarchy = str(workdir / "records" / "hierarchy.csv")
  config.train.update({
      "steps": steps, "seed": seed, "checkpoint_every": max(1, steps // 6), "keep": 20})
  config.schedule.update({"steps": steps, "start": steps * 6 // 10})
  config.toy_world.seed = seed
  config.toy_world.splits = {"train": (pictures, 8), "fasteval": (1000, 1)}
  return config


class MonitorThread(threading.Thread):
  """Evaluates checkpoints beside the training; `results` holds numbers by step at the end."""

  def __init__(self, monitor):
    super().__init__(name="monitor", daemon=True)
    self._monitor, self.results, self._error = monitor, {}, None

  def run(self) -> None:
    try:
      self.results = self._monitor.follow(poll=1.0)
    except BaseException as e:  # noqa: B036 - raised where it is joined
      self._error = e

  def finish(self, timeout: float) -> None:
    """Waits for the last checkpoint's numbers."""
    self.join(timeout)
    if self._error is not None:
      raise self._error
    if self.is_alive():
      raise StorageError("monitor", "quickstart", f"not finished after {timeout:.0f} s")


def bounds(task) -> tuple[dict[str, float], dict[str, float]]:
  """What a scorer reaches on the evaluation set that sees no picture, and one that knows the truth.
  """
  evaluator = task.evaluators()[0]
  for batch in evaluator.dataset():
    truth = {k: v.numpy() for k, v in batch.items()}
    evaluator.update(
        [i.decode() for i in truth["id"]], truth["targets"].astype("float32"), truth)
  return evaluator.chance(), evaluator.result()


def train(config, workers: int, servers: int):
  """Runs the cluster, the trainer and the monitor; returns the task and the numbers by step."""
  from jft_reps import progress
  from jft_reps.training import trainer
  from jft_reps.training.cluster import start as cluster_lib
  from jft_reps.training.evaluation import monitor
  from jft_reps.training.run_directory import directory
  from jft_reps.workflows import evaluation

  cluster = cluster_lib.start_in_process(workers, servers)
  task, options = compose.task(config), compose.options(config)
  run = directory.RunDirectory(config.workdir)
  bar = progress.Progress(options.steps, "steps")
  watch = MonitorThread(monitor.Monitor(
      compose.task(config), run, say=lambda text: print(text, file=sys.stderr, flush=True),
      details=evaluation.class_results(task, run)))
  run.reopen()  # a finished run of before must not send the monitor home
  watch.start()
  trainer.Trainer(task, run, options, cluster=cluster, notes=task.notes, reasons=task.reasons,
                  config=config.to_dict(), progress=bar).train()
  bar.close()
  watch.finish(timeout=120)
  return task, {s: v for s, v in sorted(watch.results.items()) if v}


def report(config, task, results, seconds: float) -> float:
  """Prints the table, writes `report.md`; returns the share of the way to the ideal scorer."""
  from jft_reps.studies.report import one_run

  workdir = pathlib.Path(config.workdir)
  guessing, best = bounds(task)
  steps = list(results)
  picked = [("guessing: label frequencies", guessing),
            ("random weights", results[steps[0]]), (f"first checkpoint (step {steps[1]})",
            results[steps[1]]), (f"last checkpoint (step {steps[-1]})", results[steps[-1]]),
            ("ideal scorer", best)]
  header = ("FastEval", "mAP@100", "macro mAP@100, leaves")
  rows = [(name, values.get(_MAP), values.get(_LEAVES)) for name, values in picked]
  first, last = results[steps[0]], results[steps[-1]]
  share = (last[_MAP] - first[_MAP]) / (best[_MAP] - first[_MAP])
  one_run.plot_curve(workdir / "map100.png", {s: v[_MAP] for s, v in results.items()},
                     guessing[_MAP], best[_MAP], "mAP@100",
                     f"FastEval while pre-training, seed {FLAGS.seed}")
  definition = (workdir / "eval_fasteval" / "definition.txt").read_text().strip()
  notes = [
      f"{share:.0%} of the way from random weights to the ideal scorer; leaves "
      f"{last[_LEAVES] / max(first[_LEAVES], 1e-9):.0f} times random weights.",
      "Random weights include the classifier's bias at the class prior.",
      definition,
      f"Curves: `tensorboard --logdir {workdir}`; classes one by one: `eval_fasteval/*.csv`.",
      f"{seconds:.0f} s in all, seed {FLAGS.seed}.",
  ]
  path = one_run.write(workdir, "Quickstart", header, rows, "map100.png", notes)
  print(f"\n{'':34}  mAP@100   macro over leaves")
  for name, value, leaves in rows:
    print(f"{name:34}  {value:7.4f}   {'' if leaves is None else f'{leaves:7.4f}'}")
  print(f"\n{notes[0]}\n\nreport:  {path}\ncurves:  tensorboard --logdir {workdir}   "
        f"({seconds:.0f} s in all)")
  return share


def main(argv: Sequence[str]) -> int:
  start = time.monotonic()
  program.parse(FLAGS, argv, __doc__, required=("workdir",))
  workdir = pathlib.Path(FLAGS.workdir)
  program.log_tensorflow_to(workdir / "logs" / "tensorflow.log")
  from jft_reps import progress

  config = configure(workdir, FLAGS.seed, FLAGS.steps, FLAGS.pictures)
  generating.generate(config, progress.counter("generated pictures"))
  task, results = train(config, FLAGS.workers, FLAGS.ps)
  report(config, task, results, time.monotonic() - start)
  return 0


if __name__ == "__main__":
  sys.exit(program.run(main))
