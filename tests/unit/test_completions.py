"""What the shells that are here offer at the end of a command line."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.generating.completions import completion

AGENT = """\
#!/bin/sh
[ "$1" = members ] || exit 2
case "$*" in
*"--state failed") echo "gone 10.0.0.4 failed" ;;
*) printf '%s\\n' "alpha 10.0.0.1 alive" "beta 10.0.0.2 alive" '$(touch pwned) 10.0.0.3 alive' ;;
esac
"""
NO_AGENT = "#!/bin/sh\necho 'wesher: no agent runs on this host' >&2\nexit 3\n"
SHELLS = [shell for shell in ("bash", "fish") if shutil.which(shell)]


def offered(shell: str, line: str, directory: Path, agent: str = AGENT) -> set[str]:
    """Return what is offered where `wesher` is this script; no shell may complain."""
    script, program = directory / "completion", directory / "wesher"
    script.write_text(completion(shell))
    program.write_text(agent)
    program.chmod(0o755)
    if shell == "bash":
        words = [*line.split(), *([""] if line.endswith(" ") else [])]
        ask = (
            f"source {script}; COMP_WORDS=({shlex.join(words)}) COMP_CWORD={len(words) - 1}; "
            '_shtab_wesher; printf "%s\\n" "${COMPREPLY[@]}"'
        )
    else:
        ask = f"source {script}; complete -C {shlex.quote(line)}"
    done = subprocess.run(
        [shell, "-c", ask],
        check=True,
        capture_output=True,
        text=True,
        cwd=directory,
        env={**os.environ, "PATH": f"{directory}:{os.environ['PATH']}", "HOME": str(directory)},
        timeout=30,
    )
    assert done.stderr == ""
    return {one.partition("\t")[0] for one in done.stdout.splitlines() if one}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("info b", {"beta"}),
        ("ping a", {"alpha"}),
        ("forget ", {"gone"}),
        ("key s", {"show", "status"}),
        ("--timing ", {"wan", "lan", "local"}),
        ("--log-level ", {"debug", "info", "warn", "error"}),
        ("--metadata-format c", {"current"}),
        ("export --format ", {"wg", "json"}),
        ("members --state ", {"alive", "suspect", "failed", "left"}),
        ("doc", {"doctor"}),
        ("doctor --ti", set()),
    ],
)
def test_a_shell_offers_what_can_follow(
    shell: str, line: str, wanted: set[str], tmp_path: Path
) -> None:
    assert offered(shell, f"wesher {line}", tmp_path) == wanted


@pytest.mark.parametrize("shell", SHELLS)
def test_the_name_of_a_member_is_never_expanded(shell: str, tmp_path: Path) -> None:
    assert {"alpha", "beta"} < offered(shell, "wesher info ", tmp_path)

    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_without_an_agent_no_names_are_offered_and_nothing_is_said(
    shell: str, tmp_path: Path
) -> None:
    assert offered(shell, "wesher info ", tmp_path, NO_AGENT) == set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_the_words_and_asks_for_members(shell: str) -> None:
    script = completion(shell)

    assert "wan lan local" in script
    assert script.count("_wesher_members") > 3
    assert "_wesher_failed" in script or "_wesher_members --state failed" in script
