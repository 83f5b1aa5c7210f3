"""The cache: concurrent and killed builds, damage, folders that cannot be written."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from filelock import FileLock

from symda.build import (
    CacheWarning,
    Options,
    build,
    cache_clear,
    cache_entries,
    cache_folder,
    doctor,
    load,
)
from symda.cli import main
from symda.emit import Source
from symda.errors import BuildError

cache_module = sys.modules["symda.build.cache"]
SOURCE = Source.of("tiny", "# cython: language_level=3\ndef f(double a):\n    return 3.0 * a\n")
PROGRAM = """
import sys, time
from pathlib import Path
from symda.build import Options, build, load
from symda.emit import Source
text, go, cc = sys.argv[1:]
source = Source.of("tiny", text)
print("ready", flush=True)
while not Path(go).exists():
    time.sleep(0.005)
artefact = build(source, Options(cc=cc))
print(load(artefact).f(2.0), artefact.cached)
"""


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    for variable in ("CC", "SYMDA_CC", "SYMDA_NATIVE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("SYMDA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def start(go, cc="cc"):
    """A process that builds and loads `SOURCE` once the file `go` exists."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, SOURCE.text, str(go), cc],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(path):
    deadline = time.monotonic() + 60.0
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.01)


def leftovers(cache):
    return [path.name for path in cache.rglob("*.tmp")]


