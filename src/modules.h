/* layer 1: the program and the shared libraries that were loaded at some moment. */
#ifndef MPP_MODULES_H
#define MPP_MODULES_H

#include "base.h"

struct mpp_modules;

/* Those that are loaded now. 0 or ENOMEM. */
int mpp_modules_get(struct mpp_modules **ret_modules);
void mpp_modules_free(struct mpp_modules *modules);

/* Is there a module at this address that was loaded since? Memory that is in no module is none. */
bool mpp_modules_is_new(const struct mpp_modules *modules, uintptr_t address);

/* ISO C knows no conversion of a pointer to a function; POSIX does. */
#define mpp_code_address(f) ((uintptr_t)(f))

#endif
