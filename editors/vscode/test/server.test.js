"use strict";

const assert = require("node:assert");
const { test } = require("node:test");
const { command, documents } = require("../src/server");

test("the server is started with the settings", () => {
  assert.deepEqual(command({ path: "accelint", timeout: 300 }, "/w"), { command: "accelint", args: ["lsp", "--timeout", "300"] });
  assert.equal(command({ path: "${workspaceFolder}/.venv/bin/accelint" }, "/w").command, "/w/.venv/bin/accelint");
  assert.deepEqual(command({ path: "", timeout: -1 }, undefined), { command: "accelint", args: ["lsp"] });
  assert.deepEqual(command({ path: "a", timeout: "x" }, undefined).args, ["lsp"]);
});

test("configurations and code are of interest", () => {
  assert.ok(documents.some((item) => item.pattern === "**/accelint.toml"));
  assert.ok(documents.some((item) => item.language === "python"));
});
