"""The image of a kind node, built from package registries alone.

Reads: Debian's archive, the Go modules of `k8s/airgap/programs` (kind's own units and scripts among them) and
`k8s/airgap/node/`. Writes: the image `tidegate/node:<Kubernetes version>-<content>` in the engine.
Again: an image that exists is used as it is; older ones are removed once a newer one stands.
"""

from __future__ import annotations

import gzip
import platform
import re
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tidegate.cluster import archives, cache, commands, debian, engine, host, programs, standins
from tidegate.cluster.errors import ClusterError
from tidegate.cluster.project import AIRGAP
from tidegate.progress import progress

if TYPE_CHECKING:
    from collections.abc import Sequence

REPOSITORY: Final = "tidegate/node"
ROOT_REF: Final = "tidegate/node-root"
SUITE: Final = "bookworm"
"""Its systemd boots with control groups of version 1 and 2; trixie's refuses version 1."""
PACKAGES: Final = (
    *("systemd", "systemd-sysv", "util-linux", "mount", "kmod", "procps", "findutils"),
    *("conntrack", "iptables", "nftables", "iproute2", "ethtool", "containernetworking-plugins"),
    *("runc", "libseccomp2", "pigz", "curl", "jq", "busybox-static"),
)
MODULES: Final = ("kind", "containerd", "etcd", "kubernetes", "local-path-provisioner")
LIBRARIES: Final = (
    *("xtables", "ip4tc", "ip6tc", "nftnl", "nftables", "mnl", "nfnetlink", "netfilter_conntrack"),
    *("gmp", "jansson", "edit", "bsd", "md", "tinfo", "c", "m", "dl"),
)
FILTERS: Final = re.compile(
    r"(usr/)?(lib|sbin|bin|lib64)$"
    r"|usr/sbin/(ip6?tables|xtables|nft|conntrack)[^/]*$|etc/alternatives/ip6?tables[^/]*$"
    rf"|usr/lib/[^/]+-linux-gnu/(xtables(/.*)?|lib({'|'.join(LIBRARIES)})[.-].*|ld-linux[^/]*)$"
    r"|(usr/)?lib64/ld-linux[^/]*$|etc/(protocols|services)$"
)
"""What kube-proxy runs besides itself, out of the node's root, so that both speak the same version to the kernel."""
SHELL_WORDS: Final = ("sh", "mkdir", "rm", "ls", "cat", "chmod")


def ensure() -> str:
    """Return the name of the node image; it is built if need be."""
    ref = f"{REPOSITORY}:{kubernetes_version()}-{_content()}"
    with cache.lock("image-node"):
        if not standins.exists(ref):
            remove_leftovers()
            parts()
            with progress.phase(f"Put together the node image {ref}"):
                _build(ref)
            _remove_older(ref)
    return ref


def kubernetes_version() -> str:
    """Return the version of Kubernetes that we build, such as `v1.34.4`."""
    return programs.version("kubernetes", "k8s.io/kubernetes")


def parts() -> None:
    """Build everything the image is made of: Debian's roots (the network) beside the programs (the processors).

    The root of the stand-ins, which are built next, is made on the way.
    """
    with ThreadPoolExecutor(max_workers=1) as beside:
        roots = [beside.submit(debian.root, *wanted) for wanted in ((SUITE, PACKAGES), (standins.SUITE, ()))]
        for module in MODULES:
            programs.build(module)
        for root in roots:
            root.result()


def kind_images(source: Path) -> dict[str, str]:
    """Return the images of kind's own pods as its source names them: kindnetd, local-path-provisioner and -helper."""
    text = "".join(path.read_text() for path in sorted((source / "pkg" / "build" / "nodeimage").glob("const_*.go")))
    found = {name: ref for ref, name in re.findall(r'Image = "(docker\.io/kindest/([a-z-]+):[^"]+)"', text)}
    wanted = {"kindnetd", "local-path-provisioner", "local-path-helper"}
    if missing := wanted - found.keys():
        names = ", ".join(sorted(missing))
        raise ClusterError(f"kind's source in {source} names no image for {names}; its version does not fit")
    return found


def remove_leftovers() -> None:
    """Remove the containers of a build that was cut short."""
    docker = engine.docker()
    bases = commands.output([docker, "image", "ls", "--quiet", f"{REPOSITORY}-base"]).split()
    for base in dict.fromkeys(bases):
        for container in commands.output([docker, "ps", "--all", "--quiet", "--filter", f"ancestor={base}"]).split():
            _remove_build(docker, container)


def _remove_build(docker: str, container: str) -> None:
    name = commands.output([docker, "inspect", "--format", "{{.Name}}", container]).strip()
    if name.startswith("/kind-build-"):
        commands.succeeds([docker, "rm", "--force", "--volumes", container])


def _root() -> Path:
    return debian.root(SUITE, PACKAGES)


def _content() -> str:
    built = [programs.key(name) for name in ("kind", "containerd", "etcd", "kube-apiserver", "local-path-provisioner")]
    code = [Path(__file__), Path(archives.__file__), AIRGAP / "node"]
    return cache.fingerprint(*code, *built, debian.key(SUITE, PACKAGES), str(host.lacks_capabilities()))[:12]


def _build(ref: str) -> None:
    source = programs.source("kind", "sigs.k8s.io/kind")
    with cache.scratch("node") as folder:
        base = _base(folder / "base", source, tag=ref.rpartition(":")[2])
        release = _release(folder, source)
        kind = programs.build("kind") / "kind"
        command: list[str | Path] = [
            kind,
            "build",
            "node-image",
            "--type",
            "file",
            "--base-image",
            base,
            "--image",
            ref,
            release,
        ]
        commands.run(command, log="image-node", env={**engine.environment(), "TMPDIR": str(folder)})


