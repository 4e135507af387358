"""Only an error of the input is put to the task, whose diagnosis may read every record."""

from __future__ import annotations

import pytest
import tensorflow as tf

from jft_reps.errors import DataError
from jft_reps.training import failures, trainer
from tests.training.test_trainer import options, run_directory
from tests.training.tiny_task import TinyTask


class Asked(TinyTask):
  def __init__(self, answer=None):
    super().__init__()
    self.asked, self._answer = [], answer

  def explain(self, error):
    self.asked.append(type(error))
    return self._answer


@pytest.mark.parametrize("error,asked", [
    (tf.errors.NotFoundError(None, None, "Resource localhost/head does not exist"), False),
    (tf.errors.FailedPreconditionError(None, None, "uninitialized value"), False),
    (tf.errors.UnavailableError(None, None, "failed to connect"), False),
    (tf.errors.NotFoundError(None, None, "train-0.tfrecord; No such file or directory"), True),
    (tf.errors.DataLossError(None, None, "corrupted record at 7"), True),
    (tf.errors.OutOfRangeError(None, None, "End of sequence"), True),
    (tf.errors.InvalidArgumentError(None, None, "assertion failed"), True)])
def test_a_lost_server_is_no_matter_of_the_input(error, asked):
  answer = DataError("x", "here", "bad")
  task = Asked(answer)
  assert failures.of_input(error, task, "run") is (answer if asked else None)
  assert task.asked == ([type(error)] if asked else [])


def test_unreadable_input_that_the_task_cannot_name_is_still_an_error_of_data():
  found = failures.of_input(tf.errors.DataLossError(None, None, "corrupted at 7\nmore"), Asked(),
                            "run")
  assert isinstance(found, DataError) and "corrupted at 7;" in str(found)


def test_a_run_that_loses_a_variable_never_asks(tmp_path):
  task = Asked()
  task.loss = lambda model, batch: (_ for _ in ()).throw(
      tf.errors.NotFoundError(None, None, "Container localhost does not exist"))
  with pytest.raises(tf.errors.NotFoundError):
    trainer.Trainer(task, run_directory.RunDirectory(tmp_path), options(5),
                    notes=task.notes).train()
  assert task.asked == []
