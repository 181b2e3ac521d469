# SPDX-License-Identifier: MIT

# MPP_ADD_CFLAG(VARIABLE, FLAG): append FLAG to VARIABLE if the C compiler takes it without a warning. FLAG may be a
# shell variable.
AC_DEFUN([MPP_ADD_CFLAG], [
	AS_VAR_PUSHDEF([mpp_cache], [mpp_cv_cflag_$2])
	AC_CACHE_CHECK([whether $CC takes $2], [mpp_cache], [
		mpp_add_save_CFLAGS=$CFLAGS
		CFLAGS="$CFLAGS -Werror $2"
		AC_COMPILE_IFELSE([AC_LANG_PROGRAM], [AS_VAR_SET([mpp_cache], [yes])], [AS_VAR_SET([mpp_cache], [no])])
		CFLAGS=$mpp_add_save_CFLAGS
	])
	AS_VAR_IF([mpp_cache], [yes], [AS_VAR_APPEND([$1], [" $2"])])
	AS_VAR_POPDEF([mpp_cache])
])

# MPP_ADD_LDFLAG(VARIABLE, FLAG): the same for the linker.
AC_DEFUN([MPP_ADD_LDFLAG], [
	AS_VAR_PUSHDEF([mpp_cache], [mpp_cv_ldflag_$2])
	AC_CACHE_CHECK([whether the linker takes $2], [mpp_cache], [
		mpp_add_save_LDFLAGS=$LDFLAGS
		LDFLAGS="$LDFLAGS $2"
		AC_LINK_IFELSE([AC_LANG_PROGRAM], [AS_VAR_SET([mpp_cache], [yes])], [AS_VAR_SET([mpp_cache], [no])])
		LDFLAGS=$mpp_add_save_LDFLAGS
	])
	AS_VAR_IF([mpp_cache], [yes], [AS_VAR_APPEND([$1], [" $2"])])
	AS_VAR_POPDEF([mpp_cache])
])