def test_the_folder_follows_the_environment(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.setenv("SYMDA_CACHE", "relative")
    assert cache_folder().is_absolute()
    monkeypatch.setenv("SYMDA_CACHE", "")
    assert cache_folder().name == "symda"


def test_entries_are_listed_and_cleared_and_nothing_else(cache):
    assert cache_entries() == []
    assert cache_clear() == 0
    artefact = build(SOURCE)
    (entry,) = cache_entries()
    assert entry.name == SOURCE.name
    assert entry.folder == artefact.library.parent
    assert entry.key == entry.folder.name and re.fullmatch("[0-9a-f]{64}", entry.key)
    assert entry.bytes == sum(path.stat().st_size for path in entry.folder.iterdir())
    with pytest.raises(BuildError, match="Cython failed"):
        build(Source.of("bad", "def f(:\n"))
    failed = sum(path.stat().st_size for path in (cache / "failed").rglob("*.*"))
    assert failed > 0
    for foreign in (cache / "notes.txt", entry.folder.parent / "mine", cache / "failed" / "mine"):
        foreign.write_text("x")
    answers = sum(file.stat().st_size for file in cache.glob("answers/*"))
    assert cache_clear() == entry.bytes + failed + answers
    assert cache_entries() == []
    files = {path.name for path in cache.rglob("*") if path.is_file()}
    assert files == {"notes.txt", "mine"}
    assert not build(SOURCE).cached


def test_clearing_leaves_no_empty_folders(cache):
    build(SOURCE)
    assert cache_clear() > 0
    assert not cache.exists()


def test_two_processes_building_at_once_share_one_build(cache, tmp_path):
    go = tmp_path / "go"
    processes = [start(go), start(go)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    go.touch()
    answers = []
    for process in processes:
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        answers.append(output.strip())
    assert sorted(answers) == ["6.0 False", "6.0 True"]
    assert len(cache_entries()) == 1
    assert leftovers(cache) == []


def test_a_killed_build_leaves_nothing_half_made(cache, tmp_path):
    stall, started = tmp_path / "stall", tmp_path / "started"
    compiler = tmp_path / "slow-cc"
    # Writes the library, then hangs before it reports success.
    compiler.write_text(
        f'#!/bin/sh\n{shutil.which("cc")} "$@" || exit\n'
        f'case "$*" in *" -o "*) [ -e {stall} ] && touch {started} && exec sleep 60;; '
        "esac\nexit 0\n"
    )
    compiler.chmod(0o755)
    stall.touch()
    (go := tmp_path / "go").touch()
    process = start(go, str(compiler))
    try:
        wait_for(started)
        os.kill(process.pid, signal.SIGKILL)  # the compiler itself lives on, as after a real kill
        process.wait(timeout=10)
        assert cache_entries() == []
        assert len(leftovers(cache)) == 1
        stall.unlink()
        artefact = build(SOURCE, Options(cc=str(compiler)))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert not artefact.cached
    assert load(artefact).f(2.0) == 6.0
    assert len(cache_entries()) == 1
    assert cache_clear() > 0
    assert leftovers(cache) == []


def damage_library(folder, library):
    content = library.read_bytes()
    library.unlink()
    library.write_bytes(content[: len(content) // 2])


def damage_bit(folder, library):
    content = bytearray(library.read_bytes())
    content[-1] ^= 1
    library.unlink()
    library.write_bytes(content)


def damage_record(folder, library):
    (folder / "build.json").write_text('{"library": ')


def damage_by_removal(folder, library):
    library.unlink()


@pytest.mark.parametrize("damage", [damage_library, damage_bit, damage_record, damage_by_removal])
def test_a_damaged_entry_is_built_again(cache, damage):
    artefact = build(SOURCE)
    damage(artefact.library.parent, artefact.library)
    again = build(SOURCE)
    assert not again.cached
    assert again.library == artefact.library
    assert load(again).f(2.0) == 6.0
    assert build(SOURCE).cached
    assert leftovers(cache) == []


def test_a_cache_that_cannot_be_written_is_replaced_with_a_warning(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SYMDA_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(CacheWarning, match=r"file/cache cannot be used \(.+\); building in a temp"):
        artefact = build(SOURCE, Options(flags=("-O0",)))
    assert load(artefact).f(2.0) == 6.0
    assert tmp_path not in artefact.library.parents
    with pytest.warns(CacheWarning):
        assert build(SOURCE, Options(flags=("-O0",))).cached  # at least within this process
    assert cache_entries() == []


def test_a_cache_that_can_only_be_read_still_serves(cache, monkeypatch, recwarn):
    artefact = build(SOURCE)

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    assert build(SOURCE).cached
    assert load(artefact).f(2.0) == 6.0
    assert not [warning for warning in recwarn if issubclass(warning.category, CacheWarning)]


def test_a_full_disk_is_not_the_fault_of_the_source(cache, tmp_path):
    compiler = tmp_path / "full-cc"
    compiler.write_text(
        f'#!/bin/sh\ncase "$PWD" in {cache}/*) echo "cc: error: No space left on device" >&2; '
        f'exit 1;; esac\nexec {shutil.which("cc")} "$@"\n'
    )
    compiler.chmod(0o755)
    with pytest.warns(CacheWarning, match="No space left on device"):
        artefact = build(SOURCE, Options(cc=str(compiler)))
    assert load(artefact).f(2.0) == 6.0
    assert leftovers(cache) == []


def test_no_folder_at_all_says_so(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SYMDA_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr("symda.build.cache.scratch_folder", lambda: tmp_path / "file")
    with (
        pytest.warns(CacheWarning),
        pytest.raises(BuildError, match=r"neither the cache folder .* nor a temporary folder"),
    ):
        build(SOURCE)


def test_a_file_system_without_locks_is_one_that_cannot_be_used(monkeypatch):
    def refuse(path):
        lock = FileLock(path)
        # Once: the temporary folder that stands in has locks.
        monkeypatch.setattr("filelock.FileLock", FileLock)
        monkeypatch.setattr(lock, "acquire", unsupported)
        return lock

    def unsupported():
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr("filelock.FileLock", refuse)
    with pytest.warns(CacheWarning, match=r"cannot be used \(no file locks there\)"):
        artefact = build(SOURCE, Options(flags=("-O0", "-g0")))
    assert load(artefact).f(2.0) == 6.0
    assert cache_entries() == []


def no_home(monkeypatch):
    """Leave a process without HOME and without an entry in the list of users."""
    for variable in ("SYMDA_CACHE", "HOME", "XDG_CACHE_HOME", "USERPROFILE"):
        monkeypatch.delenv(variable, raising=False)

    def nobody(*arguments):
        raise KeyError("no such user")

    monkeypatch.setattr("pwd.getpwuid", nobody)
    monkeypatch.setattr("pwd.getpwnam", nobody)


def named_user(monkeypatch):
    monkeypatch.setenv("SYMDA_CACHE", "~nobody-of-this-name/cache")


@pytest.mark.parametrize("lose", [no_home, named_user])
def test_without_a_home_a_temporary_folder_serves(monkeypatch, lose):
    lose(monkeypatch)
    cache_module.scratch_folder.cache_clear()  # other tests may have built something there
    with pytest.warns(CacheWarning, match=r"^no cache folder: .* Set the environment variable"):
        artefact = build(SOURCE, Options(flags=("-O0",)))
    assert load(artefact).f(2.0) == 6.0
    with pytest.warns(CacheWarning):
        assert cache_folder() in artefact.library.parents
    with pytest.warns(CacheWarning):
        assert {entry.name for entry in cache_entries()} == {SOURCE.name}
    cache = next(check for check in doctor() if check.name == "cache")
    assert not cache.ok and cache.detail.startswith("no cache folder: ")


@pytest.mark.parametrize("lose", [no_home, named_user])
def test_the_cache_command_works_without_a_home(monkeypatch, capsys, lose):
    lose(monkeypatch)
    with pytest.raises(SystemExit) as ended:
        main(["cache"])
    assert ended.value.code == 0
    said = capsys.readouterr()
    assert "modules" in said.out and said.err.startswith("warning: no cache folder: ")


def test_a_working_folder_that_is_gone(monkeypatch, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setenv("SYMDA_CACHE", "relative")
    with pytest.warns(CacheWarning, match="SYMDA_CACHE=relative does not lead to one"):
        assert cache_folder().is_absolute()


def test_a_cache_that_is_a_file_holds_nothing(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SYMDA_CACHE", str(tmp_path / "file"))
    assert cache_entries() == [] and cache_clear() == 0
    cache = next(check for check in doctor() if check.name == "cache")
    assert not cache.ok and "cannot be written" in cache.detail


def test_no_place_for_temporary_files_is_said(monkeypatch):
    named_user(monkeypatch)
    monkeypatch.setattr(cache_module.tempfile, "mkdtemp", lambda prefix: os.rmdir("/nowhere"))
    cache_module.scratch_folder.cache_clear()
    with pytest.warns(CacheWarning), pytest.raises(BuildError, match="TMPDIR"):
        cache_folder()
