"""Jobs of a cluster: what a manifest's pods would see is what was meant, whatever the texts."""

from __future__ import annotations

import json
import re
import shlex

import hypothesis
import pytest
import yaml
from hypothesis import strategies as st

from jft_reps.apps import command_line, train
from jft_reps.errors import ConfigError, StorageError
from jft_reps.studies import schedule
from jft_reps.studies.cluster import jobs, kubernetes
from jft_reps.studies.cluster.jobs import Site, Topology
from jft_reps.studies.plan import Output, Plan, Run, resolved
from jft_reps.training.cluster import addresses

PAPER = Topology(50, 17, gpu=True)
SITE = Site("registry/jft:1", "study", data_claim="records")
NASTY = "x'y\"; $(TASK_INDEX) $$(A) `id` # {a: [b]} \\ - & *"
texts = st.text(st.characters(codec="utf-8").filter(str.isprintable), max_size=40)


def manifest(name="pretrain", topology=PAPER, command=("python", "x")):
  commands = {role: list(command) for role in topology.roles()}
  return list(yaml.safe_load_all(kubernetes.manifest(name, topology, SITE, commands)))


def expanded(text, environment):
  """`$(NAME)` as Kubernetes documents it: `$$` is a dollar, unknown names stay as they are."""
  def replaced(match):
    return "$" if match[0] == "$$" else environment.get(match[1], match[0])

  return re.sub(r"\$\$|\$\(([^)]*)\)", replaced, text)


def pods(documents):
  """(role, index, address, TF_CONFIG, command) of each pod that the Jobs would start."""
  for job in (d for d in documents if d["kind"] == "Job"):
    spec = job["spec"]["template"]["spec"]
    container, = spec["containers"]
    for index in range(job["spec"]["completions"]):
      environment = {}
      for variable in container["env"]:
        value = variable.get("value", str(index))
        environment[variable["name"]] = expanded(value, environment)
      yield (job["metadata"]["labels"]["app.kubernetes.io/component"], index,
             f"{job['metadata']['name']}-{index}.{spec['subdomain']}", environment["TF_CONFIG"],
             [expanded(part, environment) for part in container["command"]])


def test_every_pod_has_the_address_by_which_the_others_call_it():
  documents = manifest()
  found = {(role, index): (address, addresses.from_tf_config(config, allow_remote=True))
           for role, index, address, config, _ in pods(documents)}
  assert len(found) == 1 + 50 + 17 + 1
  for (role, index), (address, cluster) in found.items():
    assert (cluster.job, cluster.index) == (role, index)
    called = dict(((j, i), a) for j, i, a in cluster.tasks()) | {("chief", 0): cluster.chief}
    if role != "evaluator":
      assert called[role, index] == f"{address}:2222"
      assert all(len(part) <= 63 for part in address.split("."))


def test_one_service_gives_the_names_and_only_the_runs_own_pods_may_call():
  documents = manifest()
  service, policy = (next(d for d in documents if d["kind"] == kind)
                     for kind in ("Service", "NetworkPolicy"))
  run = service["spec"]["selector"]
  assert service["spec"]["clusterIP"] == "None" and policy["spec"]["policyTypes"] == ["Ingress"]
  assert policy["spec"]["podSelector"]["matchLabels"] == run
  assert policy["spec"]["ingress"] == [{"from": [{"podSelector": {"matchLabels": run}}]}]
  for job in documents[2:]:
    template = job["spec"]["template"]
    assert run.items() <= template["metadata"]["labels"].items()
    assert template["spec"]["subdomain"] == service["metadata"]["name"]
    # What backoffLimitPerIndex and podFailurePolicy require.
    assert template["spec"]["restartPolicy"] == "Never"
    assert job["spec"]["completionMode"] == "Indexed"
    assert job["spec"]["completions"] == job["spec"]["parallelism"]


def test_every_task_writes_to_the_study_and_only_reads_the_records():
  for job in manifest()[2:]:
    spec = job["spec"]["template"]["spec"]
    claims = {v["name"]: v["persistentVolumeClaim"]["claimName"] for v in spec["volumes"]}
    assert [(m["mountPath"], claims[m["name"]], m.get("readOnly", False))
            for container in spec["containers"] for m in container["volumeMounts"]] == [
                ("/study", "study", False), ("/data", "records", True)]


