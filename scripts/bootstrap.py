"""Make `.venv` from a lock, starting from nothing but a Python: `python3 scripts/bootstrap.py [demo|test]`.

Standard library only, and no syntax newer than Python 3.6, so that an old `python3` can still say what is wrong
or find a newer one. The environment is built by uv: neither `venv`, `ensurepip` nor root is needed. Packages come
from the index that the machine's own pip or uv settings name; addresses are never printed (they may hold secrets).
"""

import configparser
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "aimass-stamp.json"
TOOLS = ROOT / ".tools"
LOCKS = ROOT / "requirements"
SUPPORTED = ((3, 13), (3, 12), (3, 11))
# A lock that holds everything another one does: an environment made from the first serves the second.
SUPERSETS = {"demo": ("demo", "test"), "test": ("test",)}
UV_MINIMUM = (0, 9)

# pip's settings in uv's words: whoever has an own index has told pip, seldom uv.
PIP_TO_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
}


def say(message):
    """Print one line of progress."""
    print("bootstrap: " + message, file=sys.stderr, flush=True)


def fail(message):
    """Say what is wrong and stop."""
    say(message)
    raise SystemExit(2)


def python_version(executable):
    """Return (major, minor) of a usable interpreter, or None."""
    code = "import sys, ssl, sqlite3; print(*sys.version_info[:2])"
    try:
        output = subprocess.check_output([executable, "-c", code], stderr=subprocess.DEVNULL, universal_newlines=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    major, minor = output.split()
    return int(major), int(minor)


def find_python():
    """Return the path of a Python 3.11-3.13: this one, one on PATH, or fail."""
    names = ["python{}.{}".format(*version) for version in SUPPORTED]
    wanted = os.environ.get("AIMASS_PYTHON")
    candidates = [wanted] if wanted else [sys.executable, *filter(None, map(shutil.which, names))]
    seen = []
    for candidate in candidates:
        version = python_version(candidate)
        if version in SUPPORTED:
            return candidate
        seen.append("{} ({})".format(candidate, "{}.{}".format(*version) if version else "does not run"))
    return fail(
        "AI Mass runs on Python 3.11, 3.12 or 3.13; found only {}. Install one of them, or name it: "
        "AIMASS_PYTHON=/path/to/python3.12 make demo".format(", ".join(seen))
    )


def pip_settings():
    """Return what pip's configuration files say, the most specific file last."""
    home = Path.home()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = [Path("/etc/pip.conf"), home / ".pip" / "pip.conf", config / "pip" / "pip.conf"]
    if os.environ.get("PIP_CONFIG_FILE"):
        files.append(Path(os.environ["PIP_CONFIG_FILE"]))
    parser = configparser.RawConfigParser(strict=False)
    settings = {}
    for path in files:
        try:
            parser.read(str(path))
        except (OSError, configparser.Error) as error:
            say("cannot read pip's settings in {}: {}".format(path, type(error).__name__))
    for section in ("global", "install"):
        if parser.has_section(section):
            settings.update(parser.items(section))
    return settings


def environment():
    """Return the variables uv runs with: the user's own, pip's index settings, and compiled bytecode allowed."""
    env = dict(os.environ)
    settings = pip_settings()
    for option, variable in PIP_TO_UV.items():
        value = env.get("PIP_" + option.upper().replace("-", "_")) or settings.get(option)
        if value and variable not in env:
            env[variable] = " ".join(value.split())
    if "UV_FIND_LINKS" in env:
        env["UV_FIND_LINKS"] = ",".join(env["UV_FIND_LINKS"].split())
    # Every file is pinned by hash, so any index that has it will do (pip thinks so too).
    env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    env.setdefault("UV_HTTP_TIMEOUT", "180")
    # Without .pyc files each Airflow command pays seconds.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    env.pop("VIRTUAL_ENV", None)
    return env


def uv_version(executable):
    """Return (major, minor) of a uv, or None where it does not run."""
    try:
        output = subprocess.check_output([executable, "--version"], stderr=subprocess.DEVNULL, universal_newlines=True)
        return tuple(int(part) for part in output.split()[1].split(".")[:2])
    except (OSError, subprocess.CalledProcessError, IndexError, ValueError):
        return None


def find_uv(python):
    """Return the path of uv: the machine's, or one installed into `.tools` by pip."""
    own = TOOLS / "bin" / "uv"
    for candidate in filter(None, (shutil.which("uv"), str(own))):
        version = uv_version(candidate)
        if version and version >= UV_MINIMUM:
            return candidate
    pip = find_pip(python)
    say("installing uv into {}".format(TOOLS.relative_to(ROOT)))
    command = [*pip, "install", "--quiet", "--disable-pip-version-check", "--no-input", "--upgrade", "--no-deps"]
    command += ["--target", str(TOOLS), "--require-hashes", "-r", str(LOCKS / "uv.txt")]
    # As root, pip warns about the system's packages; it writes none.
    env = dict(os.environ, PIP_ROOT_USER_ACTION="ignore")
    if subprocess.call(command, env=env) or not uv_version(str(own)):
        fail("pip could not install uv (its message stands above): check the network or the index that pip uses")
    return str(own)


def find_pip(python):
    """Return a command that runs pip, or fail saying what to install."""
    candidates = [[python, "-m", "pip"], [sys.executable, "-m", "pip"]]
    candidates += [[name] for name in ("pip3", "pip") if shutil.which(name)]
    candidates += [[python, str(wheel / "pip")] for wheel in bundled_pips()]
    for command in candidates:
        if subprocess.call([*command, "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
            return command
    return fail(
        "neither uv nor pip is here. Install one of them and start again: `apt-get install python3-pip`, "
        "`dnf install python3-pip`, or uv (https://docs.astral.sh/uv/), which needs no root"
    )


def bundled_pips():
    """Return the pip wheels that came with Python but were never installed: a wheel runs from its own archive."""
    spec = importlib.util.find_spec("ensurepip")
    folders = [Path(spec.origin).parent / "_bundled"] if spec and spec.origin else []
    folders.append(Path("/usr/share/python-wheels"))  # where Debian keeps them
    return [wheel for folder in folders for wheel in sorted(folder.glob("pip-*.whl"))]


def digest(profile):
    """Return what the environment depends on: the lock, the package's metadata and this script."""
    content = hashlib.sha256()
    for path in (LOCKS / (profile + ".txt"), LOCKS / "build.txt", ROOT / "setup.cfg", ROOT / "pyproject.toml"):
        content.update(path.read_bytes())
    return content.hexdigest()


def is_ready(profile):
    """Tell whether `.venv` already holds `profile`, unchanged."""
    try:
        made = json.loads(STAMP.read_text())
        has_python = os.access(str(VENV / "bin" / "python"), os.X_OK)
        return has_python and any(made == {name: digest(name)} for name in SUPERSETS[profile])
    except (OSError, ValueError):
        return False


def run(command, env):
    """Run a command and show its phases, without a line for each of the packages; stop where it fails."""
    process = subprocess.Popen(
        command, env=env, cwd=str(ROOT), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True
    )
    for line in process.stdout:
        if not line.startswith((" + ", " - ", " ~ ")):
            say(line.rstrip())
    if process.wait():
        fail("this failed: {}".format(" ".join(map(str, command[:3]))))


def provide_openmp(python):
    """Give LightGBM the OpenMP library that small images lack (Debian's libgomp1), without root.

    scikit-learn's wheel brings the same library under a mangled name. A copy that calls itself by the standard name
    again, loaded when an interpreter of this environment starts, satisfies whoever asks for it later.
    """
    probe = [python, "-c", "import ctypes; ctypes.CDLL('libgomp.so.1')"]
    if subprocess.call(probe, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
        return
    purelib = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.check_output(purelib, universal_newlines=True).strip())
    bundled = sorted(site.glob("scikit_learn.libs/libgomp-*.so*"))
    if not bundled:
        fail("LightGBM needs the system library libgomp.so.1: `apt-get install libgomp1` or `dnf install libgomp`")
    name = bundled[0].name.encode()
    library = site / "aimass-openmp" / "libgomp.so.1"
    library.parent.mkdir(exist_ok=True)
    library.write_bytes(bundled[0].read_bytes().replace(name + b"\0", b"libgomp.so.1".ljust(len(name) + 1, b"\0")))
    (site / "aimass-openmp.pth").write_text(
        "import ctypes; ctypes.CDLL({!r}, mode=ctypes.RTLD_GLOBAL)\n".format(str(library))
    )
    if subprocess.call([python, "-c", "import lightgbm"]):
        fail("LightGBM does not load: `apt-get install libgomp1` or `dnf install libgomp` gives it what it needs")
    say("no libgomp.so.1 on this machine: using the one that came with scikit-learn")


def make_environment(profile):
    """Build `.venv` from `requirements/<profile>.txt` and put the checkout into it."""
    started = time.time()
    python = find_python()
    uv = find_uv(python)
    env = environment()
    say("making .venv for {} with {}; a first time takes a minute or more".format(profile, python))
    if STAMP.exists():
        STAMP.unlink()
    target = str(VENV / "bin" / "python")
    if python_version(target) not in SUPPORTED:
        run([uv, "venv", "--quiet", "--clear", "--no-project", "--python", python, str(VENV)], env)
    install = [uv, "pip", "sync", "--python", target, "--compile-bytecode", "--require-hashes"]
    run([*install, "--build-constraints", str(LOCKS / "build.txt"), str(LOCKS / (profile + ".txt"))], env)
    editable = [uv, "pip", "install", "--quiet", "--python", target, "--no-deps", "--no-build-isolation"]
    run([*editable, "--editable", str(ROOT)], env)
    # The build leaves a second copy of the entry points on the import path: Airflow would find its plugin twice.
    for leftover in ROOT.glob("providers/*.egg-info"):
        shutil.rmtree(str(leftover))
    provide_openmp(target)
    STAMP.write_text(json.dumps({profile: digest(profile)}))
    say(".venv is ready after {:.0f} s".format(time.time() - started))


def main():
    """Make the environment, or with `uv` print the installer's path."""
    profile = sys.argv[1] if len(sys.argv) > 1 else "demo"
    if profile == "uv":
        print(find_uv(find_python()))
    elif profile not in SUPERSETS:
        fail("unknown environment {!r}; known: {}, uv".format(profile, ", ".join(SUPERSETS)))
    elif not is_ready(profile):
        make_environment(profile)


if __name__ == "__main__":
    main()
