"""The cluster's configuration, how images are to be had, and what a node image is made of."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest
import yaml

from tidegate.cluster import archives, cache, commands, kept_images, kind, node_image
from tidegate.cluster.errors import ClusterError
from tidegate.cluster.project import AIRGAP, ROOT

if TYPE_CHECKING:
    from pathlib import Path

TEXT = (ROOT / "k8s" / "kind.yaml").read_text()


def test_the_api_listens_on_loopback_and_no_port_of_a_node_is_mapped() -> None:
    settings = yaml.safe_load(kind.configuration(TEXT, name="x", mode="stock"))
    assert settings["networking"]["apiServerAddress"] == "127.0.0.1"
    assert not any(node.get("extraPortMappings") for node in settings["nodes"])


def test_only_an_airgapped_cluster_goes_without_kinds_cni() -> None:
    stock = yaml.safe_load(kind.configuration(TEXT, name="x", mode="stock"))
    airgap = yaml.safe_load(kind.configuration(TEXT, name="x", mode="airgap"))
    assert stock["name"] == "x"
    assert "disableDefaultCNI" not in stock["networking"]
    assert airgap["networking"].pop("disableDefaultCNI") is True
    assert airgap == stock


def test_what_is_kept_of_images_is_where_containerd_looks(tmp_path: Path) -> None:
    settings = yaml.safe_load(kind.configuration(TEXT, name="x", mode="airgap", kept=tmp_path))
    mounts = [node.pop("extraMounts") for node in settings["nodes"]]
    assert mounts == [[{"hostPath": str(tmp_path), "containerPath": "/var/lib/containerd"}]]
    assert settings == yaml.safe_load(kind.configuration(TEXT, name="x", mode="airgap"))


def test_nothing_is_kept_by_an_engine_that_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "run", lambda *_, **__: pytest.fail("no container is to be started"))
    assert kept_images.ready("x", "tidegate/node:1", refs=[]) is None
    assert not (cache.root() / "nodes").exists()


def test_patches_are_yaml_with_a_kind_that_kubeadm_knows() -> None:
    patches = [yaml.safe_load(patch) for patch in yaml.safe_load(TEXT)["kubeadmConfigPatches"]]
    assert [patch["kind"] for patch in patches] == ["ClusterConfiguration", "KubeletConfiguration"]


def test_misspelt_mode_names_the_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_IMAGES", "offline")
    with pytest.raises(ClusterError, match=r"\$TIDEGATE_IMAGES is 'offline'; want stock or airgap"):
        kind.mode()
    monkeypatch.setenv("TIDEGATE_IMAGES", "airgap")
    assert kind.mode() == "airgap"


def test_pods_get_addresses_from_the_nodes_range() -> None:
    plugins = yaml.safe_load((AIRGAP / "node" / "cni" / "10-pods.conflist").read_text())["plugins"]
    assert plugins[0]["ipam"]["ranges"] == [[{"subnet": "10.244.0.0/24"}]]


def test_images_of_kinds_own_pods_are_read_from_its_source(tmp_path: Path) -> None:
    folder = tmp_path / "pkg" / "build" / "nodeimage"
    folder.mkdir(parents=True)
    (folder / "const_cni.go").write_text('const kindnetdImage = "docker.io/kindest/kindnetd:v1"\n')
    with pytest.raises(ClusterError, match="names no image for local-path-helper, local-path-provisioner"):
        node_image.kind_images(tmp_path)
    (folder / "const_storage.go").write_text(
        'const storageProvisionerImage = "docker.io/kindest/local-path-provisioner:v2"\n'
        'const storageHelperImage = "docker.io/kindest/local-path-helper:v3"\n'
    )
    assert node_image.kind_images(tmp_path)["local-path-helper"] == "docker.io/kindest/local-path-helper:v3"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("usr/sbin/iptables", True),
        ("usr/sbin/xtables-nft-multi", True),
        ("etc/alternatives/ip6tables-restore", True),
        ("usr/lib/x86_64-linux-gnu/libc.so.6", True),
        ("usr/lib/aarch64-linux-gnu/libxtables.so.12.7.0", True),
        ("usr/lib/x86_64-linux-gnu/xtables/libxt_conntrack.so", True),
        ("usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", True),
        ("lib64", True),
        ("usr/lib/x86_64-linux-gnu/libcrypto.so.3", False),
        ("usr/sbin/useradd", False),
        ("etc/shadow", False),
        ("var/lib/dpkg/status", False),
    ],
)
def test_kube_proxy_gets_the_packet_filter_and_nothing_else(name: str, wanted: bool) -> None:
    assert bool(node_image.FILTERS.match(name)) is wanted


def test_a_cut_short_cluster_is_not_taken_for_a_healthy_one(own_cache: Path) -> None:
    cluster = kind.Cluster("x", "airgap")
    kind._remember(cluster)
    assert kind._recovers(cluster) is False
    before = kind._known("x")["kubeconfig"]
    kind._remember(cluster, complete=True)
    assert kind._known("x") == {"mode": "airgap", "complete": True, "kubeconfig": before}
    assert cache.root() == own_cache


def test_the_helper_of_volumes_has_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "root.tar"
    (tmp_path / "busybox").write_text("x")
    archives.layer(root, {"/usr/bin/busybox": tmp_path / "busybox", "/etc/shadow": tmp_path / "busybox"})
    monkeypatch.setattr(node_image, "_root", lambda: root)
    image = node_image._shell("docker.io/kindest/local-path-helper:v3", tmp_path)
    with tarfile.open(image.layer) as tar:
        links = {member.name: member.linkname for member in tar if member.issym()}
        names = set(tar.getnames())
    assert links["bin/sh"] == links["usr/local/bin/rm"] == "/usr/bin/busybox"
    assert "etc/shadow" not in names
