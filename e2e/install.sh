#!/bin/sh
# Installs programs of other projects from the module proxy into a directory, each unless it is
# there in that version already.
#
#   e2e/install.sh DIRECTORY NAME=PACKAGE@VERSION…
set -eu

directory=$1
shift
mkdir -p "$directory/new"
n=0
for wanted in "$@"; do
	n=$((n + 1))
	name=${wanted%%=*} package=${wanted#*=}
	if [ -x "$directory/$name" ] && [ "$(cat "$directory/$name.version" 2>/dev/null)" = "$package" ]; then
		echo "[$n/$#] $name is there: $package" >&2
		continue
	fi
	echo "[$n/$#] installing $package (minutes, the first time)" >&2
	# Outside the module, whose versions have nothing to do with theirs.
	(cd / && GOFLAGS=-mod=mod GOBIN="$directory/new" go install "$package")
	path=${package%@*}
	mv "$directory/new/${path##*/}" "$directory/$name"
	printf '%s\n' "$package" >"$directory/$name.version"
done
rmdir "$directory/new"
