"""The server that editors speak to (Language Server Protocol, over standard input and output)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from accelint import __version__

from ..errors import AccelintError, MissingExtraError
from ..settings.sources import OWN, SHARED, find
from ..words import counted

try:
    from lsprotocol import types
    from pygls import uris
    from pygls.lsp.server import LanguageServer

    from . import actions, shown
    from .outline import Outline, Span
    from .projects import Project
    from .shown import Mark
except ModuleNotFoundError as error:
    raise MissingExtraError((error.name or "pygls").partition(".")[0], "lsp", "accelint lsp") from error

_REST = 0.3
"""Seconds of silence after a change before models are read."""
_LOOK = 2.0
"""Seconds between two looks at the files, for clients that watch none."""
_WATCHED = ("**/accelint.toml", "**/pyproject.toml",
            "**/*.{onnx,tflite,keras,mlmodel,pb,mlpackage,mlmodelc,ort}")  # fmt: skip


class Server(LanguageServer):
    """The server's state: projects by the path of their configuration, and what was published."""

    def __init__(self, seconds: float) -> None:
        super().__init__("accelint", __version__, text_document_sync_kind=types.TextDocumentSyncKind.Full)
        self.seconds = seconds
        self.projects: dict[Path, Project] = {}
        self.marks: dict[Path, list[tuple[Project, Mark]]] = {}
        self.tasks: set[asyncio.Task[Any]] = set()

    # ---- projects and checks -----------------------------------------------------------------

    def project(self, start: Path) -> Project | None:
        """The project of the nearest configuration from a file or folder upwards."""
        own = start if start.name in (OWN, SHARED) and start.is_file() else None
        try:
            path = find(start if start.is_dir() else start.parent)
        except AccelintError:
            path = own  # a pyproject that is no valid TOML
        path = own if own is not None and own.name == OWN else path
        if path is None:
            return None
        if path not in self.projects:
            self.projects[path] = Project(path)
            self.ask(self.projects[path])
        return self.projects[path]

    def ask(self, project: Project) -> None:
        """Check a project soon; what changes while it is checked is checked after that."""
        project.wanted = True
        if project.task is None or project.task.done():
            project.task = self.start(self._check(project))

    def start(self, work: Any) -> asyncio.Task[Any]:
        """Run something beside the conversation."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def _check(self, project: Project) -> None:
        while project.wanted:
            await asyncio.sleep(_REST)
            project.wanted = False
            async with self.working(f"checking the models of {project.path.parent.name}") as told:
                await asyncio.to_thread(project.check, self.seconds)
                told.append(counted(len(project.answer.get("models", ())), "model"))
            self.publish()

    @asynccontextmanager
    async def working(self, title: str) -> AsyncIterator[list[str]]:
        """Progress that the client shows, where it can; what is put in the list is said at the end."""
        told: list[str] = []
        window = self.client_capabilities.window
        if window is None or not window.work_done_progress:
            yield told
            return
        token = str(uuid.uuid4())
        await self.work_done_progress.create_async(token)
        self.work_done_progress.begin(token, types.WorkDoneProgressBegin(f"accelint: {title}"))
        try:
            yield told
        finally:
            self.work_done_progress.end(token, types.WorkDoneProgressEnd(message=" ".join(told) or None))

    async def look(self) -> None:
        """Look at the files again and again, for a client that does not watch them."""
        while True:
            await asyncio.sleep(_LOOK)
            for project in list(self.projects.values()):
                waiting = project.task is None or project.task.done()
                if waiting and project.stamps and project.look() != project.stamps:
                    self.ask(project)

    # ---- diagnostics -------------------------------------------------------------------------

    def publish(self) -> None:
        """Say every file's diagnostics; a file that has none any more is told so."""
        found: dict[Path, list[tuple[Project, Mark]]] = {path: [] for path in self.marks}
        for project in self.projects.values():
            for path, rows in project.marks().items():
                found.setdefault(path, []).extend((project, mark) for mark in rows)
        for path, marks in found.items():
            if marks or self.marks.get(path) or path in self.projects:
                lines = self.lines(path)
                shows = [self._diagnostic(mark, lines) for _, mark in marks[: shown.MOST]]
                self.text_document_publish_diagnostics(
                    types.PublishDiagnosticsParams(str(uris.from_fs_path(str(path))), shows)
                )
        self.marks = found

    def _diagnostic(self, mark: Mark, lines: list[str]) -> types.Diagnostic:
        return types.Diagnostic(
            self.range(mark.span, lines), mark.message, mark.severity, mark.code or None, source=shown.SOURCE
        )

    def lines(self, path: Path) -> list[str]:
        """A file's lines, as the editor shows them."""
        project = self.projects.get(path)
        if project is not None:
            return project.said().split("\n")
        try:
            return path.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return []

    def range(self, span: Span, lines: list[str]) -> types.Range:
        """A span in the units that the client counts in."""
        return types.Range(
            self._position(span.line, span.column, lines),
            self._position(span.end_line, span.end_column, lines),
        )

    def _position(self, line: int, column: int, lines: list[str]) -> types.Position:
        words = lines[line][:column] if line < len(lines) else ""
        return types.Position(line, self.workspace.position_codec.client_num_units(words))

    def column(self, position: types.Position, lines: list[str]) -> int:
        """The column of a client's position in characters."""
        words = lines[position.line] if position.line < len(lines) else ""
        units = self.workspace.position_codec.client_num_units
        return next((at for at in range(len(words)) if units(words[:at]) >= position.character), len(words))

    def at(self, path: Path, first: int, last: int) -> Iterator[tuple[Project, Mark]]:
        """The marks on lines of a file."""
        for project, mark in self.marks.get(path, ()):
            if mark.span.line <= last and mark.span.end_line >= first:
                yield project, mark


