import { writeFileSync } from "node:fs";
writeFileSync("built.txt", `built with ${process.version.split(".")[0]}\n`);
