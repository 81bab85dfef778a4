"""The healthCheckNodePort of Services whose load balancer must ask nodes if they have endpoints."""

from __future__ import annotations

import json
from typing import Any

from tests.apiserver.test_reading import Api
from tests.apiserver.test_service_addresses import MERGE, SERVICES, service
from trireme.testing import control_plane


def local(name: str, **spec: Any) -> dict[str, Any]:
    return service(name, type="LoadBalancer", externalTrafficPolicy="Local", **spec)


async def test_it_is_given_kept_and_taken_back() -> None:
    async with control_plane.api_server() as server:
        ask = Api(server)

        async def create(desired: dict[str, Any]) -> dict[str, Any]:
            status, made = await ask("POST", SERVICES, desired)
            assert status == 201, made
            return dict(made["spec"])

        async def change(name: str, **spec: Any) -> dict[str, Any]:
            answer = await ask.raw("PATCH", f"{SERVICES}/{name}", {"spec": spec}, media=MERGE)
            assert answer.status == 200, answer.body
            return dict(json.loads(answer.body)["spec"])

        made = await create(local("a"))
        number = made["healthCheckNodePort"]
        assert 30000 <= number <= 32767
        assert number != made["ports"][0]["nodePort"]
        assert (await change("a", sessionAffinity="ClientIP"))["healthCheckNodePort"] == number
        for other in (
            local("b", healthCheckNodePort=number),
            service("b", type="NodePort", ports=[{"port": 80, "nodePort": number}]),
        ):
            status, refused = await ask("POST", SERVICES, other)
            assert status == 422, refused
            assert "provided port is already allocated" in refused["message"]
        status, refused = await ask("POST", SERVICES, local("b", healthCheckNodePort=80))
        assert status == 422
        assert refused["details"]["causes"][0]["field"] == "spec.healthCheckNodePort"
        assert "healthCheckNodePort" not in await change("a", externalTrafficPolicy="Cluster")
        given = await create(local("b", healthCheckNodePort=number))
        assert given["healthCheckNodePort"] == number
        again = (await change("a", externalTrafficPolicy="Local"))["healthCheckNodePort"]
        assert again not in (0, number)
        await ask("DELETE", f"{SERVICES}/b")
        given = await create(local("c", healthCheckNodePort=number))
        assert given["healthCheckNodePort"] == number
        assert "healthCheckNodePort" not in await change("c", type="ClusterIP")


async def test_a_number_is_one_services_for_all_protocols() -> None:
    """As upstream's API server answers to the same requests."""

    def port(protocol: str, number: int, name: str = "") -> dict[str, Any]:
        return {"name": name, "port": 80, "protocol": protocol, "nodePort": number}

    async with control_plane.api_server() as server:
        ask = Api(server)

        async def create(name: str, *ports: dict[str, Any]) -> int:
            made = service(name, type="NodePort", ports=list(ports))
            return (await ask("POST", SERVICES, made))[0]

        assert await create("a", port("TCP", 30077)) == 201
        assert await create("b", port("UDP", 30077)) == 422
        assert await create("c", port("TCP", 30078, "t"), port("UDP", 30078, "u")) == 201
        assert await create("d", port("UDP", 30078)) == 422
        fewer = {"spec": {"ports": [port("UDP", 30078, "u")]}}
        answer = await ask.raw("PATCH", f"{SERVICES}/c", fewer, media=MERGE)
        assert answer.status == 200, answer.body
        assert await create("d", port("TCP", 30078)) == 422, "the other protocol has it still"
        await ask("DELETE", f"{SERVICES}/c")
        assert await create("d", port("TCP", 30078)) == 201
        made = service("e", type="NodePort", ports=[port("TCP", 0, "t"), port("UDP", 0, "u")])
        _, made = await ask("POST", SERVICES, made)
        assert len({one["nodePort"] for one in made["spec"]["ports"]}) == 1