@pytest.mark.parametrize("path,seen", [
    ("/study/runs/1", True), ("/data/jft", True), ("/data", True), ("/database", False),
    ("/data/../home", False), ("records", False)])
def test_pods_see_what_is_below_a_mount(path, seen):
  assert SITE.has(path) == seen


def test_gpus_are_for_those_who_compute():
  limits = {d["metadata"]["name"]: d["spec"]["template"]["spec"]["containers"][0]["resources"]
            ["limits"] for d in manifest()[2:]}
  assert {name for name, limit in limits.items() if "nvidia.com/gpu" in limit} == {
      "pretrain-worker", "pretrain-evaluator"}
  assert not any("nvidia.com/gpu" in d["spec"]["template"]["spec"]["containers"][0]["resources"]
                 ["limits"] for d in manifest(topology=Topology(2, 1))[2:])


def test_only_the_chief_ends_a_run_for_good():
  rules = {d["metadata"]["name"]: d["spec"]["podFailurePolicy"]["rules"] for d in manifest()[2:]}
  failing = {name: [r["onExitCodes"]["values"] for r in each if r["action"] == "FailJob"]
             for name, each in rules.items()}
  assert failing.pop("pretrain-chief") == [[1, 2, 3]] and not any(failing.values())


@hypothesis.given(st.lists(texts, min_size=1, max_size=4))
@hypothesis.example([NASTY, "", "yes", "null", "1e3", "- a", "%", "\U0001f600"])
def test_a_command_reaches_the_process_as_it_was_meant(command):
  for _, _, _, _, found in pods(manifest(topology=Topology(1, 1), command=command)):
    assert found == command


@pytest.mark.parametrize("text", ["1e3", "0o14", "1_0", "yes", "~", "2026-12-01"])
def test_a_text_stays_one_to_readers_of_other_versions_of_yaml(text):
  """Kubernetes reads 1e3 and 0o14 as numbers, which PyYAML does not and leaves without quotes."""
  lines = kubernetes.manifest("a", Topology(1, 1), SITE, {"chief": [text]}).splitlines()
  assert f'- "{text}"' in [line.strip() for line in lines]


@pytest.mark.parametrize("text", ["a\nb", "a\0b", "a\x1b[0m", "a\u2028b", "\ud800", "\x7f"])
def test_control_characters_are_refused(text):
  with pytest.raises(ConfigError, match="control characters"):
    manifest(command=[text])


@hypothesis.given(st.lists(st.text(max_size=80), max_size=8, unique=True))
def test_every_name_has_a_label_of_its_own(names):
  labels = [jobs.label(name) for name in names]
  assert len(set(labels)) == len(names)
  for each in labels:
    assert re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", each)
    assert len(jobs.tf_configs(each, Topology(1, 1))) == 4


def test_a_plain_name_stays_what_it_is():
  assert jobs.label("pretrain-10m") == "pretrain-10m"
  assert jobs.label("pretrain_10M").startswith("pretrain-10m-")


def test_hosts_of_ones_own_are_taken_in_order():
  found = jobs.tf_configs("run", Topology(2, 1), ["c", "w0", "w1", "10.0.0.7"], 99)
  assert [(role, i) for role, i, _ in found] == [
      ("chief", 0), ("worker", 0), ("worker", 1), ("ps", 0), ("evaluator", 0)]
  assert found[0][2]["cluster"] == {
      "chief": ["c:99"], "worker": ["w0:99", "w1:99"], "ps": ["10.0.0.7:99"]}


