"""What `mien serve` says once it's ready: where it is, where the key is, and a first swap to paste."""

import shlex
from pathlib import Path

# For any POSIX shell, with curl and sed alone. Our JSON has no spaces after its colons.
_FIRST_SWAP = r"""
MIEN=<address>
KEY=<key>
TASK=$(curl -sS "$MIEN/api/v1/images/tools/face-swap" \
  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \
  -d '{"model":"face-swap","image":"'$MIEN'/samples/park.jpg","face_image":"'$MIEN'/samples/woman.jpg"}' |
  sed 's/.*"task_id":"\([^"]*\)".*/\1/')
while
  ANSWER=$(curl -sS "$MIEN/api/v1/tasks/$TASK" -H "Authorization: Bearer $KEY")
  printf '%s\n' "$ANSWER" | grep -q '"status":"IN_PROGRESS"'
do sleep 0.5; done
PICTURE=$(printf '%s\n' "$ANSWER" | sed -n 's/.*"image_url":"\([^"]*\)".*/\1/p')
if [ -n "$PICTURE" ]; then curl -sS -o result.png "$PICTURE" && echo "Look at result.png"
else printf '%s\n' "$ANSWER"; fi
"""

_SIGN_IN = "To sign in with a password, too: mien accounts create you@example.com --administrator\n"


def welcome(public_url: str, key_file: Path, new_key: str | None) -> str:
    """The text; `new_key` is shown if this is the first time that it can be."""
    key = new_key or f'"$(cat {shlex.quote(str(key_file))})"'
    first_swap = _FIRST_SWAP.replace("<address>", shlex.quote(public_url)).replace("<key>", key)
    shown = f"{new_key}\n         (shown only now, and kept in {key_file})" if new_key else f"in {key_file}"
    sign_in = _SIGN_IN if new_key else ""
    return f"""
Mien is ready at {public_url}
API key: {shown}
{sign_in}
To swap a face between two sample pictures, paste this into another terminal:
{first_swap}"""
