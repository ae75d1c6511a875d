// Runs the unit tests, which stand beside what they test as *.test.ts: builds each into plain
// JavaScript with the bundler the console is built with, then hands them to node's own runner.
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { build } from "vite";

const out = join("node_modules", ".tests");
rmSync(out, { recursive: true, force: true });

function tests(directory) {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return tests(path);
    return entry.name.endsWith(".test.ts") ? [path] : [];
  });
}

const input = Object.fromEntries(tests("src").map((path) => [basename(path, ".ts"), path]));
await build({
  configFile: false,
  logLevel: "warn",
  publicDir: false,
  build: { ssr: true, outDir: out, minify: false, target: "node20", rollupOptions: { input } },
});
const files = Object.keys(input).map((name) => join(out, `${name}.js`));
const done = spawnSync(process.execPath, ["--test", ...files], { stdio: "inherit" });
process.exit(done.status ?? 1);
