#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Every file of the source folders stands in the local.mk of its folder, or of the one above, so that the tarball and the
# tests lack none.
set -u
status=0
cd "$srcdir" || exit 99

# listed FILE...: each of them is named in its folder's local.mk, a program perhaps without the .c of its source.
listed()
{
	for file in "$@"; do
		test -f "$file" || continue
		list=${file%/*}/local.mk
		test -f "$list" || list=${file%%/*}/local.mk
		if ! tr -s '[:space:]' '[\n*]' <"$list" | grep -q -x -F -e "$file" -e "${file%.c}"; then
			echo "$file is not in $list"
			status=1
		fi
	done
}

listed include/*.h* src/*.[ch] bench/*.[ch] man/*.[0-9] man/html.* man/*.css examples/README examples/*.[ch] \
	examples/*.cc \
	examples/*/*.[ch] examples/*/*.py \
	tests/*.[ch] tests/*.cc tests/mistakes/* tests/*.sh tests/*.awk tests/expected/* tests/sched/*.[ch] \
	tests/sched/README \
	tests/fuzz/*.[ch] tests/fuzz/README tests/models/*.pml tests/planted.* tools/*.[ch]
exit $status
