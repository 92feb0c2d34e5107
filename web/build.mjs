// Bundles the page: node build.mjs FOLDER
//
// Writes into FOLDER the files as they are served (dist/) and ui_files.c, the table of
// src/app/ui.h with each of them plain and compressed. Names of scripts and styles carry a hash of
// their content; index.html, which names them, does not.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { gzipSync } from "node:zlib";

const SCRIPT_LIMIT = 100 * 1024; // bytes of compressed script in all

const folder = resolve(process.argv[2] ?? "dist");
const dist = join(folder, "dist");
process.chdir(new URL(".", import.meta.url).pathname);
rmSync(dist, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });

const result = await build({
  absWorkingDir: process.cwd(), // esbuild keeps the one that it was loaded in
  entryPoints: ["src/main.tsx"],
  bundle: true,
  minify: true,
  write: false,
  outdir: dist,
  entryNames: "app-[hash]",
  target: ["es2022"],
  format: "esm",
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  logLevel: "warning",
});

const TYPES = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

/** The files as { path, type, bytes, hashed }, in the order of their paths. */
function collect() {
  const files = result.outputFiles.map((f) => asset(basename(f.path), Buffer.from(f.contents)));
  const icon = readFileSync("src/icon.svg");
  files.push(asset(`icon-${hash(icon).slice(0, 8)}.svg`, icon));
  const find = (ending) => files.find((f) => f.path.endsWith(ending)).path;
  const html = readFileSync("src/index.html", "utf8")
    .replace("{script}", find(".js"))
    .replace("{style}", find(".css"))
    .replace("{icon}", find(".svg"));
  files.push({ path: "/admin", type: TYPES.html, bytes: Buffer.from(html), hashed: false });
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function asset(name, bytes) {
  return { path: `/admin/assets/${name}`, type: TYPES[name.split(".").pop()], bytes, hashed: true };
}

function hash(bytes) {
  return createHash("sha256").update(bytes).digest("hex").slice(0, 32);
}

function array(name, bytes) {
  const rows = [];
  for (let i = 0; i < bytes.length; i += 32) rows.push([...bytes.subarray(i, i + 32)].join(","));
  return `static const unsigned char ${name}[] = {\n${rows.join(",\n")}};\n`;
}

const files = collect();
let arrays = "";
let table = "";
let script = 0;
files.forEach((f, i) => {
  const gzip = gzipSync(f.bytes, { level: 9 });
  if (f.path.endsWith(".js")) script += gzip.length;
  arrays += array(`PLAIN_${i}`, f.bytes) + array(`GZIP_${i}`, gzip);
  table +=
    `    {"${f.path}", "${f.type}", "\\"${hash(f.bytes)}\\"", "\\"${hash(f.bytes)}-gz\\"", ${f.hashed}, ` +
    `PLAIN_${i}, sizeof(PLAIN_${i}), GZIP_${i}, sizeof(GZIP_${i})},\n`;
  writeFileSync(join(dist, f.hashed ? basename(f.path) : "index.html"), f.bytes);
});
if (script > SCRIPT_LIMIT) {
  console.error(`the scripts are ${script} bytes compressed, more than ${SCRIPT_LIMIT}`);
  process.exit(1);
}
writeFileSync(
  join(folder, "ui_files.c"),
  `// Written by web/build.mjs.\n#include "app/ui.h"\n\n${arrays}\n` +
    `const struct ui_file UI_FILES[] = {\n${table}};\n` +
    `const size_t UI_FILES_COUNT = ${files.length};\n`,
);
console.log(`${files.length} files, ${script} bytes of compressed script`);
