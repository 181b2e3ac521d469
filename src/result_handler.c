/* layer 3: the result handler: the one thread that calls callbacks, unless the program polls for them. */
#include "pool.h"

static void serve(struct mpp_service *h)
{
	h->frame.row = mpp_trace_row_get(h->pool->trace, MPP_TRACE_RESULT_HANDLER, 0);
	mpp_callbacks_serve(h->pool, &h->frame);
}

/* A callback left the thread. A successor takes over. */
static void handler_lost(struct mpp_service *h)
{
	mpp_service_leave_row(h);
	mpp_service_insist(h->pool, mpp_result_handler_start, h->pool);
}

static const struct mpp_service_kind handler_kind = {sizeof(struct mpp_service), "-result", serve, handler_lost};

int mpp_result_handler_start(void *pool)
{
	struct mpp_service *h = mpp_service_new(pool, &handler_kind, -1);

	return h ? mpp_service_start(h, -1) : ENOMEM;
}
