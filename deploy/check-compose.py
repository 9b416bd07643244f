#!/usr/bin/env python3
"""What the schema cannot know of docker-compose.yml: workers reach the gate, and only the gate, under the broker's old
host name, and the gate reaches the broker."""

import pathlib
import re
import sys
import urllib.parse

import ruamel.yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent


def names(services, name, network):
    """What a service is called on a network: nothing if it is not on it."""
    networks = services[name].get("networks", ["default"])
    if network not in networks:
        return set()
    settings = networks[network] if isinstance(networks, dict) else None
    return {name, *(settings or {}).get("aliases", [])}


def main():
    compose = ruamel.yaml.YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())
    services = compose["services"]
    listen, upstream = re.search(r"0\.0\.0\.0:(\d+)=redis://([\w-]+):", " ".join(services["gate"]["command"])).groups()
    assert any(upstream in names(services, "broker", network) for network in services["gate"]["networks"]), upstream
    workers = [name for name in services if name.startswith("worker")]
    assert workers
    for worker in workers:
        url = urllib.parse.urlparse(services[worker]["environment"]["BROKER_URL"])
        networks = services[worker]["networks"]
        found = {name for name in services for network in networks if url.hostname in names(services, name, network)}
        assert found == {"gate"}, f"{worker} resolves {url.hostname} to {found}"
        assert str(url.port) == listen, f"{worker} connects to port {url.port}, the gate listens on {listen}"
        hosts = {int(match) for match in re.findall(r"worker-(\d+)", " ".join(services[worker]["command"]))}
        assert hosts == {int(worker.split("-")[1])}, f"{worker} has another's name"
    for service in services.values():
        assert set(service.get("networks", [])) <= set(compose["networks"])
        volumes = {volume.split(":")[0] for volume in service.get("volumes", [])}
        assert volumes <= set(compose["volumes"])


if __name__ == "__main__":
    sys.exit(main())
