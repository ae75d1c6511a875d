// What the browser tests stand on: a browser, a list of tests, and a line to the server that can be
// cut. It knows nothing of the pages.
import { connect, createServer } from "node:net";
import { chromium } from "playwright-core";

/** A name by which the browser reaches this machine as if it were another. */
export const ELSEWHERE = "elsewhere.test";

const FLAGS = [
  `--host-resolver-rules=MAP ${ELSEWHERE} 127.0.0.1`,
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Nothing is waited for longer than this. */
export const PATIENCE = 20_000;

export function browse() {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  return chromium.launch({ executablePath, args: FLAGS });
}

/** A page of a given size, with everything it complains of. */
export async function open(browser, base, { width = 1440, height = 900, dark = false } = {}) {
  const context = await browser.newContext({
    baseURL: base,
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(`${page.url()}: ${error.message}`));
  page.on("console", (message) => {
    const text = `${page.url()}: ${message.text()}`;
    if (message.type() === "error" || message.type() === "warning") complaints.push(text);
  });
  return { page, complaints };
}

/** Runs tests one after the other; each goes on from where the one before has left the server. */
export class Tests {
  passed = 0;
  failed = 0;

  async test(name, run) {
    const began = performance.now();
    try {
      await run();
      this.passed += 1;
      console.log(`ok      ${name} (${Math.round(performance.now() - began)} ms)`);
    } catch (error) {
      this.failed += 1;
      console.log(
        `FAILED  ${name}\n${String(error.message ?? error).replaceAll(/^/gm, "        ")}`,
      );
    }
  }

  end() {
    console.log(`${this.passed} passed, ${this.failed} failed`);
    return this.failed === 0 ? 0 : 1;
  }
}

export function must(truth, otherwise) {
  if (!truth) throw new Error(otherwise);
}

/** Waits until a question asked again and again is answered with yes. */
export async function until(ask, otherwise) {
  const end = performance.now() + PATIENCE;
  for (;;) {
    if (await ask()) return;
    if (performance.now() > end) throw new Error(otherwise);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A line to the server that can be cut and mended. */
export async function line(address) {
  const { hostname, port } = new URL(address);
  const open = new Set();
  let whole = true;
  const server = createServer((near) => {
    if (!whole) return near.destroy();
    const far = connect(Number(port), hostname);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      open.add(from);
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => open.delete(from) && to.destroy());
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    cut() {
      whole = false;
      for (const socket of open) socket.destroy();
    },
    mend() {
      whole = true;
    },
    close() {
      this.cut();
      server.close();
    },
  };
}
