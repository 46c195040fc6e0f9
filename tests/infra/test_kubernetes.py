"""The manifests for GKE: of their makers' form, without secrets, with commands that exist.

JobSets and pods are held to the models that Kubeflow makes of their OpenAPI descriptions. No
package brings those of KubeRay: fields outside of its pods are held to its API reference.
"""

import copy
import math
import re
import shlex
from string import Template
from typing import Any

import pytest
import yaml
from kubeflow_trainer_api.models import IoK8sApiCoreV1PodTemplateSpec as PodTemplate
from kubeflow_trainer_api.models import IoK8sApiCoreV1ServiceAccount as ServiceAccount
from kubeflow_trainer_api.models import JobsetV1alpha2JobSet as JobSet

from tests.gcloud import INFRA, REPOSITORY, WHERE, manual_commands, options
from trainer.cli import _parse
from trainer.cli.publish import Publish
from trainer.cli.train import Train

FILES = ("jobset.yaml", "jobset-gpu.yaml", "ray.yaml")
VALUES = {**WHERE, "RUN": "first", "IMAGE": "europe-west1-docker.pkg.dev/shop-1/images/trainer:1"}

# KubeRay 1.6: https://docs.ray.io, KubeRay CRD API reference. Those that are used, by kind, and
# what each must have.
RAY_FIELDS: dict[str, dict[str, type | str]] = {
    "RayJobSpec": {
        "entrypoint": str,
        "backoffLimit": int,
        "shutdownAfterJobFinishes": bool,
        "ttlSecondsAfterFinished": int,
        "rayClusterSpec": "RayClusterSpec",
    },
    "RayClusterSpec": {
        "rayVersion": str,
        "authOptions": "AuthOptions",
        "enableInTreeAutoscaling": bool,
        "autoscalerOptions": "AutoscalerOptions",
        "headGroupSpec": "HeadGroupSpec",
        "workerGroupSpecs": "WorkerGroupSpec",
    },
    "AuthOptions": {"mode": str},
    "AutoscalerOptions": {"idleTimeoutSeconds": int},
    "HeadGroupSpec": {"rayStartParams": dict, "template": "PodTemplate"},
    "WorkerGroupSpec": {
        "groupName": str,
        "replicas": int,
        "minReplicas": int,
        "maxReplicas": int,
        "rayStartParams": dict,
        "template": "PodTemplate",
    },
}
RAY_REQUIRED = {
    "RayClusterSpec": {"headGroupSpec"},
    "HeadGroupSpec": {"rayStartParams", "template"},
    "WorkerGroupSpec": {"groupName", "minReplicas", "maxReplicas", "rayStartParams", "template"},
}


def documents(name: str) -> list[dict[str, Any]]:
    """A manifest's parts, its variables filled in; one that is not known is an error."""
    text = Template((INFRA / name).read_text()).substitute(VALUES)
    return list(yaml.safe_load_all(text))


def assert_is(model: Any, value: dict[str, Any]) -> None:
    """Of the model's types, and without a field that it does not know: such are dropped."""
    assert model.from_dict(value).to_dict() == value


def assert_is_ray(kind: str, value: dict[str, Any]) -> None:
    assert RAY_REQUIRED.get(kind, set()) <= value.keys() <= RAY_FIELDS[kind].keys(), kind
    for name, item in value.items():
        expected = RAY_FIELDS[kind][name]
        if expected == "PodTemplate":
            assert_is(PodTemplate, item)
        elif isinstance(expected, str):
            for part in item if isinstance(item, list) else [item]:
                assert_is_ray(expected, part)
        else:
            assert type(item) is expected, name
            if expected is dict:
                assert all(isinstance(text, str) for text in item.values()), name


def pods(name: str) -> list[dict[str, Any]]:
    """The specifications of all pods that a manifest makes."""
    spec = documents(name)[1]["spec"]
    if name == "ray.yaml":
        cluster = spec["rayClusterSpec"]
        groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
        return [group["template"]["spec"] for group in groups]
    return [job["template"]["spec"]["template"]["spec"] for job in spec["replicatedJobs"]]


