#!/usr/bin/env bash
# Runs the tests with the race detector and says what they ran against. With
# RABBITMQ set it runs those of the RabbitMQ driver only.
set -euo pipefail
cd "$(dirname "$0")/.."

# Those that take longest begin first.
packages=(./test/e2e ./internal/mq/rabbitmq ./test/faults ./...)
[[ -z ${RABBITMQ:-} ]] || packages=(./internal/mq/rabbitmq/... ./test/rabbittest/...)

events=$(mktemp)
trap 'rm -f "$events"' EXIT
status=0
gotestsum --format pkgname --format-hide-empty-pkg --jsonfile "$events" -- -race -timeout 20m "${packages[@]}" || status=$?
((status == 0)) || exit "$status"

# Tests that use a broker log a line "broker: <name>".
passed=$(grep -c '"Action":"pass".*"Test":' "$events" || true)
mapfile -t brokers < <(sed -n 's/.*"Output":" *[a-z_0-9]*\.go:[0-9]*: broker: \(.*\)\\n"}$/\1/p' "$events" | sort -u)
against=$(printf ', %s' "${brokers[@]:-no broker}")
echo "$passed tests passed, against ${against#, }"
