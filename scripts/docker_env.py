"""Write `docker/.env` with random secrets, once: `make docker-env`."""

import base64
import os
import secrets
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "docker" / ".env"


def main():
    """Create the file with mode 600, or leave an existing one as it is."""
    values = {
        "AIMASS_API_SECRET": secrets.token_urlsafe(32),
        "AIMASS_FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIMASS_JWT_SECRET": secrets.token_urlsafe(48),
        # Part of a database address: letters and digits only.
        "AIMASS_POSTGRES_PASSWORD": secrets.token_hex(16),
    }
    try:
        descriptor = os.open(str(TARGET), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        print("docker/.env exists and stays as it is")
        return
    with os.fdopen(descriptor, "w") as file:
        file.writelines(f"{name}={value}\n" for name, value in values.items())
    print("wrote docker/.env")


if __name__ == "__main__":
    main()
