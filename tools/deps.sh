#!/usr/bin/env bash
# Installs the Debian packages that the tests need, when one is missing: the
# RabbitMQ server, and for the interoperability tests nginx and Debian's own
# python3 with an AMQP and a gRPC client. With RABBITMQ=4 it also makes a folder
# with RabbitMQ 4 of Debian 13, which the tests enter by chroot.
#
# No service is started or enabled to start now. It does nothing, quickly, when
# all is there; without root it prints the command to run instead.
set -euo pipefail

packages=(rabbitmq-server nginx python3-pika python3-grpcio python3-protobuf)
rabbitmq4=${XDG_CACHE_HOME:-$HOME/.cache}/mqgateway/rabbitmq-4

# die prints its arguments, one a line, and ends the script.
die() {
	printf 'deps: %s\n' "$@" >&2
	exit 1
}

# missing prints those of its arguments that are no installed package.
missing() {
	local package
	for package; do
		[[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || echo "$package"
	done
}

# quietly runs a command and shows what it printed only when it failed.
quietly() {
	local log
	log=$(mktemp)
	if ! "$@" >"$log" 2>&1 </dev/null; then
		cat "$log" >&2
		rm -f "$log"
		die "this command failed, its output stands above: $*"
	fi
	rm -f "$log"
}

# keep_services_down makes Debian's maintainer scripts start nothing, until the
# script ends; a policy that is there already stays as it is.
keep_services_down() {
	local policy=/usr/sbin/policy-rc.d
	[[ -e $policy ]] && return
	trap "rm -f $policy" EXIT
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod +x $policy
}

install_packages() {
	echo "deps: installing $*"
	keep_services_down
	export DEBIAN_FRONTEND=noninteractive
	local get=(apt-get -q -o DPkg::Lock::Timeout=300)
	quietly "${get[@]}" update
	quietly "${get[@]}" install -y --no-install-recommends "$@"
}

# mirror prints where this machine gets its Debian packages.
mirror() {
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | sed -n 1p
}

# make_rabbitmq4 fills the folder under another name and moves it into place, so
# that a folder of that name is always complete.
make_rabbitmq4() {
	echo "deps: making $rabbitmq4 (some minutes, once)"
	mkdir -p "$(dirname "$rabbitmq4")"
	local draft
	draft=$(mktemp -d "$rabbitmq4.XXXXXX")
	quietly debootstrap --variant=minbase --include=rabbitmq-server trixie "$draft" "$(mirror)"
	rm -rf "$draft"/var/cache/apt/archives/*.deb
	mv -T "$draft" "$rabbitmq4"
}

command -v apt-get >/dev/null || die \
	"the tests need the packages of Debian 12: ${packages[*]}" \
	"this system has no apt-get; run 'make test' in a container of debian:12 with Go in it"

[[ ${RABBITMQ:-} == 4 ]] && packages+=(debootstrap)
mapfile -t todo < <(missing "${packages[@]}")

if [[ $EUID != 0 ]]; then
	((${#todo[@]} == 0)) || die "missing: ${todo[*]}; run: sudo apt-get install --no-install-recommends ${todo[*]}"
	[[ ${RABBITMQ:-} != 4 ]] || die "RABBITMQ=4 runs RabbitMQ in a chroot, which needs root; run: sudo make test RABBITMQ=4"
	exit 0
fi

exec 9>/run/lock/mqgateway-deps
flock 9
mapfile -t todo < <(missing "${packages[@]}")
((${#todo[@]} == 0)) || install_packages "${todo[@]}"
if [[ ${RABBITMQ:-} == 4 && ! -d $rabbitmq4 ]]; then
	make_rabbitmq4
fi