def serve(seconds: float) -> None:
    """Speak over standard input and output until the client goes."""
    server = Server(seconds)
    _files(server)
    _documents(server)
    _questions(server)
    server.start_io()


def _path(uri: str) -> Path | None:
    found = uris.to_fs_path(uri) if uri.startswith("file:") else None
    return None if found is None else Path(found)


def _files(server: Server) -> None:
    """Which folders there are, and what changes in them."""

    @server.feature(types.INITIALIZED)
    async def initialized(_: types.InitializedParams) -> None:
        for folder in server.workspace.folders.values():
            if (path := _path(folder.uri)) is not None:
                server.project(path)
        if not server.workspace.folders and server.workspace.root_path:
            server.project(Path(server.workspace.root_path))
        able = server.client_capabilities.workspace
        watching = able and able.did_change_watched_files
        if not (watching and watching.dynamic_registration):
            server.start(server.look())
            return
        watchers = [types.FileSystemWatcher(pattern) for pattern in _WATCHED]
        options = types.DidChangeWatchedFilesRegistrationOptions(watchers)
        what = types.Registration("accelint-files", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
        await server.client_register_capability_async(types.RegistrationParams([what]))

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    async def watched(params: types.DidChangeWatchedFilesParams) -> None:
        paths = [path for change in params.changes if (path := _path(change.uri)) is not None]
        for path in paths:
            if path.name in (OWN, SHARED):
                server.project(path)
        for project in list(server.projects.values()):
            if not project.stamps or any(project.concerns(path) for path in paths):
                server.ask(project)


def _documents(server: Server) -> None:
    """What the client says of the documents that it shows."""

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    async def opened(params: types.DidOpenTextDocumentParams) -> None:
        path = _path(params.text_document.uri)
        if path is not None and server.project(path) is not None and path in server.projects:
            server.projects[path].text = params.text_document.text
            server.publish()

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    async def changed(params: types.DidChangeTextDocumentParams) -> None:
        path = _path(params.text_document.uri)
        if path in server.projects:
            server.projects[path].text = server.workspace.get_text_document(params.text_document.uri).source
            server.publish()

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    async def closed(params: types.DidCloseTextDocumentParams) -> None:
        path = _path(params.text_document.uri)
        if path in server.projects:
            server.projects[path].text = None
            server.publish()

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    async def saved(params: types.DidSaveTextDocumentParams) -> None:
        path = _path(params.text_document.uri)
        project = None if path is None else server.project(path)
        if project is not None and (path == project.path or path in server.marks):
            server.ask(project)


def _questions(server: Server) -> None:
    """What the client asks."""

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    async def hover(params: types.HoverParams) -> types.Hover | None:
        path = _path(params.text_document.uri)
        if path is None:
            return None
        if path in server.projects:
            told = _about_configuration(server, server.projects[path], params.position)
        else:
            told = await asyncio.to_thread(_about_line, server, path, params.position.line)
        return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, told)) if told else None

    @server.feature(
        types.TEXT_DOCUMENT_CODE_ACTION,
        types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix]),
    )
    async def code_actions(params: types.CodeActionParams) -> list[types.CodeAction]:
        path = _path(params.text_document.uri)
        found: dict[str, types.CodeAction] = {}
        for project, mark in server.at(path or Path(), params.range.start.line, params.range.end.line):
            for action in _actions(server, project, mark) if mark.issue else ():
                found.setdefault(action.title, action)
        return list(found.values())

    @server.command(actions.FIX)
    async def fix(asked: dict[str, Any]) -> dict[str, Any]:
        words = _known(server, asked)
        async with server.working(f"fixing {Path(asked['model']).name}") as told:
            try:
                written, message = await asyncio.to_thread(actions.fix, words, server.seconds)
            except AccelintError as error:
                written, message = False, error.message
            told.append("written" if written else "nothing was written")
        kind = types.MessageType.Info if written else types.MessageType.Warning
        server.window_show_message(types.ShowMessageParams(kind, f"accelint: {message}"))
        return {"written": words[-1] if written else None, "message": message}

    @server.command(actions.CHECK)
    async def check() -> None:
        for project in server.projects.values():
            server.ask(project)


