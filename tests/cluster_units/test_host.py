"""What Docker did to a machine is undone, and nothing else is."""

from __future__ import annotations

import subprocess

from tidegate.cluster import host

SAVED = """*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A INPUT -s 10.0.0.1/32 -j DROP
-A FORWARD -j DOCKER-USER
-A FORWARD -o br-d9e8042c8212 -m comment --comment "two words" -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A FORWARD -i eth0 -j ACCEPT
-A DOCKER -d 172.20.0.2/32 ! -i br-d9e8042c8212 -p tcp -j ACCEPT
COMMIT
*nat
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.20.0.2/32 -d 172.20.0.2/32 -p tcp -m tcp --dport 6443 -j MASQUERADE
-A POSTROUTING -s 192.168.0.0/24 -o eth0 -j MASQUERADE
COMMIT
"""


def test_rules_of_docker_go_before_its_chains_and_others_stay() -> None:
    own_port = "-s 172.20.0.2/32 -d 172.20.0.2/32 -p tcp -m tcp --dport 6443 -j MASQUERADE"
    assert [" ".join(words) for words in host.removals(SAVED)] == [
        "-t filter -D FORWARD -j DOCKER-USER",
        "-t filter -D FORWARD -o br-d9e8042c8212 -m comment --comment two words -j ACCEPT",
        "-t filter -D FORWARD -i docker0 -o docker0 -j ACCEPT",
        "-t nat -D PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
        f"-t nat -D POSTROUTING {own_port}",
        "-t filter -F DOCKER",
        "-t filter -F DOCKER-USER",
        "-t nat -F DOCKER",
        "-t filter -X DOCKER",
        "-t filter -X DOCKER-USER",
        "-t nat -X DOCKER",
    ]


def test_a_quoted_comment_stays_one_word() -> None:
    assert "two words" in host.removals(SAVED)[1]


def test_nothing_of_docker_means_nothing_to_remove() -> None:
    assert host.removals("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -i eth0 -j ACCEPT\nCOMMIT\n") == []


def test_a_process_that_does_not_listen_is_ended_all_the_same() -> None:
    stubborn = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"], stdout=subprocess.PIPE
    )
    assert stubborn.stdout is not None
    stubborn.stdout.readline()
    assert host.runs(stubborn.pid)
    host.end([stubborn.pid], seconds=0.5)
    assert not host.runs(stubborn.pid)
    stubborn.stdout.close()
    stubborn.wait()


def test_an_ended_process_does_not_run() -> None:
    with subprocess.Popen(["true"]) as short:
        while host.runs(short.pid):
            pass
    assert not host.runs(short.pid)
    host.end([short.pid])
