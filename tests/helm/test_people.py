"""The people's server and the mail catcher are reached by the steps that need them, and by nobody else."""

from __future__ import annotations

import base64
import json
import ssl
from typing import Any

import pytest

from jobs import send_mail
from tests.helm.renders import ELSEWHERE, Documents, Values, find, render, rendered, staged, template
from tests.helm.test_weather import DNS, _ways, secret, step
from tidegate.step.settings import read

PEOPLE = ["dedup_people", "send_mail"]
LOGIN = ("SMTP_USERNAME", "SMTP_PASSWORD", "SMTP_CA")
OUT: Values = {"egress": [{"ports": [{"port": 5432, "protocol": "TCP"}]}]}
OWN_MAIL: Values = {"host": "smtp.example", "port": 465, "security": "tls", "recipients": ["a@example", "b@example"]}


def settings(documents: Documents) -> send_mail.Settings:
    found = step(documents, "send_mail")
    keys = dict.fromkeys(found["secret_keys"], "hush-hush")
    return read(send_mail.Settings, {**found["env"], **keys})


def named(documents: Documents, name: str) -> set[str]:
    return {d["kind"] for d in documents if d["metadata"]["name"] == name}


@pytest.mark.parametrize("name", ["official", "standalone"])
def test_two_steps_have_the_url_of_the_peoples_server_and_nobody_else(name: str) -> None:
    documents = render(name)
    url = secret(documents, "people-postgresql")["connection"]
    assert url.startswith("postgresql://people:")
    assert url.endswith("@people-postgresql.tidegate.svc:5432/people")
    holders = {d["metadata"]["name"] for d in documents if d["kind"] == "Secret" and url in str(_plain(d))}
    assert holders == {"people-postgresql", "step-dedup-people", "step-send-mail"}
    for other in (key for key in find(documents, "ConfigMap", "tidegate-steps")["data"] if key != "_platform"):
        assert ("PEOPLE_DATABASE_URL" in step(documents, other)["secret_keys"]) == (other in PEOPLE)


def _plain(document: dict[str, Any]) -> list[str]:
    return [base64.b64decode(text).decode() for text in document["data"].values()]


def test_it_is_another_server_than_airflows_and_its_secret_outlives_the_release() -> None:
    documents = render("standalone")
    assert named(documents, "people-postgresql") == {"Service", "StatefulSet", "Secret", "NetworkPolicy"}
    own, airflows = secret(documents, "people-postgresql"), secret(documents, "postgresql")
    assert own["password"] != airflows["password"]
    assert own["password"] not in own["connection"], "the role is not the administrator"
    keep = find(documents, "Secret", "people-postgresql")["metadata"]["annotations"]
    assert keep == {"helm.sh/resource-policy": "keep"}
    claim = find(documents, "StatefulSet", "people-postgresql")["spec"]["volumeClaimTemplates"][0]
    assert claim["spec"]["resources"]["requests"]["storage"] == "5Gi"


def test_a_job_of_its_own_makes_role_and_database() -> None:
    job = find(render("standalone"), "Job", "people-database-1")["spec"]["template"]["spec"]
    (container,) = job["containers"]
    told = {one["name"]: one.get("value") or one["valueFrom"]["secretKeyRef"] for one in container["env"]}
    assert container["command"] == ["python", "/scripts/create_databases.py"]
    assert told["PGHOST"] == "people-postgresql"
    assert told["DATABASE_URL_PEOPLE"] == {"name": "people-postgresql", "key": "connection"}


def test_without_devcloud_the_server_still_has_its_clients() -> None:
    documents = rendered(ELSEWHERE)
    url = secret(documents, "people-postgresql")["connection"]
    for name in ("step-dedup-people", "step-send-mail"):
        assert secret(documents, name) == {"PEOPLE_DATABASE_URL": url}
    assert named(documents, "maildev") == set()


def test_a_server_of_ones_own_takes_its_place() -> None:
    documents = rendered({"people": {"database": {"enabled": False}}, "steps": dict.fromkeys(PEOPLE, OUT)})
    assert named(documents, "people-postgresql") | named(documents, "people-database-1") == set()
    assert "PEOPLE_DATABASE_URL" not in secret(documents, "step-dedup-people")
    assert "PEOPLE_DATABASE_URL" in step(documents, "dedup_people")["secret_keys"], "somebody puts it there"
    assert _ways(documents, "step-dedup-people", "egress") == {DNS, ("versitygw", 7070), ("any", 5432)}


