#!/usr/bin/env python3
"""Hands in two days of load as another system had measured it, so that there is a past to forecast
from: a day of 24 hours whose level around now is the usual load. Remote write, as Prometheus does.

    history.py DEPLOYMENT=LEVEL…     ATOLL_SERVER and ATOLL_TOKEN say to whom, CA (a file) whom to
                                     trust where that is https
"""
import math, os, random, ssl, struct, sys, time, urllib.request

STEP, DAYS = 60, 2


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def snappy(data):
    """Snappy's format, with nothing compressed."""
    out = varint(len(data))
    for i in range(0, len(data), 60000):
        part = data[i : i + 60000]
        out += bytes([61 << 2]) + struct.pack("<H", len(part) - 1) + part
    return out


def series(name, labels, samples):
    pairs = sorted({"__name__": name, **labels}.items())
    body = b"".join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in pairs)
    for at, value in samples:
        body += field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(int(at * 1000)))
    return field(1, body)


now = time.time() // STEP * STEP
trust = ssl.create_default_context(cafile=os.environ.get("CA"))
for name, top in (pair.split("=") for pair in sys.argv[1:]):
    random.seed(name)
    times = [now - DAYS * 86400 + STEP * i for i in range(1, DAYS * 86400 // STEP)]
    # Highest now, and half of it at the other end of the day.
    shape = lambda at: 0.75 + 0.25 * math.cos((at - now - 900) / 86400 * 2 * math.pi)
    load = [(at, float(top) * shape(at) * random.gauss(1, 0.04)) for at in times]
    body = snappy(series("scaling:signal", {"deployment": name, "signal": "load"}, load))
    request = urllib.request.Request(os.environ["ATOLL_SERVER"] + "/api/v1/write", body, {
        "Authorization": "Bearer " + os.environ["ATOLL_TOKEN"], "Content-Encoding": "snappy",
        "Content-Type": "application/x-protobuf", "X-Prometheus-Remote-Write-Version": "0.1.0"})
    with urllib.request.urlopen(request, context=trust) as answer:
        print(f"{name}: {len(load)} values, {answer.status}")
