/* layer 5: the version, as the program sees it at run time. */
#include "base.h"

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

MPP_PUBLIC const char *mppool_version(void)
{
	return TEXT(MPPOOL_VERSION_MAJOR) "." TEXT(MPPOOL_VERSION_MINOR) "." TEXT(MPPOOL_VERSION_PATCH);
}
