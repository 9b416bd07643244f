"""The report: Markdown, and one plot."""

import datetime
import html
import os
import platform
import subprocess

from .stage import NAMES
from .stats import median, ratio, spread, text

PROXIES = NAMES[1:]


def of(rounds, variant, key):
    return [measured[variant][key] for measured in rounds]


def machine(rounds, threads):
    def first(*command):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return (done.stdout or done.stderr).strip().splitlines()[0]

    versions = [first("haproxy", "-v"), first("nginx", "-v"), first("redis-server", "--version").split(" sha")[0]]
    model = next((x.split(":")[1].strip() for x in open("/proc/cpuinfo") if x.startswith("model name")), "?")  # noqa: SIM115
    return (
        f"{datetime.date.today()}, {os.cpu_count()} cores ({model}), Linux {platform.release()}, {rounds} alternating "
        f"rounds, gate with {threads} thread(s), peers with 1. {'; '.join(versions)}."
    )


def throughput(rows, results):
    lines = [
        "| row | jobs or requests per s, direct | HAProxy / direct | nginx / direct | gate / direct | gate / HAProxy |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        rounds = results[row.name]
        direct = of(rounds, "direct", "rate")
        cells = [text(ratio(of(rounds, proxy, "rate"), direct)) for proxy in PROXIES]
        last = text(ratio(of(rounds, "draingate", "rate"), of(rounds, "haproxy", "rate")))
        lines.append(f"| {row.title} | {median(direct):,.0f} | {' | '.join(cells)} | {last} |")
    return lines


def processor(rows, results):
    lines = [
        "| row | HAProxy | nginx | gate | gate / HAProxy | gate / nginx |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        rounds = results[row.name]
        cells = [spread(of(rounds, proxy, "cpu"), 2) for proxy in PROXIES]
        cells += [text(ratio(of(rounds, "draingate", "cpu"), of(rounds, peer, "cpu"))) for peer in PROXIES[:2]]
        lines.append(f"| {row.title} | {' | '.join(cells)} |")
    return lines


def latency(rows, results, rates):
    lines = [
        "| row | per s | | direct, µs | HAProxy adds | nginx adds | gate adds |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        rounds = results[row.name]
        for key in ("p50", "p99", "p999"):
            direct = of(rounds, "direct", key)
            added = [[a - b for a, b in zip(of(rounds, p, key), direct, strict=True)] for p in PROXIES]
            title, rate = (row.title, f"{rates[row.name]:,}") if key == "p50" else ("", "")
            cells = " | ".join(spread(some, 0) for some in added)
            lines.append(f"| {title} | {rate} | {key.replace('p999', 'p99.9')} | {median(direct):.0f} | {cells} |")
    return lines


def idle(found):
    lines = [
        f"{found['connections']:,} idle connections, kB of resident memory per connection:",
        "",
        "| | after PING | in BRPOP 30 | left when all have closed, kB in all |",
        "|---|---|---|---|",
    ]
    for proxy, row in found["memory"].items():
        lines.append(f"| {proxy} | {row['ping']:.2f} | {row['brpop']:.2f} | {row['left']:,} |")
    seal = found["seal"]
    others = f"p99 of others' requests {seal['p99_before']:.0f} µs before, {seal['p99']:.0f} µs during that"
    text = f"{seal['workers']:,} workers with a connection each in BRPOP q 0: the drain is answered in "
    text += f"{seal['answered']:.2f} s, all are sealed in {seal['seconds']:.2f} s; {others}; "
    text += (
        f"{seal['kb']:.2f} kB per worker with its connection. While they wait the gate uses {seal['cpu_gate']:.0%} of "
    )
    text += f"a core, Redis {seal['cpu_redis']:.0%}."
    return [*lines, "", text]


def threads(found):
    lines = ["| row | throughput, two threads / one | processor time per message, two / one |", "|---|---|---|"]
    return lines + [f"| {name} | {text(row['rate'])} | {text(row['cpu'])} |" for name, row in found.items()]


def markdown(rows, results, rates, idle_found, scaled, about):
    work = [row for row in rows if not row.latency and row.name in results]
    late = [row for row in rows if row.latency and row.name in results]
    lines = [about, ""]
    if work:
        lines += ["### Processor seconds per million", "", *processor(work, results), ""]
        lines += ["### Throughput", "", *throughput(work, results), ""]
    if late:
        lines += ["### Latency at half of HAProxy's capacity", "", *latency(late, results, rates), ""]
        lines += ["Processor seconds per million at that rate:", "", *processor(late, results), ""]
    if idle_found:
        lines += ["### Idle connections", "", *idle(idle_found), ""]
    if scaled:
        lines += ["### Two threads", "", *threads(scaled), ""]
    return "\n".join(lines)


def plot(rows, results):
    """Bars: processor time per message, the gate's and nginx' over HAProxy's, with the interval of the ratio."""
    work = [row for row in rows if not row.latency and row.name in results]
    left, width, step, unit = 310, 880, 44, 250
    height = 70 + step * len(work)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="12" y="24" font-size="15">Processor time per message, HAProxy = 1 (shorter is better)</text>',
    ]
    for number, row in enumerate(work):
        y, rounds = 46 + step * number, results[row.name]
        out.append(f'<text x="{left - 10}" y="{y + 20}" text-anchor="end">{html.escape(row.title)}</text>')
        for at, (proxy, colour) in enumerate((("draingate", "#1f6f8b"), ("nginx", "#b8c4cc"))):
            found = ratio(of(rounds, proxy, "cpu"), of(rounds, "haproxy", "cpu"))
            if not found:
                continue
            middle, low, high = (min(x, 2.0) * unit for x in found)
            top = y + 3 + at * 16
            out.append(f'<rect x="{left}" y="{top}" width="{middle:.0f}" height="14" fill="{colour}"/>')
            line = f'x1="{left + low:.0f}" x2="{left + high:.0f}" y1="{top + 7}" y2="{top + 7}"'
            out.append(f'<line {line} stroke="black"/>')
            out.append(f'<text x="{left + max(middle, high) + 6:.0f}" y="{top + 12}">{proxy} {found[0]:.2f}</text>')
    x = left + unit
    out.append(f'<line x1="{x}" x2="{x}" y1="40" y2="{height - 20}" stroke="#c0392b" stroke-dasharray="4 3"/>')
    return "\n".join([*out, "</svg>", ""])
