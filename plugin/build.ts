// Makes dist/, the folder that the binary embeds and the gateway loads: the bundle, its manifest
// and a package.json. With --check it changes nothing and fails when dist/ is not what the
// sources give.
import { build } from "esbuild";
import { mkdir, readFile, writeFile } from "node:fs/promises";

const here = (path: string) => new URL(path, import.meta.url);

const own = JSON.parse(await readFile(here("./package.json"), "utf8")) as { version: string };
const bundle = await build({
  entryPoints: [here("./src/index.ts").pathname],
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node24",
  // The gateway provides its SDK; everything else is in the bundle.
  external: ["openclaw/*"],
  define: { "process.env.SEAWALL_PLUGIN_VERSION": JSON.stringify(own.version) },
  legalComments: "none",
  charset: "utf8",
  write: false,
});

const shipped = new Map<string, string>([
  ["index.js", bundle.outputFiles[0]?.text ?? ""],
  ["openclaw.plugin.json", await readFile(here("./openclaw.plugin.json"), "utf8")],
  [
    "package.json",
    `${JSON.stringify(
      {
        name: "seawall",
        version: own.version,
        private: true,
        license: "Apache-2.0",
        type: "module",
        openclaw: { extensions: ["./index.js"] },
      },
      null,
      2,
    )}\n`,
  ],
]);

if (process.argv.includes("--check")) {
  for (const [name, text] of shipped) {
    const committed = await readFile(here(`./dist/${name}`), "utf8").catch(() => "");
    if (committed !== text) {
      console.error(`plugin/dist/${name} is stale: run \`npm run build\` in plugin/ and commit it`);
      process.exitCode = 1;
    }
  }
} else {
  await mkdir(here("./dist/"), { recursive: true });
  for (const [name, text] of shipped) await writeFile(here(`./dist/${name}`), text);
}
