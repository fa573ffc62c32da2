// The server that the extension starts answers the protocol library that the extension is built on.
"use strict";

const assert = require("node:assert");
const { spawn } = require("node:child_process");
const { mkdtempSync, writeFileSync, copyFileSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { pathToFileURL } = require("node:url");
const { test } = require("node:test");
const { command } = require("../src/server");

const path = process.env.ACCELINT;

test("the server publishes what it finds", { skip: path ? false : "ACCELINT names no accelint" }, async () => {
  const rpc = require("vscode-languageserver-protocol/node");
  const folder = mkdtempSync(join(tmpdir(), "accelint-"));
  copyFileSync(process.env.ACCELINT_MODEL, join(folder, "traced.onnx"));
  const config = 'models = "*.onnx"\ntargets = ["onnxruntime/qnn:sm8650"]\n[gates]\nmax-partitions = 1\n';
  writeFileSync(join(folder, "accelint.toml"), config);
  const run = command({ path, timeout: 60 }, folder);
  const server = spawn(run.command, run.args, { cwd: folder, stdio: ["pipe", "pipe", "inherit"] });
  const connection = rpc.createMessageConnection(
    new rpc.StreamMessageReader(server.stdout),
    new rpc.StreamMessageWriter(server.stdin),
  );
  const uri = pathToFileURL(join(folder, "accelint.toml")).toString();
  const published = new Promise((resolve) => {
    connection.onNotification(rpc.PublishDiagnosticsNotification.type, (params) => {
      const gates = params.diagnostics.filter((item) => item.range.start.line === 3);
      if (params.uri === uri && gates.length) resolve(gates);
    });
  });
  connection.listen();
  const root = pathToFileURL(folder).toString();
  const answer = await connection.sendRequest(rpc.InitializeRequest.type, {
    processId: process.pid,
    rootUri: root,
    capabilities: {},
    workspaceFolders: [{ uri: root, name: "folder" }],
  });
  assert.ok(answer.capabilities.hoverProvider && answer.capabilities.codeActionProvider);
  await connection.sendNotification(rpc.InitializedNotification.type, {});
  const [gate] = await published;
  assert.match(gate.message, /4 partitions, at most 1 allowed/);
  await connection.sendRequest(rpc.ShutdownRequest.type);
  const ended = new Promise((resolve) => server.on("exit", resolve));
  await connection.sendNotification(rpc.ExitNotification.type);
  assert.equal(await ended, 0);
  connection.dispose();
});
