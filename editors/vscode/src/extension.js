// Starts `accelint lsp` and hands it the documents; everything that is shown comes from the server.
"use strict";

const vscode = require("vscode");
const { LanguageClient, TransportKind } = require("vscode-languageclient/node");
const { command, documents } = require("./server");

let client;

async function start() {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  const settings = vscode.workspace.getConfiguration("accelint");
  const run = command({ path: settings.get("path"), timeout: settings.get("timeout") }, folder);
  const server = { ...run, transport: TransportKind.stdio, options: { cwd: folder } };
  client = new LanguageClient("accelint", "accelint", server, { documentSelector: documents });
  try {
    await client.start();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    vscode.window.showErrorMessage(
      `accelint: ${run.command} did not start (${reason}): pip install 'accelint[lsp]', or set accelint.path`,
    );
  }
}

async function stop() {
  const running = client;
  client = undefined;
  if (running?.needsStop()) await running.stop();
}

async function restart() {
  await stop();
  await start();
}

exports.activate = async (context) => {
  context.subscriptions.push(
    vscode.commands.registerCommand("accelint.restart", restart),
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration("accelint.path") || change.affectsConfiguration("accelint.timeout")) return restart();
    }),
  );
  await start();
};

exports.deactivate = stop;
