#!/bin/sh
# SPDX-License-Identifier: MIT
#
# make check-builds: the tarball is the same whoever packs it; what is in it can be built from a source that nobody may
# write to, in a folder of its own, with spaces in the path, by another user; it can be uninstalled without a trace;
# and it can be built without each of the things that configure looks for, and without all of them.
#
# Run by make, in a build folder of its own. Takes some minutes.
#
# What is not quoted are several words.
# shellcheck disable=SC2086,SC2154
set -u
LC_ALL=C
export LC_ALL
tmp=$(mktemp -d) || exit 99
trap 'chmod -R u+w "$tmp"; rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
tarball=mppool-$PACKAGE_VERSION.tar.gz
builds=0

fail()
{
	echo "check-builds: FAILED: $*"
	exit 1
}

# quietly WHAT COMMAND...: its output is shown if it fails.
quietly()
{
	step=$1
	shift
	"$@" >"$tmp/log" 2>&1 || {
		cat "$tmp/log"
		fail "$step"
	}
}

# ------------------------------------------------------------------------------------------------------- the tarball

# Once from this source, once from what came out of that, with other permissions for new files.
quietly "make dist" $MAKE dist
mv "$tarball" "$tmp/first.tar.gz" || fail "no $tarball"
place="$tmp/a folder with spaces"
mkdir "$place" "$tmp/again" || exit 99
(cd "$place" && gzip -dc "$tmp/first.tar.gz" | tar -xf -) || fail "unpacking the tarball"
gzip -dc "$tmp/first.tar.gz" | (cd "$tmp/again" && tar -xf -) || fail "unpacking the tarball"
(umask 077 && cd "$tmp/again/mppool-$PACKAGE_VERSION" &&
	quietly "configure for the second tarball" ./configure &&
	quietly "the second make dist" $MAKE dist) || exit 1
cmp "$tmp/first.tar.gz" "$tmp/again/mppool-$PACKAGE_VERSION/$tarball" || fail "two tarballs differ"
rm -rf "$tmp/again"
echo "check-builds: two tarballs are the same"

# --------------------------------------------------------------------------------------------------- somebody else

chmod -R a-w,a+rX "$place"
build="$place/a build"
source=../mppool-$PACKAGE_VERSION
chmod u+w "$place"
stage=$tmp/stage    # libtool cannot install where there are spaces
mkdir "$build" "$stage" || exit 99

# Root may write everywhere: then it is nobody who builds.
as=
user=$(id -un)
if test "$(id -u)" = 0 && setpriv --reuid=65534 --regid=65534 --clear-groups true 2>/dev/null; then
	as='setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/nonexistent'
	user=nobody
	chown 65534:65534 "$build" "$stage"
fi
if $as sh -c ': >"$1"' sh "$place/mppool-$PACKAGE_VERSION/configure" 2>/dev/null; then
	fail "the source folder can be written to"
fi

# What make says goes to a file that belongs to whoever runs this script.
(cd "$build" || exit 99
	quietly "configure as $user" $as "$source/configure" --quiet --enable-werror --prefix=/usr
	quietly "make as $user" $as $MAKE -s all
	quietly "make check as $user" $as $MAKE -s check
	quietly "make install as $user" $as $MAKE -s install DESTDIR="$stage"
	for header in mppool.h mppool-sugar.h mppool.hpp; do
		test -f "$stage/usr/include/$header" || fail "no $header was installed"
	done
	quietly "make installcheck as $user" $as $MAKE -s installcheck DESTDIR="$stage"
	quietly "make uninstall as $user" $as $MAKE -s uninstall DESTDIR="$stage"
	left=$(find "$stage" ! -type d -o -name '*mppool*')
	test -z "$left" || fail "make uninstall leaves $left"
) || exit 1
builds=$((builds + 1))
echo "check-builds: built, tested, installed and uninstalled by $user, from a read-only source with spaces in its path"

# --------------------------------------------------------------------------------------------------- without things

# without WHAT PATTERN [OPTION...]: PATTERN is found in the Makefile or the config.h of such a build.
without()
{
	what=$1
	pattern=$2
	shift 2
	rm -rf "$tmp/build"
	mkdir "$tmp/build" || exit 99
	(cd "$tmp/build" || exit 99
		quietly "configure without $what" "$abs_srcdir/configure" --quiet --enable-werror CFLAGS=-O0 "$@"
		grep -q -e "$pattern" Makefile config.h || fail "the build without $what was not without it"
		quietly "make without $what" $MAKE -s all
		quietly "make check without $what" $MAKE -s check TESTS="$tests"
	) || exit 1
	builds=$((builds + 1))
	echo "check-builds: without $what"
}

abs_srcdir=$(cd "$srcdir" && pwd)
case $abs_srcdir in
*[[:space:]]*) echo "check-builds: the rest skipped: $abs_srcdir has spaces"; exit 0 ;;
esac
if test -e "$srcdir/config.status"; then
	echo "check-builds: the rest skipped: the source folder is configured itself"
	exit 0
fi
no_check='PKG_CONFIG_LIBDIR=/nonexistent'
no_pkg_config='ac_cv_path_ac_pt_PKG_CONFIG= ac_cv_path_PKG_CONFIG='
no_png=ac_cv_header_png_h=no
no_zlib=ac_cv_header_zlib_h=no
no_crypto=ac_cv_header_openssl_evp_h=no
no_cxx='ac_cv_prog_CXX= ac_cv_prog_CLANGXX='
no_clang='ac_cv_prog_CLANG= ac_cv_prog_CLANGXX='
no_probes=ac_cv_header_sys_sdt_h=no
no_tools='ac_cv_prog_MANDOC= ac_cv_prog_VALGRIND= ac_cv_prog_CMAKE='

# Test programs are compiled, and not run, where it makes no difference to them.
tests=
without "Check" '^CHECK_LIBS = *$' $no_check
without "zlib" '^ZLIB_LIBS = *$' $no_zlib
without "libpng" '^PNG_LIBS = *$' $no_png
without "OpenSSL" '^CRYPTO_LIBS = *$' $no_crypto
without "futexes" '#undef HAVE_FUTEX' --disable-futex
without "static probes" '#undef HAVE_PROBES' $no_probes
without "a shared library" 'HAVE_FUTEX' --disable-shared
without "a static library" 'HAVE_FUTEX' --disable-static
tests=tests/check-man-lint.sh
without "mandoc" '^MANDOC = *$' ac_cv_prog_MANDOC=
tests=tests/check-header.sh
without "a C++ compiler" '^CXX = *$' $no_cxx
without "clang" '^CLANG = *$' $no_clang
tests=$script_tests
without "anything" '^CHECK_LIBS = *$' $no_check $no_pkg_config $no_png $no_zlib $no_crypto $no_cxx $no_clang \
	$no_probes $no_tools
echo "check-builds: $builds builds"
