# Makes .venv and keeps it current, for ./demo and ./test, which source this with ROOT set to the checkout.
#
# A stamp in .venv says what it was made from. It is taken away before any change and put back after the last one, so
# an environment without a stamp is half made and is begun anew. While the stamp is right, nothing else is looked at.
# shellcheck shell=sh

VENV=$ROOT/.venv
STAMP=$VENV/.made-from
LOG=$VENV/pip.log

# ensure_environment runtime|dev: what to install; dev holds all of runtime.
ensure_environment() {
    is_current "$1" && return
    [ -w "$ROOT" ] || fail "Cannot write to $ROOT: copy the checkout to a folder of your own and start it there."
    # Two terminals may start at the same time; the lock is on the folder itself and leaves no file behind.
    exec 9<"$ROOT"
    if command -v flock >/dev/null; then flock 9; fi
    is_current "$1" || make_environment "$1"
    exec 9<&-
}

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

# Where the environment is and which Python it runs: with another value it has to be begun anew.
place() {
    printf '%s %s' "$ROOT" "$("$VENV/bin/python" -V 2>&1)"
}

# What is installed: with another value the packages have to be brought up to date.
contents() {
    cat "$ROOT"/requirements/*.txt "$ROOT/pyproject.toml" "$ROOT/scripts/environment.sh" | cksum
}

is_current() {
    [ -x "$VENV/bin/python" ] && [ -f "$STAMP" ] || return 1
    made=$(cat "$STAMP")
    now="$(place)
$(contents)"
    [ "$made" = "$now
dev" ] || [ "$made" = "$now
$1" ]
}

make_environment() {
    if [ -x "$VENV/bin/python" ] && [ -f "$STAMP" ] && [ "$(head -n 1 "$STAMP")" = "$(place)" ]; then
        rm -f "$STAMP"
    else
        find_python
        printf 'Setting up .venv: a minute or two, the first time only.\n' >&2
        rm -rf "$VENV" && "$PYTHON" -m venv "$VENV" >/dev/null 2>&1 ||
            fail "$PYTHON could not make $VENV: is there room on the disk, and may you write there?"
    fi
    if [ "$1" = dev ]; then
        set -- dev -r "$ROOT/requirements/dev.txt"
    else
        set -- runtime -r "$ROOT/requirements/runtime.txt" -r "$ROOT/requirements/build.txt"
    fi
    made_set=$1
    shift
    pip_install --require-hashes --only-binary :all: "$@"
    pip_install --no-deps --no-build-isolation -e "$ROOT"
    printf '%s\n%s\n%s\n' "$(place)" "$(contents)" "$made_set" >"$STAMP.new" && mv "$STAMP.new" "$STAMP" ||
        fail "Cannot write to $VENV: is there room on the disk?"
}

# Sets PYTHON to the first Python that is new enough and can make an environment.
find_python() {
    without_venv=
    for PYTHON in python3 python3.13 python3.12 python3.11; do
        command -v "$PYTHON" >/dev/null || continue
        "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        # Debian has venv in every Python, and what venv needs in a package of its own.
        "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null && return
        without_venv=${without_venv:-$PYTHON}
    done
    [ -z "$without_venv" ] ||
        fail "$without_venv cannot make a virtual environment: run \`sudo apt install $without_venv-venv\` and start again."
    fail "There is no Python 3.11 or newer: install one (Debian: \`sudo apt install python3 python3-venv\`) and start again."
}

pip_install() {
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --retries 2 "$@" \
        >"$LOG" 2>&1 && return
    if grep -q -i -e 'connection' -e 'name resolution' -e 'unreachable' -e 'timed out' "$LOG"; then
        fail "The Python packages could not be downloaded: check the internet connection and start again ($LOG)."
    fi
    fail "The Python packages could not be installed ($(tail -n 1 "$LOG")): $LOG says more."
}
