#!/usr/bin/env bash
# Fails when the generated code is not what "make proto" would make.
set -euo pipefail
cd "$(dirname "$0")/.."

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
buf generate -o "$fresh"

# generated lists the generated files below a folder.
generated() { (cd "$1" && find api/proto -name '*.pb.go' | sort); }

differs=0
diff <(generated "$fresh") <(generated .) || differs=1
while read -r file; do
	diff -u --label "$file" --label "$file as generated" "$file" "$fresh/$file" || differs=1
done < <(generated "$fresh")
if ((differs)); then
	echo 'proto: the generated code is not up to date, run "make proto"' >&2
	exit 1
fi
