"""Loading the pipelines of a project: Python files that the user owns, read by path.

Each folder becomes a package `ducat_pipelines.<folder>` of its own, so that its files can import
one another (`from .silver import SILVER`), whatever project they lie in and whatever is
installed. Nothing here is reachable as `flows.pipelines`.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
import traceback
from pathlib import Path
from types import ModuleType
from typing import Final

from flows.errors import PipelineError
from flows.pipeline import Pipeline
from semantic.project import Project

PACKAGE: Final = "ducat_pipelines"


_LOADING: Final = threading.Lock()


def load_pipelines(project: Project) -> tuple[Pipeline, ...]:
    """Return the pipelines of a project by folder name, freshly read.

    Raises:
        PipelineError: a `pipeline.py` cannot be imported (names its file and line), assigns no
            `Pipeline` to `PIPELINE`, or two tables or pipelines have the same name.
    """
    if not project.pipelines.is_dir():
        return ()
    folders = sorted(path.parent for path in project.pipelines.glob("*/pipeline.py"))
    # The tasks of a flow run in threads, and the loaded modules are the process's.
    with _LOADING:
        _forget()
        sys.modules[PACKAGE] = _package(PACKAGE, project.pipelines)
        pipelines = tuple(_load(folder) for folder in folders)
    _refuse_same_names(pipelines)
    return pipelines


def _load(folder: Path) -> Pipeline:
    file = folder / "pipeline.py"
    if not folder.name.isidentifier():
        raise PipelineError(
            f"{folder} cannot be loaded: {folder.name} is not a Python name",
            suggestion="use letters, digits and _ in the folder's name",
        )
    package = f"{PACKAGE}.{folder.name}"
    sys.modules[package] = _package(package, folder)
    name = f"{package}.pipeline"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise PipelineError(f"{file} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as failed:  # the user's own code may raise anything
        raise PipelineError(
            f"{_place(failed, folder, file)}: {type(failed).__name__}: {failed}",
            suggestion="correct the pipeline; the other pipelines are not loaded either",
        ) from failed
    pipeline = getattr(module, "PIPELINE", None)
    if not isinstance(pipeline, Pipeline):
        raise PipelineError(
            f"{file}: PIPELINE is {'missing' if pipeline is None else type(pipeline).__name__}",
            suggestion="assign a flows.pipeline.Pipeline to PIPELINE",
        )
    return pipeline


def _package(name: str, folder: Path) -> ModuleType:
    """Return an empty package whose modules are looked for in `folder`."""
    spec = importlib.util.spec_from_loader(name, loader=None, is_package=True)
    if spec is None:
        raise PipelineError(f"{folder} cannot be loaded")
    spec.submodule_search_locations = [str(folder)]
    return importlib.util.module_from_spec(spec)


def _forget() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]
    importlib.invalidate_caches()


def _place(failed: BaseException, folder: Path, file: Path) -> str:
    """Return `file:line` of the innermost line of the user's folder that took part."""
    if isinstance(failed, SyntaxError) and failed.filename:
        return f"{failed.filename}:{failed.lineno or 1}"
    frames = [
        frame
        for frame in traceback.extract_tb(failed.__traceback__)
        if Path(frame.filename).is_relative_to(folder)
    ]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else f"{file}:1"


def _refuse_same_names(pipelines: tuple[Pipeline, ...]) -> None:
    owners: dict[tuple[str, str], str] = {}
    for pipeline in pipelines:
        names = [("pipeline", pipeline.name)]
        names += [(f"source of {pipeline.name}", source.name) for source in pipeline.sources]
        names += [("silver table", transform.name) for transform in pipeline.silver]
        names += [("gold table", transform.name) for transform in pipeline.gold]
        for name in names:
            if name in owners:
                raise PipelineError(
                    f"the {name[0]} {name[1]} is defined by {owners[name]} and by {pipeline.name}",
                    suggestion="rename one of the two",
                )
            owners[name] = pipeline.name
