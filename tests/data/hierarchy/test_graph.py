"""Hierarchies equal a set-based oracle, published files give known counts, cycles are named."""

from __future__ import annotations

import hashlib
import json
import random
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jft_reps.data.hierarchy import closure as closure_lib
from jft_reps.data.hierarchy import readers
from jft_reps.data.hierarchy.graph import Hierarchy, Node
from jft_reps.errors import DataError


def oracle_ancestors(ids, edges):
  """Proper ancestors of each node, by repeating one step until nothing is new."""
  above = {i: {p for c, p in edges if c == i} for i in ids}
  while True:
    wider = {i: above[i] | {a for p in above[i] for a in above[p]} for i in ids}
    if wider == above:
      return above
    above = wider


def oracle_depth(ids, edges):
  depth = dict.fromkeys(ids, 0)
  for _ in ids:
    for child, parent in edges:
      depth[child] = max(depth[child], depth[parent] + 1)
  return depth


@st.composite
def dags(draw):
  """Ids in any order with edges that follow a hidden order; some are stated twice."""
  count = draw(st.integers(1, 14))
  ids = draw(st.permutations([f"n{i}" for i in range(count)]))
  pairs = [(f"n{i}", f"n{j}") for i in range(count) for j in range(i)]
  edges = draw(st.lists(st.sampled_from(pairs), max_size=40)) if pairs else []
  return ids, edges


@given(dags())
def test_equals_the_oracle(dag):
  ids, edges = dag
  unique = set(edges)
  tree = Hierarchy(ids, edges)
  above, depth = oracle_ancestors(ids, unique), oracle_depth(ids, unique)
  in_order = lambda found: tuple(i for i in ids if i in found)
  assert tree.ids == tuple(ids) and len(tree) == len(ids)
  assert tree.repeated_edges == len(edges) - len(unique)
  for i in ids:
    assert tree.ids[tree.index(i)] == i
    assert tree.parents(i) == in_order({p for c, p in unique if c == i})
    assert tree.children(i) == in_order({c for c, p in unique if p == i})
    assert tree.ancestors(i) == in_order(above[i])
    assert tree.descendants(i) == in_order({d for d in ids if i in above[d]})
    assert tree.depth(i) == depth[i]
    assert tree.fan_out(i) == sum(p == i for _, p in unique)
  some = ids[::2] * 2
  assert tree.expand(some) == in_order(set(some).union(*(above[i] for i in some)))
  parents = [sum(c == i for c, _ in unique) for i in ids]
  assert tree.stats() == {
      "nodes": len(ids), "edges": len(unique), "roots": parents.count(0),
      "leaves": len(set(ids) - {p for _, p in unique}),
      "multi_parent": sum(p > 1 for p in parents),
      "max_fan_out": max(tree.fan_out(i) for i in ids), "max_depth": max(depth.values()),
      "closure_pairs": sum(map(len, above.values())),
  }
  row_splits, values = tree.closure()
  for c, i in enumerate(ids):
    row = [ids[v] for v in values[row_splits[c]:row_splits[c + 1]]]
    assert row[0] == i and len(row) == len(set(row)) and set(row) == above[i] | {i}


def test_counts_over_many_sweeps_equal_those_of_one(monkeypatch):
  rng = random.Random(3)
  ids = [f"n{i}" for i in range(700)]
  edges = [(ids[i], ids[rng.randrange(i)]) for i in range(1, 700) for _ in range(3)]
  whole = Hierarchy(ids, edges).stats()["closure_pairs"]
  assert whole == sum(map(len, oracle_ancestors(ids, set(edges)).values()))
  monkeypatch.setattr(closure_lib, "_SWEEP_BITS", 1)  # 64 columns a sweep
  assert Hierarchy(ids, edges).stats()["closure_pairs"] == whole


def test_names_are_shared_and_default_to_the_id():
  tree = Hierarchy([Node("a", "crane"), Node("b", "crane"), Node("c")], [("b", "c")])
  assert tree.names == ("crane", "crane", "c")
  assert tree.name("b") == "crane" and tree.roots == ("a", "c") and tree.leaves == ("a", "b")
  assert "a" in tree and "crane" not in tree


def test_is_immutable():
  tree = Hierarchy(["a", "b"], [("b", "a")])
  with pytest.raises(ValueError):
    tree.closure()[1][0] = 1
  with pytest.raises(AttributeError):
    tree.ids = ()


