// What the server is started with, apart from VS Code so that it can be tried without.
"use strict";

/** The command and its arguments, from the settings `accelint.path` and `accelint.timeout`. */
function command(settings, folder) {
  const path = (settings.path || "accelint").replaceAll("${workspaceFolder}", folder ?? "");
  const seconds = Number(settings.timeout);
  const limit = seconds > 0 && Number.isFinite(seconds) ? ["--timeout", String(seconds)] : [];
  return { command: path, args: ["lsp", ...limit] };
}

/** Which documents are of interest: configurations, and the code that exports models. */
const documents = [
  { scheme: "file", pattern: "**/accelint.toml" },
  { scheme: "file", pattern: "**/pyproject.toml" },
  { scheme: "file", language: "python" },
];

module.exports = { command, documents };
