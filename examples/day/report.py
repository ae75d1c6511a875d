#!/usr/bin/env python3
"""Puts what was rehearsed beside what came: report.py DIR, with the files `run.sh` has left there."""
import csv, json, os, sys

HOUR, HOST = 3600.0, 0.36
dir = sys.argv[1]
plan = json.load(open(f"{dir}/plan.json"))
rows = [{k: v for k, v in row.items()} for row in csv.DictReader(open(f"{dir}/day.csv"))]
rehearsed = 420  # the second of the day at which it was
for row in rows:
    for key, value in row.items():
        try:
            row[key] = float(value)
        except ValueError:
            row[key] = None if value == "" else value


def real(a, b, of="shop"):
    """What customers saw between two seconds of the day."""
    part = [r for r in rows if a < r["at"] <= b]
    total = lambda c: sum(r[f"{of}.{c}"] or 0 for r in part)
    offered, failed = total("served") + total("failed"), total("failed")
    minutes = {}
    for r in part:
        m = minutes.setdefault(int((r["at"] - a - 1) // 60), [0, 0])
        m[0] += r[f"{of}.served"] + r[f"{of}.failed"]
        m[1] += r[f"{of}.failed"]
    good = sum(1 for all, bad in minutes.values() if bad <= all / 1000)
    p95 = sorted(r[f"{of}.p95"] for r in part if r[f"{of}.p95"] is not None)
    ready = [r[f"{of}.ready"] for r in part]
    hosts = [r["hosts"] or 0 for r in part]
    cost = sum((r["paid"] or 0) * 5 for r in part) / HOUR * HOST
    return {
        "offered": offered, "failed": failed, "lost": failed / max(offered, 1),
        "minutes": good / max(len(minutes), 1), "p95": p95[len(p95) // 2] if p95 else None,
        "p95 worst": p95[-1] if p95 else None, "least": min(ready, default=0), "most": max(ready, default=0),
        "hosts least": min(hosts, default=0), "hosts most": max(hosts, default=0), "cost": cost,
    }


def twin(name, a, b, of="shop.prod"):
    """The same, as it was rehearsed; its course is in parts, of which the worst is told."""
    path = f"{dir}/{name}"
    if not os.path.exists(path) or not os.path.getsize(path):
        return None
    report = json.load(open(path))
    one = next(d for d in report["deployments"] if d["deployment"] == of)
    course, fleet = one["course"], report["fleet"]
    step = seconds(course["step"])
    cut = lambda values: values[int(max(0, a - rehearsed) / step) : max(1, int((b - rehearsed) / step))]
    load, errors = cut(course["load"]), cut(course["errors"])
    lost = sum(l * e for l, e in zip(load, errors)) / max(sum(load), 1e-9)
    hosts = cut(fleet["hosts"])
    return {
        "offered": sum(load) * step, "lost": lost, "least": min(cut(course["instances"])),
        "most": max(cut(course["instances"])), "hosts least": min(hosts), "hosts most": max(hosts),
        "cost": sum(hosts) * step / HOUR * HOST, "report": report, "one": one,
    }


def seconds(text):
    if isinstance(text, (int, float)):
        return text / 1000
    total, number = 0.0, ""
    units = {"d": 86400, "h": 3600, "m": 60, "s": 1}
    i = 0
    while i < len(text):
        if text[i].isdigit() or text[i] == ".":
            number += text[i]
        elif text.startswith("ms", i):
            total, number, i = total + float(number) / 1000, "", i + 1
        else:
            total, number = total + float(number) * units[text[i]], ""
        i += 1
    return total


parts = [
    ("from the rehearsal to the rise", 420, 700), ("the rise", 700, 760),
    ("the peak until a host dies", 760, 880), ("a host is dead", 880, 1000),
    ("a zone is dead, in the peak", 1000, 1120), ("until the zone is back", 1120, 1240),
    ("until the end", 1240, 1560), ("all from the rehearsal on", 420, 1560),
]
print("| | load | | lost | | instances of shop | | hosts up | | p95, worst 5 s |")
print("|---|---|---|---|---|---|---|---|---|---|")
print("| | rehearsed | real | rehearsed | real | rehearsed | real | rehearsed | real | real |")
for name, a, b in parts:
    r, t = real(a, b), twin("rehearsed-day.json", a, b)
    pair = lambda f: (f(t) if t else "-", f(r))
    span = b - a
    cells = [
        *pair(lambda x: f"{x['offered'] / span:.0f}/s"), *pair(lambda x: f"{x['lost'] * 100:.2f} %"),
        *pair(lambda x: f"{x['least']:.0f} to {x['most']:.0f}"),
        *pair(lambda x: f"{x['hosts least']:.0f} to {x['hosts most']:.0f}"),
        f"{r['p95']:.2f}, {r['p95 worst']:.2f} s",
    ]
    print(f"| {name} | " + " | ".join(cells) + " |")
print()


def broken(a, b):
    """From when to when customers were failed, between two seconds of the day."""
    bad = [r["at"] for r in rows if a < r["at"] <= b and r["shop.failed"] > 0.001 * r["shop.offered"]]
    return f"for {bad[-1] - bad[0] + 5:.0f} s from {bad[0] - 5 - a:.0f} s on" if bad else "never"


day, part, stock = real(0, 1560), real(rehearsed, 1560), real(0, 1560, "stock")
t = twin("rehearsed-day.json", rehearsed, 1560)
print("| from the rehearsal to the end | rehearsed | real |")
print("|---|---|---|")
if t:
    one, report = t["one"], t["report"]
    best = one.get("atBest", one)  # if an instance carries more than it was seen to
    print(f"| minutes with less than one in a thousand lost | {one['served'] * 100:.0f} %, at best "
          f"{best['served'] * 100:.0f} % | {part['minutes'] * 100:.0f} % |")
    print(f"| requests lost | {one['lost'] * 100:.2f} %, at best {best['lost'] * 100:.2f} % | "
          f"{part['lost'] * 100:.2f} % |")
    print(f"| instances of shop | {one['least']} to {one['most']} | "
          f"{part['least']:.0f} to {part['most']:.0f} |")
    print(f"| hosts cost | {report['cost']['amount']:.2f} | {part['cost']:.2f} EUR |")
    for of in one["broken"]:
        at = rehearsed + seconds(of["from"])
        print(f"| lost in the rehearsal: {of['from']} to {of['to']}, second {at:.0f} of the day, up to "
              f"{of['worst'] * 100:.0f} % | {of['why']} | |")
print(f"| after the host died, customers were failed | | {broken(880, 1000)} |")
print(f"| after the zone died | | {broken(1000, 1119)} |")
print(f"| after the freeze, by the bad release | | {broken(1120, 1560)} |")
print()
for check in t["report"]["checks"] if t else []:
    print(f"* rehearsed, {'held' if check['held'] else 'BROKEN'}: {check['what']}: {check['found']}")
t = twin("rehearsed-peak.json", rehearsed, 1240)
if t:
    print(f"* `rehearse peak/sale`, which knows no faults: {t['one']['served'] * 100:.0f} % of minutes "
          f"served by {t['one']['least']} to {t['one']['most']} instances, held: {t['report']['held']}")
print(f"* the whole day: {day['offered']:.0f} requests to shop, {day['failed']:.0f} failed "
      f"({day['lost'] * 100:.3f} %); to stock {stock['offered']:.0f} and {stock['failed']:.0f}; "
      f"hosts cost {day['cost']:.3f} EUR")
last = rows[-1]
print(f"* learned: one instance carries {last['each']} ({last['known']}). Budget: spent {last['spent']}, "
      f"forecast {last['forecast']} at the end.")