@pytest.mark.parametrize("call,message", [
    (lambda: jobs.tf_configs("Run", PAPER), "name: Run"),
    (lambda: jobs.tf_configs("9run", PAPER), "name: 9run"),
    (lambda: jobs.tf_configs("a" * 52, PAPER), "64 characters"),
    (lambda: jobs.tf_configs("a\n", PAPER), r"name: a\\n"),
    (lambda: jobs.tf_configs("run", PAPER, port=65536), "port: 65536"),
    (lambda: jobs.tf_configs("run", Topology(1, 1), ["a", "a", "b"]), "hosts: 2 different"),
    (lambda: jobs.tf_configs("run", Topology(1, 1), ["a", "b"]), "expected 3"),
    (lambda: jobs.tf_configs("run", Topology(1, 1), ["a", "b", "c d"]), "hosts: c d"),
    (lambda: Topology(0, 1), "workers: 0"), (lambda: Topology(1, True), "servers: True"),
    (lambda: Site("", "study"), "image"), (lambda: Site("a", "b", "c"), "mount: c"),
    (lambda: Site("a", "b", data_claim=""), "data_claim"),
    (lambda: Site("a", "b", "/data/"), "data_mount: /data; expected another"),
])
def test_what_cannot_be_is_refused(call, message):
  with pytest.raises(ConfigError, match=message):
    call()


def plan():
  one = Run("pre train", "experiments/fig3_pretraining.py:random",
            {"task.records": "/data/$(HOME) 'jft'", "train.steps": 7})
  again = Run("the same", one.config, one.overrides)
  two = Run("coco", "experiments/table2_coco.py:300M",
            {"init.checkpoint": Output("pre train", "ckpt-7"), "schedule.values": [1e-3, 1e-4]})
  return Plan([two, one, again])


def write(plan, topology, folder):
  """As a study whose volume is mounted at /study."""
  place = lambda name: f"/study/runs/{plan.ids()[name]}"
  return [jobs.write(resolved(run, place), place(run.name), topology, folder, SITE)
          for run in schedule.distinct(plan).values()]


def test_a_plan_becomes_folders_whose_commands_are_the_programs_own(tmp_path):
  places = write(plan(), Topology(2, 1), tmp_path)
  assert [place.name.partition("-")[0] for place in places] == ["pre", "coco"]
  id = plan().ids()["pre train"]
  for place in places:
    assert sorted(p.name for p in place.iterdir()) == [
        "command.txt", "manifest.yaml", "tf_config.json"]
    lines = (place / "command.txt").read_text().splitlines()
    programs = [shlex.split(line) for line in lines if not line.startswith("#")]
    started = list(pods(yaml.safe_load_all((place / "manifest.yaml").read_text())))
    stored = json.loads((place / "tf_config.json").read_text())
    assert [(t["role"], t["index"], t["TF_CONFIG"]) for t in stored] == [
        (role, index, json.loads(config)) for role, index, _, config, _ in started]
    for role, _, _, _, command in started:
      assert command == programs[role == "evaluator"]
      assert command[:3] == ["python", "-m", "jft_reps.apps." + (
          "evaluate" if role == "evaluator" else "train")]
  assert "needs pre train" in lines[0] and programs[1][-1] == "--follow"
  config = command_line.resolve(["train", *programs[0][3:]], train.FLAGS, "").config
  assert train.FLAGS.allow_remote_cluster
  assert config.init.checkpoint == f"/study/runs/{id}/ckpt-7"
  assert config.schedule["values"] == (1e-3, 1e-4)
  assert config.workdir == f"/study/runs/{plan().ids()['coco']}"


def test_hosts_of_another_scheduler_stand_in_the_list_of_tasks_alone(tmp_path):
  run = Run("one", "experiments/fig3_pretraining.py:random")
  hosts = ["node7", "node8", "node9"]
  place = jobs.write(run, "/study/one", Topology(1, 1), tmp_path, SITE, hosts=hosts)
  stored = json.loads((place / "tf_config.json").read_text())
  assert stored[0]["TF_CONFIG"]["cluster"] == {
      "chief": ["node7:2222"], "worker": ["node8:2222"], "ps": ["node9:2222"]}
  assert "node7" not in (place / "manifest.yaml").read_text()


def test_a_folder_that_cannot_be_written_is_an_error_of_one_line(tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(StorageError, match="a folder to write to"):
    write(plan(), PAPER, tmp_path / "file")


def test_nothing_is_written_of_a_run_that_cannot_be_a_job(tmp_path):
  bad = Plan([Run("a", "experiments/fig3_pretraining.py:random", {"task.records": "a\nb"})])
  with pytest.raises(ConfigError, match="control characters"):
    write(bad, PAPER, tmp_path)
  assert not list(tmp_path.iterdir())