def test_in_development_mail_goes_to_the_catcher_encrypted_and_with_a_login() -> None:
    documents = render("standalone")
    found, login = secret(documents, "step-send-mail"), secret(documents, "maildev")
    assert [found[name] for name in LOGIN] == [login["username"], login["password"], login["tls.crt"]]
    told = settings(documents)
    assert (told.host, told.port, told.security) == ("maildev.tidegate.svc", 1025, "tls")
    assert told.recipients == ["people@tidegate.invalid"]
    container = find(documents, "Deployment", "maildev")["spec"]["template"]["spec"]["containers"][0]
    asked = {one["name"]: one.get("value") or one["valueFrom"]["secretKeyRef"]["key"] for one in container["env"]}
    assert asked["MAILDEV_INCOMING_SECURE"] == "true"
    assert (asked["MAILDEV_INCOMING_USER"], asked["MAILDEV_INCOMING_PASS"]) == ("username", "password")


def test_the_catchers_certificate_is_trusted_under_its_name_by_the_strict(tmp_path: Any) -> None:
    login = secret(render("standalone"), "maildev")
    (tmp_path / "pair.pem").write_text(login["tls.key"] + login["tls.crt"])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "pair.pem")
    client = ssl.create_default_context(cadata=login["tls.crt"])
    client.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN  # Python's defaults from 3.13 on
    assert shaken(client, server, "maildev.tidegate.svc") == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken(client, server, "maildev.elsewhere.svc")


def shaken(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> str | None:
    """The version that both agree on, without a socket."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up, server_hostname=name), server.wrap_bio(up, down, server_side=True)]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends[0].version()


def test_a_mail_server_of_ones_own_takes_its_place() -> None:
    documents = rendered({"mail": OWN_MAIL, "steps": {"send_mail": OUT}})
    assert named(documents, "maildev") == set()
    assert not set(LOGIN) & set(secret(documents, "step-send-mail")), "its login is put there by who has it"
    told = settings(documents)
    assert (told.host, told.port, told.security) == ("smtp.example", 465, "tls")
    assert told.recipients == OWN_MAIL["recipients"]


def test_who_reaches_whom() -> None:
    documents = render("standalone")
    store, base = ("versitygw", 7070), ("people-postgresql", 5432)
    assert _ways(documents, "step-make-people", "egress") == {DNS, store}
    assert _ways(documents, "step-dedup-people", "egress") == {DNS, store, base}
    assert _ways(documents, "step-send-mail", "egress") == {DNS, store, base, ("maildev", 1025)}
    assert _ways(documents, "people-postgresql", "ingress") == {(",".join(PEOPLE), 5432), ("people-database", 5432)}
    assert _ways(documents, "people-database", "egress") == {DNS, base}
    assert _ways(documents, "maildev", "ingress") == {("send_mail", 1025)}
    for closed in ("people-postgresql", "maildev"):
        policy = find(documents, "NetworkPolicy", closed)["spec"]
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        assert "egress" not in policy


def test_what_was_stored_or_sent_is_never_taken_for_done_by_the_ledger() -> None:
    rules = {name: step(render("standalone"), name)["ledger"] for name in ("make_people", *PEOPLE)}
    assert {name: rule["reuse"] for name, rule in rules.items()} == {
        "make_people": True,
        "dedup_people": False,
        "send_mail": False,
    }
    assert rules["make_people"]["keyed_by_time"] == "minute", "the date is its seed"


WRONG: dict[str, tuple[Values, str]] = {
    "no way to another server": (
        {"people": {"database": {"enabled": False}}},
        "set steps.dedup_people.egress",
    ),
    "no way to another mail server": ({"mail": {"host": "smtp.example"}}, "set steps.send_mail.egress"),
    "a sender without a domain": ({"mail": {"sender": "tidegate"}}, "/mail/sender"),
    "two in one recipient": ({"mail": {"recipients": ["a@b, c@d"]}}, "/mail/recipients/0"),
    "nobody to tell": ({"mail": {"recipients": []}}, "/mail/recipients"),
    "an encryption nobody knows": ({"mail": {"security": "ssl"}}, "/mail/security"),
    "a misspelt key": ({"mail": {"hosts": "x"}}, "'hosts' not allowed"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_value_is_refused_by_name(what: str) -> None:
    values, words = WRONG[what]
    done = template(staged("standalone"), values)
    assert done.returncode != 0
    assert words in done.stderr


def test_the_recipients_are_a_list_in_json() -> None:
    env = step(render("standalone"), "send_mail")["env"]
    assert json.loads(env["MAIL_RECIPIENTS"]) == ["people@tidegate.invalid"]
