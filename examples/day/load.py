#!/usr/bin/env python3
"""The customers of the day: offers a load that follows a curve, balances it over the instances that
are ready, does what the plan of the day says at its times (faults, a bad release), and writes down
what was offered, served, failed, how slowly, and what there was. It changes nothing by itself.

    load.py PLAN.json OUT.csv        ATOLL_SERVER, ATOLL_TOKEN and CA (a file) say whom it asks
"""
import asyncio, csv, json, os, random, ssl, subprocess, sys, time, urllib.request

PLAN = json.load(open(sys.argv[1]))
BASE = PLAN["start"]  # seconds since 1970
SERVER, TOKEN = os.environ["ATOLL_SERVER"], os.environ["ATOLL_TOKEN"]
TRUST = ssl.create_default_context(cafile=os.environ["CA"])
PATIENCE, CONNECT, EVERY = 3.0, 0.5, 5


def level(at):
    """The load of a second of the day: straight lines between the points of the curve."""
    points = PLAN["curve"]
    for (t0, v0), (t1, v1) in zip(points, points[1:]):
        if t0 <= at < t1:
            return v0 + (v1 - v0) * (at - t0) / (t1 - t0)
    return points[-1][1]


def ask(path):
    request = urllib.request.Request(SERVER + path, headers={"Authorization": "Bearer " + TOKEN})
    with urllib.request.urlopen(request, timeout=5, context=TRUST) as answer:
        return json.load(answer)


class Front:
    """A balancer as one stands before any service: fewest open requests first, a second attempt
    where nothing was begun, and whoever cannot be connected to is left out for a while."""

    def __init__(self):
        self.ready = {}  # deployment: {instance: (address, port)}
        self.open, self.idle, self.out = {}, {}, {}

    def pick(self, deployment, but):
        now = time.monotonic()
        all = [i for i in self.ready.get(deployment, {}) if i not in but]
        sound = [i for i in all if self.out.get(i, 0) < now] or all
        return min(sound, key=lambda i: (self.open.get(i, 0), random.random()), default=None)

    async def call(self, deployment):
        """Serves one request; what came of it, and how often it was tried again."""
        tried = []
        while len(tried) < 3:
            name = self.pick(deployment, tried)
            if name is None:
                return "nobody", len(tried)
            tried.append(name)
            at = self.ready[deployment].get(name)
            self.open[name] = self.open.get(name, 0) + 1
            try:
                return await self.once(name, at), len(tried) - 1
            except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as e:
                self.out[name] = time.monotonic() + 5
                self.idle.pop(name, None)
                if isinstance(e, asyncio.TimeoutError) and e.args != ("connect",):
                    return "timeout", len(tried) - 1
            finally:
                self.open[name] -= 1
        return "broken", len(tried) - 1

    async def once(self, name, at):
        idle = self.idle.setdefault(name, [])
        pair = idle.pop() if idle else None
        if pair is None or pair[0].at_eof():
            try:
                pair = await asyncio.wait_for(asyncio.open_connection(*at), CONNECT)
            except asyncio.TimeoutError:
                raise asyncio.TimeoutError("connect") from None
        reader, writer = pair
        try:
            writer.write(b"GET /page HTTP/1.1\r\nHost: shop\r\n\r\n")
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
            size = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(size)
        except BaseException:
            writer.close()
            raise
        if self.idle.get(name) is idle and len(idle) < 30:
            idle.append(pair)
        else:
            writer.close()
        return "ok" if head[9:12] == b"200" else head[9:12].decode()


