#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Builds programs against the installed library as its users do, through pkg-config and by CMake, and runs them.
set -u
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT

fail()
{
	echo "installcheck: FAILED: $*"
	exit 1
}

for file in "$pkgconfigdir/mppool.pc" "$cmakedir/mppool-config.cmake" "$mandir/man3/mppool_create.3" \
	"$mandir/man7/mppool.7"; do
	test -f "$DESTDIR$file" || fail "no $file was installed"
done
if test -z "$PKG_CONFIG"; then
	echo "installcheck: skipped: no pkg-config"
	exit 0
fi
PKG_CONFIG_PATH=$DESTDIR$pkgconfigdir
PKG_CONFIG_SYSROOT_DIR=$DESTDIR
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
LD_LIBRARY_PATH=$DESTDIR$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH

test "$($PKG_CONFIG --modversion mppool)" = "$PACKAGE_VERSION" || fail "the version in mppool.pc"
cflags=$($PKG_CONFIG --cflags mppool) || fail "pkg-config --cflags"
libs=$($PKG_CONFIG --libs mppool) || fail "pkg-config --libs"
case $libs in
*-pthread*|*-latomic*) fail "the link flags of the shared library have what only the static one needs: $libs" ;;
esac

cat >"$tmp/program.c" <<'EOF'
#include <mppool.h>
#include <stdio.h>
#include <string.h>

static int twice(int x) { return 2 * x; }
MPPOOL_FUNC(twice_task, int, twice, int);

int main(void)
{
	const int xs[] = {1, 2, 3};
	int ys[3] = {0, 0, 0};
	char version[32];

	snprintf(version, sizeof version, "%d.%d.%d", MPPOOL_VERSION_MAJOR, MPPOOL_VERSION_MINOR,
	         MPPOOL_VERSION_PATCH);
	MPPOOL_WITH(pool) {
		if (mppool_map(pool, &twice_task, MPPOOL_ARRAY(xs, 3), ys, 0))
			return 1;
	} else {
		return 1;
	}
	return ys[0] != 2 || ys[2] != 6 || strcmp(version, mppool_version()) != 0;
}
EOF
cp "$tmp/program.c" "$tmp/program.cc"

# program WHAT COMPILER-AND-FLAGS...: build it from its source, with the library at the end, and run it.
# shellcheck disable=SC2086
program()
{
	what=$1
	shift
	"$@" -o "$tmp/program" $libs || fail "$what cannot be built"
	"$tmp/program" || fail "$what does not work"
	echo "installcheck: $what"
}

# shellcheck disable=SC2086
{
	program "a program in C" $CC $CFLAGS $SAN_CFLAGS $cflags "$tmp/program.c"
	test -z "$CXX" || test -n "$SAN_CFLAGS" ||
		program "a program in C++" $CXX $cflags "$tmp/program.cc"
	if test -f "$DESTDIR$libdir/libmppool.a"; then
		libs="$DESTDIR$libdir/libmppool.a $($PKG_CONFIG --static --libs mppool | sed 's/-lmppool//')"
		program "a program in C with the static library" $CC $CFLAGS $SAN_CFLAGS $cflags "$tmp/program.c"
		libs=$($PKG_CONFIG --libs mppool)
	fi
	for example in $examples; do
		extra=
		case $example in
		*/pgzip) extra=$ZLIB_LIBS; test -n "$extra" || continue ;;
		*/hashfiles) extra=$CRYPTO_LIBS; test -n "$extra" || continue ;;
		*/mandelbrot) extra=$PNG_LIBS; test -n "$extra" || continue ;;
		*/primes_uv) extra="$UV_CFLAGS $UV_LIBS" ;;
		*/checksums_glib) extra="$GLIB_CFLAGS $GLIB_LIBS" ;;
		esac
		$CC $CFLAGS $SAN_CFLAGS $cflags "$srcdir/$example.c" -o "$tmp/example" $libs $extra $LIBM \
			$PTHREAD_LIBS ||
			fail "$example cannot be built"
		echo "installcheck: $example"
	done
}

# --------------------------------------------------------------------------------------------------------------- CMake

if test -z "$CMAKE"; then
	echo "installcheck: CMake skipped: no cmake"
	exit 0
fi
# With sanitizers only the compiler that made the library can.
languages=C
test -z "$CXX" || test -n "$SAN_CFLAGS" || languages='C CXX'
mkdir "$tmp/project"
cp "$tmp/program.c" "$tmp/program.cc" "$tmp/project"
cat >"$tmp/project/CMakeLists.txt" <<EOF
cmake_minimum_required(VERSION 3.5)
project(program $languages)
set(mppool_DIR "\${installed}")
find_package(mppool 99 QUIET)
if(mppool_FOUND OR TARGET mppool::mppool)
	message(FATAL_ERROR "this version stands in for one to come")
endif()
set(mppool_DIR "\${installed}")
find_package(mppool $PACKAGE_VERSION EXACT REQUIRED)
find_package(mppool ${PACKAGE_VERSION%%.*}.0 REQUIRED)
add_executable(in_c program.c)
target_link_libraries(in_c mppool::mppool)
if(CMAKE_CXX_COMPILER)
	add_executable(in_cxx program.cc)
	target_link_libraries(in_cxx mppool::mppool)
endif()
EOF

# cmake_project WHAT FOLDER: build the project with the package in that folder, and run it.
cmake_project()
{
	rm -rf "$tmp/made"
	mkdir "$tmp/made"
	(cd "$tmp/made" &&
		CC=$CC CXX=$CXX "$CMAKE" -Dinstalled="$2" -DCMAKE_C_FLAGS="$CFLAGS $SAN_CFLAGS" ../project &&
		"$CMAKE" --build . &&
		./in_c &&
		if test "$languages" = 'C CXX'; then ./in_cxx; fi
	) >"$tmp/cmake.log" 2>&1 || {
		cat "$tmp/cmake.log"
		fail "a CMake project with $1"
	}
	echo "installcheck: a CMake project ($languages) with $1"
}

cmake_project "the installed library" "$DESTDIR$cmakedir"
if test -f "$DESTDIR$libdir/libmppool.a"; then
	moved="$tmp/moved elsewhere"
	mkdir -p "$moved$cmakedir" "$moved$includedir"
	cp "$DESTDIR$libdir/libmppool.a" "$moved$libdir"
	cp "$DESTDIR$cmakedir"/*.cmake "$moved$cmakedir"
	cp "$DESTDIR$includedir"/mppool*.h* "$moved$includedir"
	cmake_project "a static library that was moved" "$moved$cmakedir"
fi
