"""An editor for tests: pygls's own client, speaking to ``accelint lsp`` over pipes."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Union

from lsprotocol import types
from pygls import uris
from pygls.lsp.client import LanguageClient
from pygls.protocol import default_converter

CHOICE = Union[types.Command, types.CodeAction]  # noqa: UP007 (the key under which lsprotocol looks)


def converter() -> Any:
    """lsprotocol takes every code action that has a command for a bare command."""
    made = default_converter()

    def chosen(item: Any, _: Any) -> Any:
        kind = types.Command if isinstance(item.get("command"), str) else types.CodeAction
        return made.structure(item, kind)

    made.register_structure_hook(CHOICE, chosen)
    return made


class Editor(LanguageClient):
    """Keeps what the server says."""

    def __init__(self) -> None:
        super().__init__("accelint-tests", "1", converter_factory=converter)
        self.diagnostics: dict[Path, list[types.Diagnostic]] = {}
        self.messages: list[str] = []
        self.progress: list[Any] = []
        self.watched: list[Any] = []

        @self.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def published(params: types.PublishDiagnosticsParams) -> None:
            self.diagnostics[Path(str(uris.to_fs_path(params.uri)))] = list(params.diagnostics)

        @self.feature(types.WINDOW_SHOW_MESSAGE)
        def said(params: types.ShowMessageParams) -> None:
            self.messages.append(params.message)

        @self.feature(types.WINDOW_WORK_DONE_PROGRESS_CREATE)
        def created(params: types.WorkDoneProgressCreateParams) -> None:
            return None

        @self.feature(types.CLIENT_REGISTER_CAPABILITY)
        def registered(params: types.RegistrationParams) -> None:
            self.watched += params.registrations

        @self.feature(types.PROGRESS)
        def progressed(params: types.ProgressParams) -> None:
            self.progress.append(params.value)

    def at(self, path: Path, line: int | None = None) -> list[str]:
        """Messages of a file's diagnostics, of one line or all."""
        return [
            item.message for item in self.diagnostics.get(path, ()) if line in (None, item.range.start.line)
        ]

    async def until(self, true: Callable[[], object], seconds: float = 30) -> None:
        """Wait until something holds."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, (self.diagnostics, self.messages)
            await asyncio.sleep(0.05)

    def opened(self, path: Path, text: str | None = None) -> None:
        """Open a document."""
        item = types.TextDocumentItem(path.as_uri(), "x", 1, path.read_text() if text is None else text)
        self.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def saved(self, path: Path) -> None:
        """Say that a document was saved."""
        about = types.TextDocumentIdentifier(path.as_uri())
        self.text_document_did_save(types.DidSaveTextDocumentParams(about))

    def changed(self, path: Path) -> None:
        """Say that a watched file changed."""
        event = types.FileEvent(path.as_uri(), types.FileChangeType.Changed)
        self.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([event]))

    async def hover(self, path: Path, line: int, column: int) -> str:
        """What is shown at a position; empty for nothing."""
        about = types.TextDocumentIdentifier(path.as_uri())
        found = await self.text_document_hover_async(types.HoverParams(about, types.Position(line, column)))
        return "" if found is None else found.contents.value  # type: ignore[union-attr]

    async def actions(self, path: Path, line: int) -> list[types.CodeAction]:
        """What is offered at a line."""
        place = types.Position(line, 0)
        params = types.CodeActionParams(
            types.TextDocumentIdentifier(path.as_uri()),
            types.Range(place, place),
            types.CodeActionContext([]),
        )
        found = await self.text_document_code_action_async(params)
        return [item for item in found or () if isinstance(item, types.CodeAction)]

    async def run(self, command: types.Command) -> Any:
        """Run the command of an action."""
        return await self.workspace_execute_command_async(
            types.ExecuteCommandParams(command.command, arguments=command.arguments)
        )


@asynccontextmanager
async def editor(folder: Path, *, watches: bool = True, options: Sequence[str] = ()) -> AsyncIterator[Editor]:
    """An editor with a folder open; the server has to end by itself when it is told to."""
    client = Editor()
    await client.start_io(sys.executable, "-m", "accelint", "lsp", *options)
    watching = types.DidChangeWatchedFilesClientCapabilities(dynamic_registration=watches)
    able = types.ClientCapabilities(
        workspace=types.WorkspaceClientCapabilities(did_change_watched_files=watching),
        window=types.WindowClientCapabilities(work_done_progress=True),
    )
    folders = [types.WorkspaceFolder(folder.as_uri(), folder.name)]
    await client.initialize_async(types.InitializeParams(able, workspace_folders=folders))
    client.initialized(types.InitializedParams())
    try:
        yield client
        await asyncio.wait_for(client.shutdown_async(None), 20)
    finally:
        client.exit(None)
        assert client._server is not None
        await asyncio.wait_for(client._server.wait(), 20)
        await client.stop()
