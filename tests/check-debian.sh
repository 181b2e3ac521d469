#!/bin/sh
# SPDX-License-Identifier: MIT
#
# make check-debian: the tarball makes Debian packages, of which lintian has nothing to say, and which a program can be
# built with. Run by make, in the build folder. The packages are left in the folder debian-packages.
#
# Root can test them as installed: autopkgtest debian-packages/*.changes -- chroot FOLDER (or another testbed).
set -eu
LC_ALL=C
export LC_ALL
for tool in dpkg-buildpackage dh lintian; do
	if ! command -v "$tool" >/dev/null 2>&1; then
		echo "check-debian: skipped: there is no $tool (Debian: dpkg-dev debhelper lintian)"
		exit 0
	fi
done
rm -rf debian-packages
mkdir debian-packages
"$MAKE" dist >debian-packages/dist.log 2>&1 || { cat debian-packages/dist.log; exit 1; }
cd debian-packages
gzip -dc "../mppool-$PACKAGE_VERSION.tar.gz" | tar -xf -

# The tests are what make check is for.
if ! (cd "mppool-$PACKAGE_VERSION" && DEB_BUILD_OPTIONS=nocheck dpkg-buildpackage -us -uc) >build.log 2>&1; then
	cat build.log
	echo "check-debian: FAILED: dpkg-buildpackage"
	exit 1
fi
root=
test "$(id -u)" != 0 || root=--allow-root
lintian $root --fail-on error,warning ./*.changes || { echo "check-debian: FAILED: lintian"; exit 1; }

# Unpacked, not installed: the program of the package's own test, without what needs an installation.
for package in libmppool0 libmppool-dev; do
	dpkg-deb -x "$package"_*.deb unpacked
done
lib=$(dirname unpacked/usr/lib/*/libmppool.so)
sed -n "/^cat >program.c/,/^EOF/p" "mppool-$PACKAGE_VERSION/debian/tests/programs" | sed '1d;$d' >program.c
cc -Iunpacked/usr/include -o program program.c -L"$lib" -lmppool
LD_LIBRARY_PATH=$lib ./program
echo "check-debian: $(ls ./*.deb | wc -l) packages"
