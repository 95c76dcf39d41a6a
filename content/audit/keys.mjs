// Writes the keys that a release of OpenClaw knows, from its own schema:
//
//   openclaw config schema | node content/audit/keys.mjs > content/audit/keys-VERSION.json
//
// `*` stands for any name, `[]` for an item of an array, `**` for anything below.
import { readFileSync } from "node:fs";

const walk = (node, tree) => {
  if (typeof node !== "object" || node === null) return tree;
  if ("$ref" in node) tree["**"] = {};
  for (const part of ["anyOf", "oneOf", "allOf"]) for (const one of node[part] ?? []) walk(one, tree);
  for (const [key, value] of Object.entries(node.properties ?? {})) walk(value, (tree[key] ??= {}));
  const rest = node.additionalProperties;
  if (typeof rest === "object" && Object.keys(rest).length > 0) walk(rest, (tree["*"] ??= {}));
  else if (rest === true || typeof rest === "object") tree["**"] = {};
  else if (rest === undefined && node.type === "object" && !node.properties) tree["**"] = {};
  if (node.items && !Array.isArray(node.items)) walk(node.items, (tree["[]"] ??= {}));
  return tree;
};
const sorted = (tree) => Object.fromEntries(Object.keys(tree).sort().map((key) => [key, sorted(tree[key])]));
process.stdout.write(`${JSON.stringify(sorted(walk(JSON.parse(readFileSync(0, "utf8")), {})))}\n`);
