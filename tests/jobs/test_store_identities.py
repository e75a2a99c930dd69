"""Who a step is to the data lake: by azure-identity's own classes against an Entra with TLS, tokens being checked.

Workload identity, then client secret, then the account's key, by what the environment has; see also
`test_store_contract`, which runs with each of the three.
"""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.jobs import entra
from tests.jobs.weather import FILE, assert_whole, fetch
from tidegate.step import AccessDenied, BadSettings, TryAgain, store_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs.conftest import Place
    from tests.jobs.servers import Server
    from tests.jobs.weather import WeatherApi
    from tidegate.step import Store

STORAGE = "https://storage.azure.com"
EVERYTHING = ("AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_SECRET", "AZURE_STORAGE_KEY")


@pytest.fixture
def environment(
    token_server: Server, tenant: entra.Tenant, federated_token: Path, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    """A step's environment with all three identities; nobody has signed in yet."""
    own = (str(federated_token), tenant.secret, token_server.extra["key"])
    for name, value in {**token_server.environment, **dict(zip(EVERYTHING, own, strict=True))}.items():
        monkeypatch.setenv(name, value)
    tenant.forget()
    return monkeypatch


@pytest.fixture
def lake(environment: pytest.MonkeyPatch, token_server: Server) -> Store:
    """A client of its own: it takes the identity when it is made."""
    assert environment
    return store_for(token_server.root)


def read(token_server: Server) -> None:
    list(store_for(token_server.root).list(f"{token_server.root}/identities/"))


@pytest.mark.parametrize(
    ("gone", "by"),
    [((), {"federated"}), (EVERYTHING[:1], {"secret"}), (EVERYTHING[:2], set())],
    ids=["workload identity", "client secret", "account key"],
)
def test_the_first_identity_that_the_environment_has_is_taken(
    environment: pytest.MonkeyPatch, token_server: Server, tenant: entra.Tenant, gone: tuple[str, ...], by: set[str]
) -> None:
    for name in gone:
        environment.delenv(name)
    read(token_server)
    assert {one["by"] for one in tenant.signed_in()} == by
    assert {(one["client"], one["for"]) for one in tenant.signed_in()} <= {(entra.CLIENT, STORAGE)}


def test_without_any_identity_all_three_are_named(environment: pytest.MonkeyPatch, token_server: Server) -> None:
    for name in EVERYTHING:
        environment.delenv(name)
    with pytest.raises(BadSettings) as caught:
        read(token_server)
    assert [name for name in EVERYTHING if f"${name}" not in str(caught.value)] == []


@pytest.mark.parametrize("identity", ["client_secret", "workload_identity", "abfss"])
def test_the_weather_is_fetched_with_each_identity_and_a_second_run_changes_nothing(
    identity: str, request: pytest.FixtureRequest, weather_api: WeatherApi
) -> None:
    place: Place = request.getfixturevalue(f"{identity}_place")
    fetch(place, weather_api)
    first = place.store.stat(place.root / FILE)
    fetch(place, weather_api)
    assert place.store.stat(place.root / FILE) == first
    assert_whole(place.store.get(place.root / FILE))


def test_a_wrong_client_secret_is_refused_with_entras_words_and_is_not_shown(
    environment: pytest.MonkeyPatch, token_server: Server
) -> None:
    environment.delenv("AZURE_FEDERATED_TOKEN_FILE")
    environment.setenv("AZURE_CLIENT_SECRET", "wrong-secret")
    with pytest.raises(AccessDenied, match=r"(?s)AADSTS7000215.*correct .*\$AZURE_CLIENT_SECRET") as caught:
        read(token_server)
    assert "wrong-secret" not in str(caught.value)


@pytest.mark.parametrize("claims", [{"seconds": -1}, {"aud": "api://another"}, {"sub": ""}], ids=str)
def test_a_federated_token_that_entra_does_not_believe_is_refused(
    environment: pytest.MonkeyPatch, token_server: Server, tmp_path: Path, claims: dict[str, Any]
) -> None:
    (tmp_path / "token").write_text(entra.federated(**claims))
    environment.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "token"))
    with pytest.raises(AccessDenied, match="AADSTS70021"):
        read(token_server)


@pytest.mark.usefixtures("slept", "environment")
def test_an_entra_that_is_broken_is_another_fault_than_a_wrong_secret(
    token_server: Server, tenant: entra.Tenant
) -> None:
    tenant.admin.tell("POST", "status", match="/oauth2/", times=50, status=503)
    with pytest.raises(TryAgain, match="Entra cannot sign in now"):
        read(token_server)
    tenant.forget()
    read(token_server)


def ask(server: Server, token: str) -> int:
    """What the lake answers to somebody with that token."""
    url = f"{server.environment['TIDEGATE_ABFSS_ENDPOINT']}/lake/tidegate/forged?resource=file"
    request = urllib.request.Request(url, method="PUT", headers={"Authorization": f"Bearer {token}"})  # noqa: S310
    context = ssl.create_default_context(cafile=server.environment["SSL_CERT_FILE"])
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_lake_believes_no_token_that_entra_did_not_sign_for_it(
    token_server: Server, lake: Store, tenant: entra.Tenant
) -> None:
    """A forged one, one for another service, one that was changed; and a true one, for comparison."""
    assert lake
    true, other = (tenant.token(audience) for audience in (STORAGE, "https://management.azure.com"))
    header, _, signature = true.split(".")
    changed = f"{header}.{other.split('.')[1]}.{signature}"
    forged = entra.federated(aud=STORAGE, oid="o", tid="t")
    assert [ask(token_server, token) for token in (forged, other, changed, "abc", true)] == [401, 401, 401, 401, 201]


def test_a_link_by_a_delegated_key_reads_one_file_for_its_time_and_nothing_else(client_secret_place: Place) -> None:
    place = client_secret_place
    for name in ("one", "two"):
        place.store.put(place.root / name, name.encode())
    link = place.store.presign(place.root / "one", seconds=60)
    assert "skoid=" in link
    over = place.store.presign(place.root / "one", seconds=-60)
    for wrong in (link.replace("/one?", "/two?"), link.replace("sp=r", "sp=rw"), over):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(wrong, timeout=10)  # noqa: S310
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(urllib.request.Request(link, method="DELETE"), timeout=10)  # noqa: S310
    with urllib.request.urlopen(link, timeout=10) as answer:  # noqa: S310
        assert answer.read() == b"one"


def test_no_token_and_no_secret_is_in_what_the_lake_says_of_its_calls(
    client_secret_place: Place, token_server: Server
) -> None:
    place = client_secret_place
    place.store.put(place.root / "x", b"x")
    urllib.request.urlopen(place.store.presign(place.root / "x", seconds=60), timeout=10).close()  # noqa: S310
    with open(token_server.extra["log"], encoding="utf-8") as file:  # noqa: PTH123
        said = file.read()
    assert f"{place.root / 'x'}".rpartition("/")[0].rpartition("/")[2] in said
    assert [word for word in ("Bearer", "eyJ", "sig=", entra.SECRET) if word in said] == []
