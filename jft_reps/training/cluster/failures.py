"""What an error of TensorFlow says: a server was lost, or the input is bad, or neither."""

from __future__ import annotations

import os
import re

import tensorflow as tf

from jft_reps.errors import DataError, printable
from jft_reps.task import Task

SERVER_LOST = (tf.errors.UnavailableError, tf.errors.NotFoundError,
               tf.errors.FailedPreconditionError, tf.errors.AbortedError, ConnectionError)
_MISSING = re.compile(r"^\s*(?:\{\{.*?\}\}\s*)*(\S.*?); No such file", re.MULTILINE)
_WORKER = re.compile(r"/job:worker/replica:\d+/task:(\d+)")
_NOISE = re.compile(r"Graph execution error:|Detected at node |  File \"")
_UNREADABLE = (tf.errors.DataLossError, tf.errors.OutOfRangeError)


def file_missing(error: BaseException) -> bool:
  """Whether a file is not there; of a server that came back empty, the variables are not."""
  return isinstance(error, tf.errors.NotFoundError) and "No such file" in str(error)


def of_input(error: BaseException, task: Task, where: str | os.PathLike[str],
             split: str | None = None) -> Exception | None:
  """The task's word for an error of its input; None for one of the computation or a server.

  Args:
    error: what was raised.
    task: is asked only about what may come from its input: its diagnosis may read all of it.
    where: the run directory or the evaluation set.
    split: the evaluation split that was being read; None: the training data.
  """
  unreadable = isinstance(error, _UNREADABLE)
  if not (unreadable or file_missing(error) or isinstance(error, tf.errors.InvalidArgumentError)):
    return None
  explained = task.explain(error) if split is None else task.explain(error, split)
  if explained is None and file_missing(error):
    return _unseen(error, where)
  if explained is None and unreadable:
    return DataError("input", where, printable(first_line(error)), "readable records")
  return explained


def _unseen(error: BaseException, where: str | os.PathLike[str]) -> DataError:
  """A file is missing that the task, here, finds in order."""
  path, worker = _MISSING.search(str(error)), _WORKER.search(str(error))
  who = f"worker {worker[1]}" if worker else "this process"
  return DataError(
      "missing-file", printable(path[1], 1000) if path else where, f"{who} does not see it",
      "the same files under the same path for every process of the run",
      "Mount or copy them there; a relative path counts from where each process was started.")


def first_line(error: BaseException) -> str:
  """The first line of a message that says something, or the error's name.

  TensorFlow puts where an op was defined before what happened to it.
  """
  lines = [re.sub(r"^(\{\{.*?\}\}\s*)+", "", line) for line in str(error).splitlines()]
  lines = [line for line in lines if line.strip() and not _NOISE.match(line)]
  return (lines or [type(error).__name__])[0]
