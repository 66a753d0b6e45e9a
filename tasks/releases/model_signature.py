"""The signature of a released checkpoint's folder in the format of sigstore's `model-signing`, which tools outside this project check.

It is made where `ASCL_MODEL_KEY` names an elliptic-curve private key (PEM; P-256, P-384 or P-521, as `model-signing` knows no Ed25519),
offline, and lies in `data/release/model.sig`, so the trainer's statement covers it. The public key that counts is
`data/trust/model.pub` of `HEAD`. Without this project: `model_signing verify key MODEL --signature model.sig --public-key model.pub`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ascl_core.errors import ReleaseError
from ascl_core.released import MODEL_SIGNATURE
from tasks.evidence.trust import PASSPHRASE
from tasks.registry.paths import MODEL_KEY, RELEASE_FOLDER
from tasks.repository.git import show

VARIABLE = "ASCL_MODEL_KEY"


def sign_model(root: Path, checkpoint: Path, signature: Path) -> bool:
    """Sign the folder if a key is configured, and return whether one is. `ReleaseError` if the key cannot sign or is not trusted."""
    named = os.environ.get(VARIABLE)
    if not named:
        return False
    from model_signing import signing

    key = Path(named)
    if not key.is_file() or key.stat().st_mode & 0o077:
        raise ReleaseError("is not a file, or others can read it", file=key, field=VARIABLE, hint=f"chmod 600 {key}")
    try:
        config = signing.Config().use_elliptic_key_signer(private_key=key, password=os.environ.get(PASSPHRASE))
        config.sign(checkpoint, signature)
    except (ValueError, TypeError, AttributeError) as error:  # the last for a key of another kind
        hint = "openssl ecparam -name prime256v1 -genkey -noout -out KEY"
        raise ReleaseError(f"the key cannot sign a model: {error}", file=key, field=VARIABLE, hint=hint) from None
    verify_model(
        root, {str(file.relative_to(checkpoint)): file for file in checkpoint.rglob("*") if file.is_file()}, signature.read_bytes()
    )
    return True


def verify_model(root: Path, files: Mapping[str, Path], signature: bytes) -> None:
    """Check that the trusted key signed exactly these files, by their path in the checkpoint; `ReleaseError` otherwise."""
    from model_signing import hashing, verifying

    public = show(root, "HEAD", MODEL_KEY, missing=b"")
    if not public:
        hint = "commit the public key of the model's signer there: openssl ec -in KEY -pubout"
        raise ReleaseError("nobody is trusted to sign models", file=MODEL_KEY, hint=hint)
    with tempfile.TemporaryDirectory() as folder:
        worktree, key, given = Path(folder) / "model", Path(folder) / "model.pub", Path(folder) / MODEL_SIGNATURE
        for name, file in files.items():
            (worktree / name).parent.mkdir(parents=True, exist_ok=True)
            (worktree / name).symlink_to(file.resolve())
        key.write_bytes(public)
        given.write_bytes(signature)
        links = hashing.Config().set_allow_symlinks(True)
        try:
            verifying.Config().use_elliptic_key_verifier(public_key=key).set_hashing_config(links).verify(worktree, given)
        except (ValueError, TypeError, KeyError) as error:
            raise ReleaseError(
                f"does not hold for the checkpoint: {error}", file=RELEASE_FOLDER / MODEL_SIGNATURE, hint="release again"
            ) from None
