#!/usr/bin/env bash
# Builds the sidecar, fetches the default model if it is asked for and missing, and serves until stopped.
# Arguments go to `sidecar serve`. What is built and fetched is decided by the environment and .env.sidecar alone (see
# .env.sidecar.example), not by a file that --env-file names.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! command -v cargo >/dev/null; then
  echo "error: cargo not found; install Rust 1.95 or newer with rustup (https://rustup.rs), then run this again" >&2
  exit 1
fi

# The value of a setting as the sidecar reads it: the environment's, else that of the last line of .env.sidecar that
# names it. A comment may follow the value.
setting() {
  local name="STREAMING_LLM_$1"
  if [[ -n "${!name:-}" ]]; then
    echo "${!name}"
  elif [[ -f .env.sidecar ]]; then
    # What stands in front of a name is white space, or a byte order mark; lines may end as on Windows.
    local line='s/^[^#_[:alnum:]]*\(export[[:space:]]\{1,\}\)\{0,1\}'"$name"'[[:space:]]*=[[:space:]]*'
    line+='["'\'']\{0,1\}\([^#"'\''[:space:]][^"'\''[:space:]]*\)\{0,1\}.*/\2/p'
    sed -n "$line" .env.sidecar | tail -n 1
  fi
}

# The GPU engine is as much to compile as all the rest, so it is built where there is a GPU, or one is asked for.
has_gpu() {
  [[ "$(uname -s)" == Darwin ]] || compgen -G '/dev/dri/renderD*' >/dev/null || compgen -G '/dev/nvidia*' >/dev/null
}
features=()
case "$(setting DEVICE)" in
  [Gg][Pp][Uu]) features=(--features streaming-llm-sidecar/gpu) ;;
  [Cc][Pp][Uu]) ;;
  *) if has_gpu; then features=(--features streaming-llm-sidecar/gpu); fi ;;
esac

output="${CARGO_TARGET_DIR:-target}/debug"
if [[ ! -x "$output/sidecar" ]]; then
  if ((${#features[@]})); then
    echo "Building the sidecar with its GPU engine: many minutes, the first time only." >&2
    echo "STREAMING_LLM_DEVICE=cpu builds it without, which is much less." >&2
  else
    echo "Building the sidecar: some eight minutes on two cores, the first time only." >&2
  fi
fi
# The whole workspace is selected, so that what the tests compile is the same; two programs of it are built.
cargo build --workspace --bin sidecar --bin xtask --locked ${features[@]+"${features[@]}"}

model="$(setting MODEL)"
if [[ "${model:-smollm2-135m-instruct}" == smollm2-135m-instruct ]]; then
  "$output/xtask" model
fi

exec "$output/sidecar" serve "$@"