class Day:
    def __init__(self, out):
        self.front, self.seen, self.rows = Front(), {}, {}
        self.file = open(out, "w", newline="")
        self.csv = csv.writer(self.file)
        self.hosts, self.pools, self.more = 0, {}, {}

    def row(self, deployment):
        return self.rows.setdefault(deployment, {"offered": 0, "took": [], "said": {}, "again": 0})

    async def request(self, deployment):
        row, began = self.row(deployment), time.monotonic()
        row["offered"] += 1
        said, again = await self.front.call(deployment)
        row = self.row(deployment)
        row["took"].append(time.monotonic() - began)
        row["said"][said] = row["said"].get(said, 0) + 1
        row["again"] += again
        if deployment == "shop.prod" and random.random() < PLAN["calls"]:
            await self.request("stock.prod")

    async def offer(self):
        at, tasks = 0.0, set()
        while at < PLAN["ends"]:
            at += random.expovariate(level(at))
            wait = BASE + at - time.time()
            if wait > 0:
                await asyncio.sleep(wait)
            task = asyncio.create_task(self.request("shop.prod"))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)

    def look(self):
        ready = {}
        for one in ask("/v1/instances")["items"]:
            status, meta = one.get("status", {}), one["metadata"]
            if status.get("phase") == "ready" and not meta.get("deletedAt"):
                place = (status["address"], status["ports"]["http"])
                ready.setdefault(one["spec"]["deployment"], {})[meta["name"] + "@" + str(place)] = place
        return ready

    async def follow(self):
        """Which instances serve, once a second; what else there is, every five."""
        loop, turn = asyncio.get_running_loop(), 0
        while True:
            try:
                self.front.ready = await loop.run_in_executor(None, self.look)
                if turn % EVERY == 0:
                    await loop.run_in_executor(None, self.more_of)
            except Exception as e:
                print(f"{self.now():7.1f} could not ask: {e}", flush=True)
            turn += 1
            await asyncio.sleep(1)

    def more_of(self):
        hosts = ask("/v1/hosts")["items"]
        up = [h for h in hosts if h["status"].get("phase") != "unknown"]
        # What was made and not yet deleted is paid for, whatever it is good for.
        pools = ask("/v1/pools")["items"]
        machines = [m for p in pools for m in p["status"].get("machines", {}).values()]
        paid = [m for m in machines if m["phase"] not in ("creating",)]
        budget = ask("/v1/budgets/trade")["status"].get("spend", {})
        capacity = {c["metadata"]["name"]: c["status"] for c in ask("/v1/capacities")["items"]}
        scalers = {a["metadata"]["name"]: a["status"] for a in ask("/v1/autoscalers")["items"]}
        self.more = {
            "hosts": len(up), "paid": len(paid), "spent": budget.get("spent", "0"),
            "rate": budget.get("rate", "0"), "forecast": budget.get("forecast", "0"),
            "each": (capacity.get("shop.prod") or {}).get("each"),
            "known": (capacity.get("shop.prod") or {}).get("known"),
            "desired": (scalers.get("shop.prod") or {}).get("desired"),
        }

    def now(self):
        return time.time() - BASE

    async def write(self):
        names = ["hosts", "paid", "spent", "rate", "forecast", "each", "known", "desired"]
        of = ["offered", "served", "failed", "again", "p50", "p95", "ready"]
        self.csv.writerow(["at"] + [f"{d}.{c}" for d in ("shop", "stock") for c in of] + names)
        while True:
            await asyncio.sleep(EVERY - self.now() % EVERY)
            line, rows = [round(self.now())], self.rows
            self.rows = {}
            for deployment in ("shop.prod", "stock.prod"):
                row = rows.get(deployment, {"offered": 0, "took": [], "said": {}, "again": 0})
                took, good = sorted(row["took"]), row["said"].get("ok", 0)
                at = lambda q: round(took[min(len(took) - 1, int(len(took) * q))], 3) if took else ""
                bad = {k: v for k, v in row["said"].items() if k != "ok"}
                if bad:
                    print(f"{self.now():7.1f} {deployment} failed: {bad}", flush=True)
                line += [row["offered"], good, sum(bad.values()), row["again"], at(0.5), at(0.95),
                         len(self.front.ready.get(deployment, {}))]
            self.csv.writerow(line + [self.more.get(n, "") for n in names])
            self.file.flush()

    async def happen(self, event):
        await asyncio.sleep(max(0, BASE + event["at"] - time.time()))
        print(f"{self.now():7.1f} {event['what']}: {event['do']}", flush=True)
        shell = await asyncio.create_subprocess_shell(
            event["do"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        text, _ = await shell.communicate()
        said = text.decode().strip().replace("\n", "\n          ")
        print(f"{self.now():7.1f} ended with {shell.returncode}: {said}", flush=True)

    async def run(self):
        events = [asyncio.create_task(self.happen(event)) for event in PLAN["events"]]
        looks = [asyncio.create_task(self.follow()), asyncio.create_task(self.write())]
        await asyncio.sleep(max(0, BASE - time.time()))
        await self.offer()
        await asyncio.gather(*events)
        await asyncio.sleep(EVERY + 1)
        for look in looks:
            look.cancel()


asyncio.run(Day(sys.argv[2]).run())
