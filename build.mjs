// Bundles the browser side of the pages: `npm ci && node build.mjs`. Run by hatch_build.py when the package is built.
import { build } from "esbuild";

await build({
  entryPoints: ["mailwright/web/assets/pages.js", "mailwright/web/assets/charts.js"],
  outdir: "mailwright/web/static/bundle",
  bundle: true,
  minify: true,
  format: "iife",
  target: ["chrome109", "firefox115", "safari16"],
  legalComments: "linked",
  logLevel: "warning",
});