@pytest.mark.parametrize("name", FILES)
def test_a_manifest_is_of_its_makers_form(name: str) -> None:
    account, job = documents(name)
    assert_is(ServiceAccount, account)
    if name == "ray.yaml":
        assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
        assert_is_ray("RayJobSpec", job["spec"])
    else:
        assert (job["apiVersion"], job["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
        assert_is(JobSet, job)
    # What Kubernetes takes as a name.
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", job["metadata"]["name"])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("wrong", ["field", "type"])
def test_what_is_of_another_form_is_noticed(name: str, wrong: str) -> None:
    job = copy.deepcopy(documents(name)[1])
    ray = name == "ray.yaml"
    group = job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0] if ray else None
    pod = group["template"]["spec"] if group else pods_of(job)
    if wrong == "field":
        pod["nodeSelektor"] = {}
    else:
        pod["terminationGracePeriodSeconds"] = "soon"
    with pytest.raises((AssertionError, ValueError)):
        assert_is_ray("RayJobSpec", job["spec"]) if ray else assert_is(JobSet, job)


def pods_of(job: dict[str, Any]) -> dict[str, Any]:
    """The pod of a JobSet's one job."""
    pod: dict[str, Any] = job["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    return pod


@pytest.mark.parametrize("name", FILES)
def test_pods_have_no_secret_and_no_right_but_the_trainers(name: str) -> None:
    account = documents(name)[0]
    # As infra/README.md lets it into the bucket.
    (let_in,) = (line for line in manual_commands() if "workloadIdentityPools" in line)
    assert options(let_in)["--member"].endswith(f"/ns/default/sa/{account['metadata']['name']}")
    assert options(let_in)["--role"] == "roles/storage.objectUser"
    assert not re.search("(?i)secret", yaml.safe_dump(documents(name)))
    for pod in pods(name):
        assert pod["serviceAccountName"] == account["metadata"]["name"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert f"USER {pod['securityContext']['runAsUser']}\n" in (INFRA / "Dockerfile").read_text()
        for container in pod["containers"]:
            assert container["image"] == VALUES["IMAGE"]
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def command(name: str) -> list[str]:
    """What is run of lookalike, without its name."""
    if name == "ray.yaml":
        words = shlex.split(documents(name)[1]["spec"]["entrypoint"])
        assert words.pop(0) == "lookalike"
        return words
    (container,) = pods(name)[0]["containers"]
    arguments: list[str] = container["args"]
    return arguments


@pytest.mark.parametrize("name", ["jobset.yaml", "jobset-gpu.yaml"])
def test_a_jobset_trains_on_a_run_that_all_hosts_reach(name: str) -> None:
    parsed = _parse(command(name))
    assert isinstance(parsed, Train)
    assert parsed.distributed == "on"
    # JobSet starts all pods again, not each its own.
    assert parsed.restarts == 0
    assert (parsed.run, parsed.catalog) == (
        "gs://shop-1-looks/runs/first",
        "gs://shop-1-looks/catalog",
    )


def test_the_chips_of_a_slice_are_those_of_its_hosts() -> None:
    spec = documents("jobset.yaml")[1]["spec"]["replicatedJobs"][0]["template"]["spec"]
    (pod,) = pods("jobset.yaml")
    topology = pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"]
    chips = int(pod["containers"][0]["resources"]["limits"]["google.com/tpu"])
    assert math.prod(map(int, topology.split("x"))) == chips * spec["completions"]
    assert (spec["parallelism"], spec["completionMode"]) == (spec["completions"], "Indexed")


def test_hosts_with_gpus_are_told_of_each_other() -> None:
    job = documents("jobset-gpu.yaml")[1]
    (replicated,) = job["spec"]["replicatedJobs"]
    spec = replicated["template"]["spec"]
    (pod,) = pods("jobset-gpu.yaml")
    told = {item["name"]: item for item in pod["containers"][0]["env"]}
    assert int(told["JAX_NUM_PROCESSES"]["value"]) == spec["completions"] == spec["parallelism"]
    # As JobSet names the first pod, and the service that finds it.
    name = job["metadata"]["name"]
    host, _, port = told["JAX_COORDINATOR_ADDRESS"]["value"].partition(":")
    assert host == f"{name}-{replicated['name']}-0-0.{name}"
    assert port.isdecimal()
    assert job["spec"]["network"]["enableDNSHostnames"] is True
    index = told["JAX_PROCESS_ID"]["valueFrom"]["fieldRef"]["fieldPath"]
    assert index == "metadata.labels['batch.kubernetes.io/job-completion-index']"


def test_the_cluster_has_the_locks_ray_and_a_node_to_spare() -> None:
    spec = documents("ray.yaml")[1]["spec"]["rayClusterSpec"]
    (locked,) = re.findall(
        r"^ray==(\S+)", (REPOSITORY / "requirements-ray.lock").read_text(), re.MULTILINE
    )
    assert spec["rayVersion"] == locked
    assert spec["authOptions"] == {"mode": "token"}
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    parsed = _parse(commented_training())
    assert isinstance(parsed, Train)
    assert parsed.distributed == "ray"
    (workers,) = spec["workerGroupSpecs"]
    assert workers["maxReplicas"] == parsed.ray_workers + 1


def commented_training() -> list[str]:
    """The command that the file's head gives for training."""
    text = Template((INFRA / "ray.yaml").read_text()).substitute(VALUES)
    found = re.search(r"^#   (lookalike train(?:.*\n#   )*.*)$", text, re.MULTILINE)
    assert found
    return shlex.split(found[1].replace("\n#  ", ""))[1:]


def test_the_ray_job_publishes_what_was_trained() -> None:
    parsed = _parse(command("ray.yaml"))
    assert isinstance(parsed, Publish)
    assert parsed.runner == "ray"
    assert parsed.run == "gs://shop-1-looks/runs/first"
    (workers,) = documents("ray.yaml")[1]["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    (node,) = workers["template"]["spec"]["containers"]
    processors = workers["maxReplicas"] * int(node["resources"]["requests"]["cpu"])
    assert parsed.ray_workers == processors - 1
