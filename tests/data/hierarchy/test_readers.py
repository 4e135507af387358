"""Every form of file gives the hierarchy it states; what is wrong is named with its line."""

from __future__ import annotations

import json

import pytest

from jft_reps.data.hierarchy import readers
from jft_reps.errors import ConfigError, DataError


def write(tmp_path, text, name="h.txt"):
  path = tmp_path / name
  path.write_bytes(text if isinstance(text, bytes) else text.encode())
  return path


def edges_of(tree):
  return {(i, p) for i in tree.ids for p in tree.parents(i)}


PETS = {("dog", "animal"), ("cat", "animal"), ("cat", "pet")}


@pytest.mark.parametrize(("text", "arguments"), [
    ("dog,animal\ncat,animal\ncat,pet\n", {}),
    ("\ufeffdog,animal\r\ncat,animal\r\ncat,pet", {"header": False}),
    ("child,parent\ndog,animal\n\ncat,animal\ncat,pet\n", {}),
    ("Parent,Child\nanimal,dog\nanimal,cat\npet,cat\n", {}),
    ("what,kind of\ndog,animal\ncat,animal\ncat,pet\n", {"header": True}),
    ("animal\tdog\nanimal\tcat\npet\tcat\n", {"order": "parent,child"}),
    ("dog  animal\ncat animal \ncat\tpet\n", {"separator": "space"}),
    ('"dog","animal"\ncat, animal\rcat,pet\r', {"separator": "comma"}),
    ("dog,animal\ncat,animal\ncat,animal\ncat,pet\n", {}),
])
def test_forms_of_edge_lists(tmp_path, text, arguments):
  tree = readers.read(write(tmp_path, text), "edges", **arguments)
  assert edges_of(tree) == PETS and len(tree) == 4
  assert tree.repeated_edges == text.count("cat,animal\n") - 1 or "cat,animal\n" not in text


def test_edge_lists_keep_the_order_of_first_appearance(tmp_path):
  path = write(tmp_path, "dog,animal\npet,\nanimal,\ncat,pet\nalone,\n")
  assert readers.read(path, "edges").ids == ("dog", "animal", "pet", "cat", "alone")


def test_names_from_a_column_a_file_and_a_label_map(tmp_path):
  path = write(tmp_path, "child,parent,name\ndog,animal,\"Dog, the\"\nanimal,,\n")
  assert readers.read(path, "edges").names == ("Dog, the", "animal")
  names = write(tmp_path, "animal\tAn animal\nother\tx\n", "names.txt")
  assert readers.read(path, "edges", names=names).names == ("Dog, the", "An animal")
  labels = write(tmp_path, "rest\nanimal\ndog\n\n", "labels.txt")
  tree = readers.read(path, "edges", nodes=labels)
  assert tree.ids == ("rest", "animal", "dog") and tree.names == ("rest", "animal", "Dog, the")
  assert tree.ancestors("dog") == ("animal",) and tree.roots == ("rest", "animal")


def test_is_a_with_words(tmp_path):
  words = write(tmp_path, "n2\tdog, domestic dog\nn1\tanimal\nn9\tfish\n", "words.txt")
  tree = readers.read(write(tmp_path, "n1 n2\nn1 n3\nn2 n3\n"), "is_a", names=words)
  assert tree.ids == ("n1", "n2", "n3")
  assert tree.names == ("animal", "dog, domestic dog", "n3")
  assert tree.parents("n3") == ("n1", "n2")


@pytest.mark.parametrize("header", [True, False])
def test_ml_images_in_any_row_order(tmp_path, header):
  head = "category_index\tcategory_id\tindex_of_parent_category\tcategory name\r\n"
  text = "2\tc\t1\tthe c\r\n0\ta\t-1\tx\r\n1\tb\t0\tx\r\n"
  tree = readers.read(write(tmp_path, head * header + text), "mlimages")
  assert tree.ids == ("a", "b", "c") and tree.names == ("x", "x", "the c")
  assert tree.ancestors("c") == ("a", "b")


OFFICIAL = {"LabelName": "/m/0", "Subcategory": [
    {"LabelName": "/m/1", "Subcategory": [{"LabelName": "/m/3"}], "Part": [{"LabelName": "/m/4"}]},
    {"LabelName": "/m/2", "Subcategory": [{"LabelName": "/m/3"}, {"LabelName": "/m/3"}]}]}


def test_official_open_images(tmp_path):
  path = write(tmp_path, json.dumps(OFFICIAL, indent=1))
  names = write(tmp_path, "LabelName,DisplayName\n/m/0,Entity\n/m/3,\"Pot, pan\"\n", "names.csv")
  tree = readers.read(path, "openimages", names=names)
  assert tree.ids == ("/m/0", "/m/1", "/m/3", "/m/4", "/m/2")
  assert tree.parents("/m/3") == ("/m/1", "/m/2") and tree.repeated_edges == 1
  assert tree.name("/m/3") == "Pot, pan" and tree.parents("/m/4") == ()
  whole = readers.read(path, "openimages", parts=True)
  assert whole.parents("/m/4") == ("/m/1",)


def nested(depth):
  return '{"name":"a","children":[' * depth + '{"name":"a"}' + "]}" * depth


LABEL = '{"LabelName": "a", "Subcategory": [\n{"LabelName": "b"%s}]}'