@given(dag=dags(), names=st.tuples(*[st.sampled_from(["", "a, b", 'a "b"', "é", "same"])] * 14))
def test_a_written_hierarchy_reads_back(tmp_path_factory, dag, names):
  ids, edges = dag
  path = tmp_path_factory.mktemp("w") / "h.csv"
  tree = Hierarchy([Node(i, n) for i, n in zip(ids, names)], edges)
  tree.write(path)
  back = readers.read(path, "edges")
  assert (back.ids, back.names) == (tree.ids, tree.names)
  assert [back.parents(i) for i in ids] == [tree.parents(i) for i in ids]
  assert [p.name for p in path.parent.iterdir()] == ["h.csv"]


# --- errors of the graph -------------------------------------------------------------------------


@pytest.mark.parametrize(("ids", "edges", "slug", "found"), [
    ([], [], "empty-hierarchy", "no nodes"),
    (["a", "b", "a"], [], "duplicate-id", "'a'"),
    (["a", ""], [], "bad-id", "''"),
    (["a", "b\tc"], [], "bad-id", r"'b\tc'"),
    (["a"], [("a", "b")], "missing-parent", "'b'"),
    (["a"], [("b", "a")], "missing-child", "'b'"),
    (["a"], [("a", "a")], "self-parent", "'a'"),
    (["a", "b"], [("a", "b"), ("b", "a")], "cycle", "'a' -> 'b' -> 'a'"),
])
def test_what_is_no_hierarchy_is_refused(ids, edges, slug, found):
  with pytest.raises(DataError) as caught:
    Hierarchy(ids, edges, "here.csv")
  assert caught.value.slug == slug and caught.value.where == "here.csv"
  assert found in caught.value.found


def test_a_cycle_names_only_the_cycle():
  tail = [("t1", "a"), ("t2", "t1"), ("a", "root")]
  with pytest.raises(DataError) as caught:
    Hierarchy(["t2", "t1", "root", "c", "b", "a"], [*tail, ("a", "b"), ("b", "c"), ("c", "a")])
  assert caught.value.found == "cycle 'c' -> 'a' -> 'b' -> 'c'"


@given(dags(), st.data())
def test_a_cycle_is_found_wherever_it_is(dag, data):
  ids, edges = dag
  above = oracle_ancestors(ids, set(edges))
  pairs = [(a, d) for d in ids for a in above[d]]
  if not pairs:
    return
  closing = data.draw(st.sampled_from(pairs))
  with pytest.raises(DataError) as caught:
    Hierarchy(ids, [*edges, closing])
  assert caught.value.slug == "cycle"
  steps = [s.strip("'") for s in caught.value.found.removeprefix("cycle ").split(" -> ")]
  if "…" in steps[-1]:
    steps.pop()
  assert len(set(steps)) <= 5
  assert set(zip(steps, steps[1:])) <= {*edges, closing}


def test_unknown_labels_are_named():
  tree = Hierarchy(["a"], source="h.csv")
  with pytest.raises(DataError, match=r"h\.csv: no node 'z\\x1b'"):
    tree.expand(["a", "z\x1b"])


# --- limits --------------------------------------------------------------------------------------

# Seconds of this thread's own work, not of a busy machine's clock; each takes two at most, and what
# grows with the square of its input or with its paths takes many minutes.
_CHEAP = 60


def test_a_chain_of_100000_nodes_is_cheap():
  ids = [f"n{i}" for i in range(100_000)]
  start = time.thread_time()
  tree = Hierarchy(ids, list(zip(ids[1:], ids)))
  stats = tree.stats()
  assert len(tree.ancestors(ids[-1])) == len(tree.descendants(ids[0])) == 99_999
  assert time.thread_time() - start < _CHEAP
  assert stats["max_depth"] == 99_999 and stats["closure_pairs"] == 99_999 * 100_000 // 2
  tracemalloc.start()
  with pytest.raises(DataError, match="4,999,950,000 pairs"):
    tree.closure()
  assert tracemalloc.get_traced_memory()[1] < 10e6
  tracemalloc.stop()


def test_a_chain_with_shortcuts_is_counted_exactly():
  ids = [f"n{i}" for i in range(30_000)]
  edges = [(ids[i], ids[i - k]) for k in (1, 2, 7) for i in range(k, len(ids))]
  start = time.thread_time()
  assert Hierarchy(ids, edges).stats()["closure_pairs"] == 29_999 * 30_000 // 2
  assert time.thread_time() - start < _CHEAP


