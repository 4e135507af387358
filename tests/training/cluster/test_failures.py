"""Only an error of the input is put to the task, whose diagnosis may read every record."""

from __future__ import annotations

import pytest
import tensorflow as tf

from jft_reps.errors import DataError
from jft_reps.training import trainer
from jft_reps.training.cluster import failures
from jft_reps.training.cluster import start as cluster_lib
from jft_reps.training.run_directory.directory import RunDirectory
from tests.training.test_trainer import options
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
    trainer.Trainer(task, RunDirectory(tmp_path), options(5),
                    notes=task.notes).train()
  assert task.asked == []


_FROM_A_WORKER = """Graph execution error:

Detected at node IteratorGetNext defined at (most recent call last):
  File "/usr/lib/python3.11/threading.py", line 1002, in _bootstrap

/data/my records/train-0.tfrecord; No such file or directory
\t [[{{node IteratorGetNext}}]]
Additional GRPC error information from remote target /job:worker/replica:0/task:3 while calling
:UNKNOWN:Error received {grpc_message:" /data/my records/train-0.tfrecord; No such file"}"""
_FROM_HERE = ("{{function_node __wrapped__IteratorGetNext}} {{function_node f}} a/b.tfrecord; "
              "No such file or directory\n\t [[{{node IteratorGetNext}}]] [Op:IteratorGetNext]")


@pytest.mark.parametrize("message,says", [
    (_FROM_A_WORKER, "/data/my records/train-0.tfrecord: worker 3 does not see it; expected the"),
    (_FROM_HERE, "a/b.tfrecord: this process does not see it; expected the same files")])
def test_a_missing_file_that_the_task_finds_in_order_is_named_with_who_misses_it(message, says):
  found = failures.of_input(tf.errors.NotFoundError(None, None, message), Asked(), "run")
  assert isinstance(found, DataError) and says in str(found)


def test_the_first_line_is_the_first_that_says_something():
  assert failures.first_line(tf.errors.NotFoundError(None, None, _FROM_A_WORKER)) == (
      "/data/my records/train-0.tfrecord; No such file or directory")
  assert failures.first_line(tf.errors.UnavailableError(None, None, "{{f}} gone\nmore")) == "gone"
  assert failures.first_line(ConnectionError()) == "ConnectionError"


def test_files_that_workers_miss_end_the_run_at_once(tmp_path):
  class Elsewhere(Asked):
    def train_dataset(self, place):
      records = tf.data.TFRecordDataset(tf.constant([str(tmp_path / "gone.tfrecord")]))
      return tf.data.Dataset.zip((super().train_dataset(place), records)
                                 ).map(lambda row, record: row)

  task = Elsewhere()
  run = trainer.Trainer(task, RunDirectory(tmp_path / "run"), options(5),
                        cluster=cluster_lib.start_in_process(2, 1), notes=task.notes)
  with pytest.raises(DataError, match=r"gone.tfrecord: worker [01] does not see it"):
    run.train()
  assert run.restarts == 0