def _known(server: Server, asked: dict[str, Any]) -> list[str]:
    """The words of a fix that was offered: no client makes the server run anything else."""
    for rows in server.marks.values():
        for _, mark in rows:
            words = actions.fix_words(mark) if mark.issue else None
            if words is not None and words == asked.get("words"):
                return words
    raise ValueError("no finding offers that fix any more: check again")


def _actions(server: Server, project: Project, mark: Mark) -> Iterator[types.CodeAction]:
    fixing = actions.fixing(mark)
    if fixing is not None:
        yield types.CodeAction(fixing.title, types.CodeActionKind.QuickFix, command=fixing)
    text = project.said()
    lines = text.split("\n")
    end = server._position(len(lines) - 1, len(lines[-1]), lines)
    edit = actions.ignoring(mark, project.path, text, end)
    if edit is not None:
        title = f"accelint: ignore {mark.code} {mark.issue['rule']} on {mark.target} in {project.path.name}"
        yield types.CodeAction(title, types.CodeActionKind.QuickFix, edit=edit)


def _about_configuration(server: Server, project: Project, position: types.Position) -> str:
    """The table of a model or target under the cursor, the explanation of a code, or what a key means."""
    lines = server.lines(project.path)
    outline = Outline.of("\n".join(lines), project.path)
    keys = outline.at(position.line, server.column(position, lines))
    if not keys:
        return ""
    text = outline.texts.get(keys, "")
    if keys[0] == "models" and text and project.answer:
        named = [item for item in project.answer["models"] if shown.names(project.path, text, item["path"])]
        return shown.table({"models": named})
    if keys[0] == "targets" and project.answer:
        return shown.table(project.answer, target=text)
    if keys[0] == "target" and len(keys) == 2 and project.answer:
        return shown.table(project.answer, target=str(keys[1]))
    if keys[-1] in ("code", "rule") and text:
        return shown.explained(text, text, "")
    return shown.about_key(keys)


def _about_line(server: Server, path: Path, line: int) -> str:
    """The explanation of each finding on a line, and how the models do."""
    told: dict[str, str] = {}
    for project, mark in server.at(path, line, line):
        if mark.issue and len(told) < _FEW:
            row = shown.table(project.answer, mark.model, mark.target)
            why = shown.explained(mark.code, mark.issue["rule"], mark.target)
            told.setdefault(f"{mark.code}:{mark.target}", f"{row}\n\n{why}")
    return "\n\n---\n\n".join(told.values())


_FEW = 4