def _base(folder: Path, source: Path, *, tag: str) -> str:
    """Build the image that Kubernetes is put on."""
    shutil.copytree(AIRGAP / "node", folder)
    shutil.copytree(source / "images" / "base" / "files", folder / "files")
    shutil.copytree(programs.build("containerd"), folder / "containerd")
    root = f"{ROOT_REF}:{SUITE}"
    standins.import_root(_root(), root)
    ref = f"{REPOSITORY}-base:{tag}"
    arguments = {"ROOT": root, "RESTRICT_OOM": str(host.lacks_capabilities()).lower()}
    standins.build(folder, ref, log="image-node-base", arguments=arguments)
    return ref


def _release(folder: Path, source: Path) -> Path:
    """Write what kind takes for a release of Kubernetes; other images that the node needs are among kube-proxy's."""
    kubernetes, version = programs.build("kubernetes"), kubernetes_version()
    server = folder / "release" / "server" / "bin"
    server.mkdir(parents=True)
    layers = folder / "layers"
    layers.mkdir()
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        _archive(server / f"{name}.tar", [_single(name, kubernetes / name, _control_plane_ref(name, version), layers)])
    _archive(server / "kube-proxy.tar", [_proxy(kubernetes, version, layers), *_others(kubernetes, source, layers)])
    target = folder / "release.tgz"
    # stored, not packed: it is read once and thrown away
    with gzip.open(target, "wb", compresslevel=0) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        version_file = cache.write(folder / "version", f"{version}\n")
        tar.add(version_file, "kubernetes/version")
        for path in sorted(server.iterdir()):
            tar.add(path, f"kubernetes/server/bin/{path.name}")
        for name in ("kubeadm", "kubelet", "kubectl"):
            tar.add(kubernetes / name, f"kubernetes/server/bin/{name}")
    return target


def _control_plane_ref(name: str, version: str) -> str:
    machine = platform.machine()
    return f"registry.k8s.io/{name}-{archives.ARCHITECTURES.get(machine, machine)}:{version}"


def _archive(target: Path, images: Sequence[archives.Image]) -> None:
    archives.write(target, images, machine=platform.machine())


def _single(name: str, program: Path, ref: str, layers: Path, *, path: str = "/usr/local/bin/") -> archives.Image:
    return archives.Image(ref, (f"{path}{name}",), archives.layer(layers / f"{name}.tar", {f"{path}{name}": program}))


def _proxy(kubernetes: Path, version: str, layers: Path) -> archives.Image:
    filters = archives.extract(layers / "filters.tar", _root(), wanted=lambda name: bool(FILTERS.match(name)))
    program = {"/usr/local/bin/kube-proxy": kubernetes / "kube-proxy"}
    both = archives.layer(layers / "kube-proxy.tar", program, onto=filters)
    return archives.Image(_control_plane_ref("kube-proxy", version), ("/usr/local/bin/kube-proxy",), both)


def _others(kubernetes: Path, source: Path, layers: Path) -> list[archives.Image]:
    """Return the images of everything but Kubernetes, under the names that kubeadm, kind and containerd ask for."""
    named = {ref.rpartition("/")[2].partition(":")[0]: ref for ref in _kubeadm_images(kubernetes)}
    kinds = kind_images(source)
    containerd = (source / "images" / "base" / "files" / "etc" / "containerd" / "config.toml").read_text()
    pause = re.search(r'sandbox_image = "([^"]+)"', containerd)
    if pause is None:
        raise ClusterError("kind's containerd configuration names no sandbox_image; its version does not fit")
    provisioner = programs.build("local-path-provisioner") / "local-path-provisioner"
    held = _single("pause", kubernetes / "pause", pause[1], layers, path="/")
    return [
        _single("coredns", kubernetes / "coredns", named["coredns"], layers, path="/"),
        _single("etcd", programs.build("etcd") / "etcd", named["etcd"], layers),
        held,
        # never started, since the default CNI is off; kind only wants an image of that name
        archives.Image(kinds["kindnetd"], held.entrypoint, held.layer),
        _single("local-path-provisioner", provisioner, kinds["local-path-provisioner"], layers),
        _shell(kinds["local-path-helper"], layers),
    ]


def _shell(ref: str, layers: Path) -> archives.Image:
    """Return an image with the few words that make and remove a volume's folder."""
    box = archives.extract(layers / "busybox.tar", _root(), wanted=lambda name: name.endswith("bin/busybox"))
    with tarfile.open(box) as tar:
        place = next(member.name for member in tar if member.isreg())
    links = dict.fromkeys([*(f"/usr/local/bin/{word}" for word in SHELL_WORDS), "/bin/sh"], f"/{place}")
    return archives.Image(ref, ("/bin/sh",), archives.layer(layers / "helper.tar", {}, links=links, onto=box))


def _kubeadm_images(kubernetes: Path) -> list[str]:
    command: list[str | Path] = [
        kubernetes / "kubeadm",
        "config",
        "images",
        "list",
        "--kubernetes-version",
        kubernetes_version(),
    ]
    return commands.output(command).split()


def _remove_older(ref: str) -> None:
    docker = engine.docker()
    for repository in (REPOSITORY, f"{REPOSITORY}-base"):
        listed = commands.output([docker, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", repository]).split()
        for old in listed:
            if old.rpartition(":")[2] != ref.rpartition(":")[2]:
                commands.succeeds([docker, "image", "rm", old])