@pytest.mark.parametrize(("format", "text", "slug", "line", "words"), [
    ("edges", "a,b\nb,c\nc,a\nd,c\n", "cycle", 1, "'a' (line 1) -> 'b' (line 2) -> 'c' (line 3)"),
    ("edges", "a,b\nb,b\n", "self-parent", 2, "'b' (line 2)"),
    ("edges", "a,\nb,a\nc,x\nd,y\n", "missing-parent", 3, "'x' (line 3), 'y' (line 4)"),
    ("edges", "a,\nb,a\na,\n", "duplicate-id", 3, "'a' (lines 1 and 3)"),
    ("edges", "a,b\na,b,c\n", "wrong-columns", 2, "3 columns"),
    ("edges", "a,b\na\n", "wrong-columns", 2, "1 columns"),
    ("edges", "a,b\n,b\n", "empty-child", 2, ""),
    ("edges", 'a,b\nc,"d\n', "bad-csv", 2, ""),
    ("edges", "child,parent,name\na,b,x\na,c,y\n", "two-names", 3, "'y' and 'x'"),
    ("edges", b"a,b\nc,caf\xe9\n", "not-utf8", 2, "0xe9"),
    ("edges", b"a,b\r\nc,\0d\n", "nul-byte", 2, ""),
    ("edges", "", "empty-hierarchy", 0, ""),
    ("edges", "a,b\x1b[31m\n", "bad-id", 0, r"'b\x1b[31m'"),
    ("is_a", "a b\nb c\nc b\n", "cycle", 3, "'b' (line 3) -> 'c' (line 2) -> 'b'"),
    ("mlimages", "0\ta\t-1\tx\n1\tb\t7\tx\n", "missing-parent", 2, "'index 7' (line 2)"),
    ("mlimages", "0\ta\t-1\tx\n1\tb\t-2\tx\n", "missing-parent", 2, "'index -2'"),
    ("mlimages", "0\ta\t-1\tx\n1\ta\t0\tx\n", "duplicate-id", 2, "'a' (lines 1 and 2)"),
    ("mlimages", "0\ta\t-1\tx\n0\tb\t0\tx\n", "duplicate-id", 2, "index 0 (lines 1 and 2)"),
    ("mlimages", "0\ta\t-1\tx\n2\tb\t0\tx\n", "missing-index", 2, "index 1"),
    ("mlimages", "0\ta\t1\tx\n1\tb\t0\tx\n", "cycle", 1, "'a' (line 1) -> 'b' (line 2) -> 'a'"),
    ("mlimages", "0\ta\t0\tx\n", "self-parent", 1, "'a'"),
    ("mlimages", "0\ta\t-1\tx\n\n1\tb\t0\tx\n", "wrong-columns", 2, "0 columns"),
    ("mlimages", "0\ta\t-1\tx\none\tb\t0\tx\n", "bad-index", 2, "'one'"),
    ("openimages", nested(20_000), "nested-too-deep", 1, "nested too deep"),
    ("openimages", nested(1), "self-parent", 1, "'a'"),
    ("openimages", LABEL % ', "x": 1,\n"x": 2', "duplicate-key", 2,
     "'x' twice in one object, that of 'b'"),
    ("openimages", LABEL % ', "Subcategory": [\n{"LabelName": "a"}]', "cycle", 3, "'a' (line 3)"),
    ("openimages", LABEL % ', "Subcategory": {}', "bad-node", 2, "Subcategory"),
    ("openimages", '{"LabelName": "a", "Subcategory": ["b"]}', "bad-node", 0, "b"),
    ("openimages", '{"LabelName": 3}', "bad-node", 0, "3"),
    ("openimages", '{"name": "a",\n"children": [}', "bad-json", 2, ""),
])
def test_bad_files_are_named_with_their_line(tmp_path, format, text, slug, line, words):
  path = write(tmp_path, text)
  with pytest.raises(DataError) as caught:
    readers.read(path, format)
  assert caught.value.slug == slug, caught.value
  assert caught.value.where == (f"{path}:{line}" if line else str(path))
  assert words in caught.value.found
  assert str(caught.value).isprintable() and len(str(caught.value)) < 1000


def test_errors_name_at_most_five_nodes(tmp_path):
  path = write(tmp_path, "a,\n" + "".join(f"c{i},missing{i}\n" for i in range(50)))
  with pytest.raises(DataError) as caught:
    readers.read(path, "edges")
  assert caught.value.found.count("missing") == 1 + 5 and "50 in all" in caught.value.found


@pytest.mark.parametrize(("labels", "slug", "line"), [
    ("a\nb\nb\n", "duplicate-id", 3), ("a\n\nb\n", "blank-line", 2),
    ("a\nc\n", "missing-parent", 1), ("b\n", "missing-child", 1), ("a,b,c\n", "wrong-columns", 1),
])
def test_bad_label_maps(tmp_path, labels, slug, line):
  edges, path = write(tmp_path, "a,b\n"), write(tmp_path, labels, "labels.txt")
  with pytest.raises(DataError) as caught:
    readers.read(edges, "edges", nodes=path)
  assert caught.value.slug == slug
  assert caught.value.where == f"{edges if 'missing' in slug else path}:{line}"


def test_names_of_another_vocabulary_are_refused(tmp_path):
  edges, names = write(tmp_path, "a,b\n"), write(tmp_path, "x,y\n", "names.txt")
  with pytest.raises(DataError, match="none of the 2 ids"):
    readers.read(edges, "edges", names=names)


def test_wrong_arguments_are_refused(tmp_path):
  path = write(tmp_path, "parent,child\na,b\n")
  for format, arguments in (
      ("yaml", {}), ("is_a", {"header": True}), ("edges", {"order": "child"}),
      ("edges", {"separator": ";"}), ("edges", {"roots": "no"})):
    with pytest.raises(ConfigError):
      readers.read(path, format, **arguments)
  with pytest.raises(DataError, match="header says parent,child"):
    readers.read(path, "edges", order="child,parent")
  with pytest.raises(DataError, match="No such file"):
    readers.read(tmp_path / "none", "edges")
