"""What an error of TensorFlow says: a server was lost, or the input is bad, or neither."""

from __future__ import annotations

import os

import tensorflow as tf

from jft_reps.errors import DataError, printable
from jft_reps.task import Task

SERVER_LOST = (tf.errors.UnavailableError, tf.errors.NotFoundError,
               tf.errors.FailedPreconditionError, tf.errors.AbortedError, ConnectionError)
_UNREADABLE = (tf.errors.DataLossError, tf.errors.OutOfRangeError)


def file_missing(error: BaseException) -> bool:
  """Whether a file is not there; of a server that came back empty, the variables are not."""
  return isinstance(error, tf.errors.NotFoundError) and "No such file" in str(error)


def of_input(error: BaseException, task: Task, where: str | os.PathLike[str]) -> Exception | None:
  """The task's word for an error of its input; None for one of the computation or a server.

  Args:
    error: what was raised.
    task: is asked only about what may come from its input: its diagnosis may read all of it.
    where: the run directory.
  """
  unreadable = isinstance(error, _UNREADABLE)
  if not (unreadable or file_missing(error) or isinstance(error, tf.errors.InvalidArgumentError)):
    return None
  explained = task.explain(error)
  if explained is None and unreadable:
    return DataError("input", where, printable(first_line(error)), "readable records")
  return explained


def first_line(error: BaseException) -> str:
  """The first line of a message, or the error's name."""
  return (str(error).splitlines() or [type(error).__name__])[0]
