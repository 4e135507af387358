"""Lists as other tools write them: what cannot be meant is refused, what is left out is counted."""

from __future__ import annotations

import pytest

from jft_reps.data.sources import lists
from jft_reps.errors import DataError


@pytest.fixture
def read(tmp_path):
  (tmp_path / "#1.jpg").write_bytes(b"x")

  def reading(text, **arguments):
    (tmp_path / "list.csv").write_text(text)
    return [(one.picture_id, one.labels) for one in lists.read(
        tmp_path / "list.csv", **arguments)]

  return reading


@pytest.mark.parametrize("text", [
    "filename,cat,dog,bird\n0.jpg,1,0,1\n", "1.jpg,1,0,1\n", "path,cat,dog\n1.jpg,-1,1\n",
    "path,cat,dog,owl\n1.jpg,1.0,-1.0,\n"])
def test_a_column_per_class_is_another_form(read, text):
  with pytest.raises(DataError, match="column per class"):
    read(text)


@pytest.mark.parametrize("header", ["path,label,width,height,split", "path,x1,y1,x2,y2,class_name",
                                    "image,label,confidence", "path,label,Image Width"])
def test_columns_that_are_no_labels_are_named(read, header):
  with pytest.raises(DataError, match="a column"):
    read(f"{header}\n1.jpg,cat,64,80,train\n")


def test_digits_that_are_classes_are_read(read):
  assert read("1.jpg,7\n2.jpg,1\n3.jpg,1|0\n") == [
      ("1.jpg", ("7",)), ("2.jpg", ("1",)), ("3.jpg", ("1", "0"))]


def test_a_space_before_a_quote_is_no_part_of_a_label(read):
  assert read('1.jpg, "dog, big"\n') == [("1.jpg", ("dog, big",))]


@pytest.mark.parametrize("label", ["HP:0000001", "CL:0000000", "myID:1234"])
def test_ids_of_ontologies_keep_their_colon(read, label):
  with pytest.raises(DataError, match=f"{label}:1"):
    read(f"1.jpg,{label}\n")
  assert read(f"1.jpg,{label}\n", known={label}) == [("1.jpg", (label,))]
  assert read(f"1.jpg,{label}:1\n") == [("1.jpg", (label,))]
  assert read("1.jpg,EC:1\n", known={"EC:1"}) == [("1.jpg", ("EC:1",))]


def test_a_picture_may_be_called_like_a_comment(read):
  counts: dict[str, int] = {}
  assert read("# mine\n#1.jpg,dog\n#2.jpg,cat\n", counts=counts) == [("#1.jpg", ("dog",))]
  assert counts == {"comment lines": 2}
