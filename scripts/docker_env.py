"""Write `docker/.env` with random secrets, each once: `make docker-env`."""

import base64
import os
import secrets
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "docker" / ".env"


def main():
    """Create the file with mode 600; of an existing one, add what it lacks and leave the rest as it is."""
    values = {
        "AIMASS_API_SECRET": secrets.token_urlsafe(32),
        "AIMASS_FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIMASS_JWT_SECRET": secrets.token_urlsafe(48),
        # Part of a database address: letters and digits only.
        "AIMASS_POSTGRES_PASSWORD": secrets.token_hex(16),
        # MySQL's, MongoDB's and the S3 server's of `make up-services`.
        "AIMASS_SOURCES_PASSWORD": secrets.token_hex(16),
    }
    descriptor = os.open(str(TARGET), os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+") as file:
        known = {line.partition("=")[0] for line in file}
        missing = {name: value for name, value in values.items() if name not in known}
        file.writelines(f"{name}={value}\n" for name, value in missing.items())
    print("wrote docker/.env" if missing else "docker/.env exists and stays as it is")


if __name__ == "__main__":
    main()
