// Bundles the browser side of the pages: `npm ci && node build.mjs`. Run by hatch_build.py when the package is built.
import { copyFile } from "node:fs/promises";

import { build } from "esbuild";

const outdir = "mailwright/web/static/bundle";
const font = "node_modules/@fontsource-variable/inter";

await build({
  entryPoints: ["mailwright/web/assets/pages.js", "mailwright/web/assets/charts.js", "mailwright/web/assets/forms.js"],
  outdir,
  bundle: true,
  minify: true,
  format: "iife",
  target: ["chrome109", "firefox115", "safari16"],
  legalComments: "linked",
  logLevel: "warning",
});

// What a shop's pages load: for older browsers than ours, and small before all. The parts are loaded where they are used.
const parts = ["analytics", "banner", "shop"];
await build({
  entryPoints: {
    snippet: "mailwright/web/assets/snippet/main.js",
    ...Object.fromEntries(parts.map((name) => [`snippet-${name}`, `mailwright/web/assets/snippet/${name}.js`])),
  },
  outdir,
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2021",
  define: { VERSION: '"1"' },
  logLevel: "warning",
});

await copyFile(`${font}/files/inter-latin-wght-normal.woff2`, `${outdir}/inter.woff2`);
await copyFile(`${font}/LICENSE`, `${outdir}/inter.LICENSE.txt`);
