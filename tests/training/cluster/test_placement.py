"""Variables are balanced by bytes over any number of servers."""

from __future__ import annotations

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from jft_reps.models import classifier, resnet
from jft_reps.training.cluster import placement


@pytest.fixture(scope="module")
def paper_sizes():
  """Bytes of each variable of the paper's model: ResNet-101, 18,291 classes in 50 shards."""
  build = lambda: classifier.Classifier(resnet.ResNet(depth=101), 18291, shards=50, prior=1e-3)
  return [v.bytes for v in placement.created_variables(build)]


@pytest.mark.parametrize("servers", [2, 3, 17])
def test_the_papers_model_is_balanced(paper_sizes, servers):
  assignment = placement.plan(paper_sizes, servers)
  load = placement.bytes_per_server(paper_sizes, assignment, servers)
  assert max(load) / (sum(load) / servers) <= 1.05
  assert sum(load) == sum(paper_sizes) > 4 * (42_500_000 + 2048 * 18291)


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=60), st.integers(1, 20))
def test_greedy_bound(sizes, servers):
  load = placement.bytes_per_server(sizes, placement.plan(sizes, servers), servers)
  # Graham's list-scheduling bound, which any greedy order keeps.
  assert max(load) <= sum(sizes) / servers + (1 - 1 / servers) * max(sizes) + 1e-6
  assert sum(load) == sum(sizes)


def test_sizes_are_learnt_without_making_variables():
  def build():
    tf.Variable(tf.zeros([3, 5]), name="a")
    tf.Variable(tf.zeros([2], tf.int64), name="b")

  assert [(v.shape, v.bytes) for v in placement.created_variables(build)] == [
      ((3, 5), 60), ((2,), 16)]