def test_a_cycle_of_100000_nodes_names_five():
  ids = [f"n{i}" for i in range(100_000)]
  start = time.thread_time()
  with pytest.raises(DataError) as caught:
    Hierarchy(ids, list(zip(ids, [ids[-1], *ids])))
  assert time.thread_time() - start < _CHEAP
  assert caught.value.found == (
      "cycle 'n0' -> 'n99999' -> 'n99998' -> 'n99997' -> 'n99996' -> … (100000 nodes)")


def test_a_ladder_with_2_to_the_40_paths_is_cheap():
  ids = [f"{side}{i}" for i in range(41) for side in "lr"]
  edges = [(f"{a}{i}", f"{b}{i - 1}") for i in range(1, 41) for a in "lr" for b in "lr"]
  start = time.thread_time()
  tree = Hierarchy(ids, edges)
  assert len(tree.expand(["l40"])) == 81
  assert tree.stats()["closure_pairs"] == sum(2 * 2 * i for i in range(41))
  assert tree.closure()[0][-1] == 82 + tree.stats()["closure_pairs"]
  assert time.thread_time() - start < _CHEAP


def test_the_closure_of_a_long_chain_within_the_cap():
  ids = [f"n{i}" for i in range(3000)]
  row_splits, values = Hierarchy(ids, list(zip(ids[1:], ids))).closure()
  np.testing.assert_array_equal(values[row_splits[2999]:], np.arange(2999, -1, -1))


# --- published files -----------------------------------------------------------------------------


def check_reference(tree, reference, label):
  stats = tree.stats()
  assert stats == {
      "nodes": reference["n_nodes"], "edges": reference["n_unique_edges"],
      "roots": reference["n_roots"], "leaves": reference["n_leaves"],
      "multi_parent": reference["n_multi_parent"], "max_fan_out": reference["max_fan_out"],
      "max_depth": reference["max_depth_longest_path"],
      "closure_pairs": reference["closure_pairs_excluding_self"],
  }
  pairs = sorted(f"{label(i)}\t{label(a)}" for i in tree.ids for a in tree.ancestors(i))
  digest = hashlib.sha256("\n".join(pairs).encode()).hexdigest()
  assert digest == reference["closure_sha256"]
  by_label = {label(i): i for i in tree.ids}
  for node, known in reference["sample_ancestors"].items():
    i = by_label[node]
    assert sorted(map(label, tree.ancestors(i))) == sorted(known["ancestors"])
    assert tree.depth(i) == known["depth_longest"]
    assert tree.fan_out(i) == known["n_children"]
    assert len(tree.descendants(i)) == known["n_descendants"]


def test_ml_images(shared_data):
  folder = shared_data / "hierarchies"
  tree = readers.read(
      folder / "tencent_mlimages/dictionary_and_semantic_hierarchy.txt", "mlimages")
  reference = json.loads((folder / "reference_tencent_mlimages.json").read_text())
  check_reference(tree, reference, lambda i: str(tree.index(i)))
  assert tree.name("n00002684") == "object, physical object"


def test_cifar100(shared_data):
  folder = shared_data / "hierarchies"
  reference = json.loads((folder / "reference_cifar100.json").read_text())
  path = folder / "cvjena/cifar.parent-child.txt"
  for tree in (readers.read(path, "is_a"), readers.read(path, "edges", order="parent,child")):
    check_reference(tree, reference, str)


def test_open_images(shared_data):
  folder = shared_data / "hierarchies/openimages"
  tree = readers.read(folder / "bbox_hierarchy.json", "openimages")
  edges, stack = set(), [json.loads((folder / "bbox_hierarchy.json").read_text())]
  while stack:
    node = stack.pop()
    for child in node.get("children", ()):
      edges.add((child["name"], node["name"]))
      stack.append(child)
  assert {(i, p) for i in tree.ids for p in tree.parents(i)} == edges
  assert tree.roots == ("Entity",) and len(tree.parents("Knife")) > 1
  named = readers.read(
      folder / "bbox_hierarchy.json", "openimages", names=folder / "dict.csv")
  assert named.name("/m/0242l") == "coin" and named.index("/m/0242l") == tree.index("Coin")
  assert named.stats() == tree.stats()
