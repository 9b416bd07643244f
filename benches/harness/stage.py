"""The brokers and what stands in front of them: HAProxy and nginx as plain TCP proxies with one thread, and the gate."""

import json
import os
import pathlib
import shutil
import sys
import time
import urllib.request

from .children import LOAD, free_port, wait_for

NGINX_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"
RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"
NAMES = ["direct", "haproxy", "nginx", "draingate"]


def check_programs():
    missing = [p for p in ("redis-server", "redis-benchmark", "haproxy", "nginx", "epmd") if not shutil.which(p)]
    missing += [p for p in (NGINX_MODULE, RABBITMQ) if not pathlib.Path(p).exists()]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}; run `tests/setup bench` first")


def redis(children):
    port = free_port()
    flags = ["--bind", "127.0.0.1", "--save", "", "--maxclients", "20000"]
    process = children.start("redis-server", "--port", port, *flags, name=f"redis-{port}")
    wait_for(port, process)
    return port, process


def rabbitmq(children):
    """A private node on one scheduler, which leaves the other processor to the proxy and the loader."""
    home = children.folder / "rabbitmq"
    home.mkdir()
    (home / "enabled_plugins").write_text("[].")
    mapper, port = free_port(), free_port()
    children.start("epmd", "-port", mapper, "-address", "127.0.0.1")
    environment = {
        **os.environ,
        "HOME": str(home),
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"bench{port}@localhost",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
        "RABBITMQ_LOG_BASE": str(home),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        "RABBITMQ_CONFIG_FILE": str(home / "none"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
    }
    process = children.start(RABBITMQ, name="rabbitmq", env=environment)
    wait_for(port, process, 120)
    return port


def canned(children, size):
    process = children.start(LOAD, "canned", "--to", "127.0.0.1:0", "--size", size, stdout=-1, text=True, name="canned")
    return int(process.stdout.readline().rsplit(":", 1)[1])


def haproxy(children, upstreams):
    """One process; a port per broker."""
    ports = {name: free_port() for name in upstreams}
    text = "global\n  nbthread 1\n  maxconn 9950\ndefaults\n  mode tcp\n  timeout connect 5s\n"
    text += "  timeout client 1h\n  timeout server 1h\n"
    for name, upstream in upstreams.items():
        text += f"listen {name}\n  bind 127.0.0.1:{ports[name]}\n  server s 127.0.0.1:{upstream}\n"
    config = children.folder / f"haproxy-{ports[next(iter(ports))]}.cfg"
    config.write_text(text)
    process = children.start("haproxy", "-db", "-f", config)
    for port in ports.values():
        wait_for(port, process)
    return ports, process


def nginx(children, upstreams):
    ports = {name: free_port() for name in upstreams}
    folder = children.folder / f"nginx-{ports[next(iter(ports))]}"
    folder.mkdir()
    text = f"load_module {NGINX_MODULE};\ndaemon off;\nmaster_process off;\nworker_processes 1;\npid {folder}/pid;\n"
    text += f"error_log {folder}/error.log;\nevents {{ worker_connections 19990; }}\nstream {{\n  tcp_nodelay on;\n"
    text += "  proxy_timeout 1h;\n"
    for name, upstream in upstreams.items():
        text += f"  server {{ listen 127.0.0.1:{ports[name]} backlog=4096; proxy_pass 127.0.0.1:{upstream}; }}\n"
    (folder / "nginx.conf").write_text(text + "}\n")
    process = children.start("nginx", "-c", folder / "nginx.conf", "-e", folder / "error.log", "-p", folder)
    for port in ports.values():
        wait_for(port, process)
    return ports, process


def gate(children, program, upstreams, threads=1):
    """Tags in user names tell workers apart. Its admin URL comes, too."""
    state = children.folder / f"state-{free_port()}"
    text = '[admin]\nbind = "127.0.0.1:0"\n'
    for name, upstream in upstreams.items():
        protocol, scheme = ("redis", "redis") if name.startswith("redis") else ("amqp", "amqp")
        text += f'[[listener]]\nname = "{name}"\nprotocol = "{protocol}"\nbind = "127.0.0.1:0"\n'
        text += f'upstream = "{scheme}://127.0.0.1:{upstream}"\nidentity = "user-tag"\n'
    config = state.with_suffix(".toml")
    config.write_text(text)
    environment = {**os.environ, "DRAINGATE_THREADS": str(threads)}
    process = children.start(
        program, "serve", "--config", config, "--state-dir", state, name="draingate", env=environment
    )
    end = time.monotonic() + 10
    while not (state / "admin.json").exists():
        if time.monotonic() > end or process.poll() is not None:
            sys.exit(f"the gate does not start: {(children.folder / 'draingate.log').read_text()}")
        time.sleep(0.05)
    admin = json.loads((state / "admin.json").read_text())
    url = admin.get("url") or "http://" + (admin.get("admin") or admin["address"])
    with urllib.request.urlopen(f"{url}/v1/version", timeout=5) as answer:
        listeners = json.load(answer)["listeners"]
    return {row["name"]: int(row["address"].rsplit(":", 1)[1]) for row in listeners}, process, url


def brokers(children, names):
    """The ports of private ones."""
    start = {
        "redis": lambda: redis(children)[0],
        "rabbitmq": lambda: rabbitmq(children),
        "canned100": lambda: canned(children, 100),
        "canned10k": lambda: canned(children, 10_000),
    }
    return {name: start[name]() for name in names}


class Stage:
    """Everything for the rows: `port(variant, broker)` and `pid(variant)`."""

    def __init__(self, upstreams, proxies):
        """`proxies`: {variant: (its port for each broker, its process, ...)}."""
        self.ports, self.pids = {"direct": upstreams}, {"direct": None}
        for name, (ports, process, *_) in proxies.items():
            self.ports[name], self.pids[name] = ports, process.pid

    @classmethod
    def of_all(cls, children, program, threads, names):
        upstreams = brokers(children, names)
        proxies = {
            "haproxy": haproxy(children, upstreams),
            "nginx": nginx(children, upstreams),
            "draingate": gate(children, program, upstreams, threads),
        }
        return cls(upstreams, proxies)

    @classmethod
    def of_gate(cls, children, program, threads, upstreams):
        return cls(upstreams, {"draingate": gate(children, program, upstreams, threads)})

    def port(self, variant, broker):
        return self.ports[variant][broker]

    def pid(self, variant):
        return self.pids[variant]
