// Parses flowcharts with Mermaid itself and prints the kind of each.
import { readFileSync } from "node:fs";
import { JSDOM } from "jsdom";

const page = new JSDOM("<!doctype html><body></body>");
Object.assign(globalThis, { window: page.window, document: page.window.document, Element: page.window.Element });
const { default: mermaid } = await import("mermaid");
for (const file of process.argv.slice(2)) {
  const { diagramType } = await mermaid.parse(readFileSync(file, "utf8"));
  console.log(diagramType);
}
