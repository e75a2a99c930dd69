"""What the values say of the weather reaches the steps and the service, and each key only those who need it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import yaml

from jobs import call_service, fetch_weather
from jobs.fetch_weather.cities import DEFAULT
from tests.helm.renders import BY_SERVICE, ELSEWHERE, Documents, Values, find, render, rendered, staged, template
from tidegate.airflow.spec import platform
from tidegate.cluster.chart import CHART
from tidegate.step.settings import read

LAKE_STEPS = ["call_service", "check_weather", "fetch_weather"]
OUTSIDE = {"egress": [{"ports": [{"port": 443, "protocol": "TCP"}]}]}
RUN = {"TIDEGATE_RUN": '{"logical_date": "2026-01-31T13:07:00+00:00"}', "TIDEGATE_OUTPUT": "abfss://tidegate@lake/raw"}


def step(documents: Documents, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(find(documents, "ConfigMap", "tidegate-steps")["data"][name])
    return found


def secret(documents: Documents, name: str) -> dict[str, str]:
    return {key: base64.b64decode(text).decode() for key, text in find(documents, "Secret", name)["data"].items()}


def settings(documents: Documents) -> fetch_weather.Settings:
    found = step(documents, "fetch_weather")
    keys = dict.fromkeys(found["secret_keys"], "hush-hush")
    return read(fetch_weather.Settings, {**RUN, **found["env"], **keys})


def test_the_chart_and_the_step_name_the_same_cities() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())["weather"]
    assert values["cities"] == DEFAULT
    found = settings(render("standalone"))
    assert found.cities == DEFAULT
    assert (found.units, found.calls_per_minute) == (values["units"], values["callsPerMinute"])


def test_other_cities_reach_both_steps() -> None:
    home = {"name": "Home's", "id": 123456789, "lat": -1.5, "lon": 179.999}
    documents = rendered({"weather": {"cities": [home], "units": "metric", "callsPerMinute": 1000000}})
    found = settings(documents)
    assert (found.cities, found.units, found.calls_per_minute) == ([home], "metric", 1_000_000)
    assert json.loads(step(documents, "check_weather")["env"]["WEATHER_CITIES"]) == [home]


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, "http://weather-api.tidegate.svc:8080/data/2.5/weather"),
        (ELSEWHERE, "https://api.openweathermap.org/data/2.5/weather"),
        (
            {"weather": {"url": "https://mirror.example/weather"}, "steps": {"fetch_weather": OUTSIDE}},
            "https://mirror.example/weather",
        ),
    ],
    ids=["stand-in", "OpenWeatherMap", "another"],
)
def test_who_is_asked(values: Values, url: str) -> None:
    assert settings(rendered(values)).api_url == url


def test_a_store_has_a_name_of_ours() -> None:
    shared = platform(find(render("standalone"), "ConfigMap", "tidegate-steps")["data"])
    assert shared.url("lake://raw/weather_data") == "abfss://tidegate@lake/raw/weather_data"
    assert shared.url("models/petrol") == "s3://tidegate/models/petrol"
    assert shared.url("s3://other/x") == "s3://other/x"
    documents = rendered({"store": {"named": {"lake": "abfss://raw@account.dfs.core.windows.net/team/"}}})
    shared = platform(find(documents, "ConfigMap", "tidegate-steps")["data"])
    assert shared.url("lake://x") == "abfss://raw@account.dfs.core.windows.net/team/x"


def test_the_key_of_the_lake_goes_to_the_steps_that_are_listed() -> None:
    documents = render("standalone")
    lake = secret(documents, "datalake")
    for name in (key for key in find(documents, "ConfigMap", "tidegate-steps")["data"] if key != "_platform"):
        held = secret(documents, f"step-{name.replace('_', '-')}").get("AZURE_STORAGE_KEY")
        assert held == (lake["DATALAKE_KEY"] if name in LAKE_STEPS else None)
        assert ("TIDEGATE_ABFSS_ENDPOINT" in step(documents, name)["env"]) == (name in LAKE_STEPS)
    reader = secret(documents, "store-reader")["AZURE_STORAGE_KEY"]
    assert reader == lake["DATALAKE_READER_KEY"] != lake["DATALAKE_KEY"]
    assert lake["AZURITE_ACCOUNTS"] == f"lake:{lake['DATALAKE_KEY']}:{reader}"
    assert all(len(base64.b64decode(key)) >= 24 for key in (reader, lake["DATALAKE_KEY"]))


@pytest.mark.parametrize("name", ["official", "standalone", "standalone-by-service"])
def test_the_key_of_the_api_stands_in_secrets_alone(name: str) -> None:
    documents = render(name)
    key = secret(documents, "weather-api")["WEATHER_API_KEY"]
    assert secret(documents, "step-fetch-weather")["OPENWEATHERMAP_KEY"] == key
    holders = {d["metadata"]["name"] for d in documents if d["kind"] == "Secret" and key in str(_decoded(d))}
    assert holders <= {"weather-api", "step-fetch-weather", "fetch-weather"}
    assert [d["metadata"]["name"] for d in documents if d["kind"] != "Secret" and key in str(d)] == []


def _decoded(document: dict[str, Any]) -> list[str]:
    return [base64.b64decode(text).decode() for text in document["data"].values()]


def test_services_are_listed_in_the_words_of_the_step() -> None:
    found = step(render("standalone-by-service"), "call_service")
    held = [key for key in found["secret_keys"] if key.startswith("SERVICE_")]
    assert held == ["SERVICE_FETCH_WEATHER_TOKEN", "SERVICE_ORACLE_KEY"]
    asked = {"TIDEGATE_PARAMS": '{"service": "oracle"}', **RUN, **found["env"], **dict.fromkeys(held, "hush-hush")}
    services = read(call_service.Settings, asked).services
    oracle = {"url": "https://oracle.example/ask", "auth": "api_key", "key_in": "query", "key_name": "k"}
    assert services["oracle"] == oracle
    assert services["fetch_weather"]["url"] == "http://fetch-weather.tidegate.svc:8080/weather"


def test_nobody_is_listed_by_default_and_no_service_runs() -> None:
    documents = render("standalone")
    assert json.loads(step(documents, "call_service")["env"]["TIDEGATE_SERVICES"]) == {}
    assert [d["kind"] for d in documents if d["metadata"]["name"] == "fetch-weather"] == []


def test_the_service_is_the_steps_image_with_its_settings_and_a_token_that_its_caller_has() -> None:
    documents = render("standalone-by-service")
    (container,) = find(documents, "Deployment", "fetch-weather")["spec"]["template"]["spec"]["containers"]
    told = {one["name"]: one.get("value") for one in container["env"]}
    own = step(documents, "fetch_weather")
    assert (container["image"], container["args"]) == (own["image"], ["serve"])
    assert {name: told[name] for name in told if name.startswith("WEATHER_")} == {
        name: value for name, value in own["env"].items() if name.startswith("WEATHER_")
    }
    token = secret(documents, "fetch-weather")["SERVICE_FETCH_WEATHER_TOKEN"]
    assert secret(documents, "step-call-service")["SERVICE_FETCH_WEATHER_TOKEN"] == token


def _ways(documents: Documents, policy: str, side: str) -> set[tuple[str, int]]:
    """Peer and port of every rule; a peer by its own label, or `any`."""
    found = set()
    for rule in find(documents, "NetworkPolicy", policy)["spec"][side]:
        for peer in rule.get("to") or rule.get("from") or [{}]:
            labels = (peer.get("podSelector") or {}).get("matchLabels", {})
            name = labels.get("app.kubernetes.io/component") or labels.get("tidegate.dev/step") or labels.get("tier")
            kept = (peer.get("podSelector") or {}).get("matchExpressions", [{"values": []}])[0]["values"]
            where = peer.get("namespaceSelector", {}).get("matchLabels", {}).get("kubernetes.io/metadata.name", "any")
            found |= {(name or ",".join(kept) or where, port["port"]) for port in rule["ports"]}
    return found


DNS = ("kube-system", 53)


def test_who_reaches_whom() -> None:
    documents = render("standalone-by-service")
    store, lake = ("versitygw", 7070), ("datalake", 10000)
    assert _ways(documents, "step-fetch-weather", "egress") == {DNS, store, lake, ("weather-api", 8080)}
    assert _ways(documents, "step-check-weather", "egress") == {DNS, store, lake}
    assert _ways(documents, "step-call-service", "egress") == {DNS, store, lake, ("fetch-weather", 8080)}
    assert _ways(documents, "step-hello", "egress") == {DNS, store}
    assert _ways(documents, "datalake", "ingress") == {(",".join(LAKE_STEPS), 10000), ("airflow", 10000)}
    assert _ways(documents, "weather-api", "ingress") == {("fetch_weather", 8080), ("fetch-weather", 8080)}
    assert _ways(documents, "fetch-weather", "ingress") == {("call_service", 8080)}
    assert _ways(documents, "fetch-weather", "egress") == {DNS, ("weather-api", 8080)}


def test_elsewhere_the_service_goes_out_by_https() -> None:
    documents = rendered({**ELSEWHERE, **BY_SERVICE})
    assert _ways(documents, "fetch-weather", "egress") == {DNS, ("any", 443)}
    assert [d["metadata"]["name"] for d in documents if d["metadata"]["name"] in ("datalake", "weather-api")] == []


def test_faults_are_switched_from_within_the_pod_only() -> None:
    documents = render("standalone")
    for kind, name, variable in (
        ("StatefulSet", "datalake", "DATALAKE_ADMIN"),
        ("Deployment", "weather-api", "WEATHER_API_ADMIN"),
    ):
        container = find(documents, kind, name)["spec"]["template"]["spec"]["containers"][0]
        (address,) = [one["value"] for one in container["env"] if one["name"] == variable]
        assert address.startswith("127.0.0.1:")
        ports = {port["port"] for port in find(documents, "Service", name)["spec"]["ports"]}
        assert int(address.rpartition(":")[2]) not in ports


WRONG: dict[str, tuple[Values, str]] = {
    "a city without a place": ({"weather": {"cities": [{"name": "x", "id": 1}]}}, "lat"),
    "no city": ({"weather": {"cities": []}}, "/weather/cities"),
    "units nobody knows": ({"weather": {"units": "celsius"}}, "/weather/units"),
    "a service without a URL": ({"services": {"x": {}}}, "url"),
    "a dash in a service's name": ({"services": {"a-b": {"url": "http://x"}}}, "a-b"),
    "a key that is none": ({"services": {"x": {"url": "http://x", "token": "y"}}}, "token"),
    "a store called s3": ({"store": {"named": {"s3": "s3://other"}}}, "invalid propertyName 's3'"),
    "a step that is none": ({"devcloud": {"datalake": {"steps": ["x"]}}}, "there is no steps.x"),
    "no way to the API": (
        {"weather": {"url": "https://mirror.example/weather"}},
        "set steps.fetch_weather.egress",
    ),
    "a service twice": (
        {"weather": {"service": {"enabled": True}}, "services": {"fetch_weather": {"url": "http://x"}}},
        "take one away",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_value_is_refused_by_name(what: str) -> None:
    values, named = WRONG[what]
    done = template(staged("standalone"), values)
    assert done.returncode != 0
    assert named in done.stderr


def test_another_minute_is_other_work_and_a_call_is_never_spared() -> None:
    documents = render("standalone")
    rules = {name: step(documents, name)["ledger"] for name in LAKE_STEPS}
    assert rules["fetch_weather"]["keyed_by_time"] == "minute"
    assert {name: rule["reuse"] for name, rule in rules.items()} == {
        "call_service": False,
        "check_weather": False,
        "fetch_weather": True,
    }
