#!/usr/bin/env bash
# Builds the sidecar, fetches the default model if it is asked for and missing, and serves until stopped.
# Arguments go to `sidecar serve`; settings are in .env.sidecar (see .env.sidecar.example).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! command -v cargo >/dev/null; then
  echo "error: cargo not found; install Rust 1.95 or newer with rustup (https://rustup.rs), then run this again" >&2
  exit 1
fi

output="${CARGO_TARGET_DIR:-target}/debug"
if [[ ! -x "$output/sidecar" ]]; then
  echo "Building the sidecar: about 20 minutes on two cores, the first time only." >&2
fi
# The profile and the features of the tests, so that burn and wgpu are compiled once for both.
cargo build --workspace --all-features --bins --locked

# The model that .env.sidecar names, as the sidecar reads it: the last line wins, a comment may follow the value.
model="${STREAMING_LLM_MODEL:-}"
if [[ -z "$model" && -f .env.sidecar ]]; then
  # What stands in front of a name is white space, or a byte order mark; lines may end as on Windows.
  setting='s/^[^#_[:alnum:]]*\(export[[:space:]]\{1,\}\)\{0,1\}STREAMING_LLM_MODEL[[:space:]]*=[[:space:]]*'
  setting+='["'\'']\{0,1\}\([^#"'\''[:space:]][^"'\''[:space:]]*\)\{0,1\}.*/\2/p'
  model="$(sed -n "$setting" .env.sidecar | tail -n 1)"
fi
if [[ "${model:-smollm2-135m-instruct}" == smollm2-135m-instruct ]]; then
  "$output/xtask" model
fi

exec "$output/sidecar" serve "$@"
