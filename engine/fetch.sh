#!/bin/sh
# Fetches the embedded ClickHouse engine, in the version that package-lock.json pins by hash, into
# node_modules beside this script, unless it is there already. Prints the path of libchdb.so.
#
# Exit status: 0 the engine is there; 1 it could not be fetched; 2 this platform has none.
set -eu

engine=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
say() { printf 'engine: %s\n' "$*" >&2; }

case "$(uname -s)-$(uname -m)" in
Linux-x86_64) package=@chdb/lib-linux-x64-gnu ;;
*)
	say "there is no embedded engine for $(uname -s) on $(uname -m): it needs Linux on x86_64 with glibc."
	say 'Point the database URL at a ClickHouse server instead.'
	exit 2
	;;
esac
if ! getconf GNU_LIBC_VERSION >/dev/null 2>&1; then
	say 'the embedded engine needs the GNU C library (glibc); this system has another one.'
	say 'Use a glibc image, or point the database URL at a ClickHouse server.'
	exit 2
fi

directory=$engine/node_modules/$package
library=$directory/libchdb.so
version_in() { sed -n "s|^ *\"$2\": \"\([^\"]*\)\".*|\1|p" "$1" | head -n 1; }
want=$(version_in "$engine/package.json" "$package")
here() { [ -f "$library" ] && [ "$(version_in "$directory/package.json" version)" = "$want" ]; }

if here; then
	say "$package $want is here"
else
	if ! command -v npm >/dev/null 2>&1; then
		say 'npm is needed to fetch the engine: install Node.js with npm and run this again.'
		exit 1
	fi
	say "fetching $package $want (about 180 MB, 570 MB on disk)"
	(cd "$engine" && npm ci --ignore-scripts --no-audit --no-fund >&2) || {
		say 'npm could not fetch the engine; see its messages above.'
		exit 1
	}
	here || {
		say "npm did not install $package $want: is $(uname -m) with glibc what npm sees here?"
		exit 1
	}
	say "fetched $package $want"
fi
printf '%s\n' "$library"
