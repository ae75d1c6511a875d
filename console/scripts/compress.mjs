// Puts a .gz and a .br beside every text file of a built console, so that a server can send them
// as they are. Files that do not get smaller are left alone.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const kinds = new Set([".html", ".js", ".css", ".svg", ".json", ".txt"]);

function files(directory) {
  return readdirSync(directory).flatMap((name) => {
    const path = join(directory, name);
    return statSync(path).isDirectory() ? files(path) : [path];
  });
}

let plain = 0;
let small = 0;
for (const path of files(process.argv[2] ?? "dist").filter((p) => kinds.has(extname(p)))) {
  const bytes = readFileSync(path);
  const brotli = brotliCompressSync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
  const gzip = gzipSync(bytes, { level: 9 });
  if (gzip.length < bytes.length) writeFileSync(`${path}.gz`, gzip);
  if (brotli.length < bytes.length) writeFileSync(`${path}.br`, brotli);
  plain += bytes.length;
  small += Math.min(brotli.length, bytes.length);
}
console.log(`${(plain / 1024).toFixed(0)} kB, ${(small / 1024).toFixed(0)} kB on the wire`);
