// Bundles the UI into dist/ with content-hashed names. The daemon embeds what is there (see embed.py).
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const FIRST_LOAD_LIMIT_BYTES = 90 * 1024;

rmSync("dist", { recursive: true, force: true });
mkdirSync("dist", { recursive: true });
const result = await build({
  entryPoints: ["src/main.tsx"],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2020",
  jsx: "automatic",
  jsxImportSource: "preact",
  write: false,
  outdir: "dist",
  logLevel: "warning",
});

const { gzipSync } = await import("node:zlib");
let html = readFileSync("src/index.html", "utf8");
let total = gzipSync(html).length;
for (const file of result.outputFiles) {
  const hash = createHash("sha256").update(file.contents).digest("hex").slice(0, 10);
  const extension = file.path.endsWith(".css") ? "css" : "js";
  const name = `assets/app.${hash}.${extension}`;
  mkdirSync("dist/assets", { recursive: true });
  writeFileSync(`dist/${name}`, file.contents);
  html = html.replace(`{{${extension}}}`, `/${name}`);
  total += gzipSync(file.contents).length;
}
writeFileSync("dist/index.html", html);
writeFileSync("dist/favicon.svg", readFileSync("src/favicon.svg"));
console.error(`web: first load ${(total / 1024).toFixed(1)} KiB gzip (limit ${FIRST_LOAD_LIMIT_BYTES / 1024})`);
if (total > FIRST_LOAD_LIMIT_BYTES) process.exit(1);
