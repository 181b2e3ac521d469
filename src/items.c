/* layer 1: checking items, cutting them into chunks. */
#include "items.h"

static int check_column(const struct mppool_column *c, size_t arg_size, size_t length)
{
	if (!c->base && length > 0)
		return EINVAL;
	if (c->size != 0 && c->size != arg_size)
		return EINVAL;
	if (c->stride != 0 && mpp_mul_overflows(length, c->stride))
		return EINVAL;
	return 0;
}

static int check_generator(const struct mppool_iterable *it, struct mpp_items *to)
{
	if (it->ncolumns != 0 || it->columns)
		return EINVAL;
	to->length = it->length ? it->length : MPPOOL_UNKNOWN;
	return 0;
}

bool mpp_items_fit(size_t length, const struct mppool_func *func)
{
	return !mpp_mul_overflows(length, mpp_max(func->result_size, sizeof(int)));
}

static int check_columns(const struct mppool_iterable *it, const struct mppool_func *func, struct mpp_items *to)
{
	if (it->length == MPPOOL_UNKNOWN || it->ncolumns != func->nargs || (it->ncolumns > 0 && !it->columns))
		return EINVAL;
	if (!mpp_items_fit(it->length, func))
		return EINVAL;
	for (size_t i = 0; i < it->ncolumns; i++) {
		int error = check_column(&it->columns[i], func->arg_size[i], it->length);

		if (error)
			return error;
		to->columns[i] = it->columns[i];
	}
	to->ncolumns = it->ncolumns;
	to->length = it->length;
	return 0;
}

int mpp_items_get(const struct mppool_iterable *items, const struct mppool_func *func, struct mpp_items *ret_items)
{
	struct mppool_iterable it;
	int error;

	if (!items)
		return EINVAL;
	error = mpp_struct_copy(&it, items, sizeof it, sizeof it);
	if (error)
		return error;
	memset(ret_items, 0, sizeof *ret_items);
	error = it.next ? check_generator(&it, ret_items) : check_columns(&it, func, ret_items);
	ret_items->next = it.next;
	ret_items->finish = it.finish;
	ret_items->state = it.state;
	return error;
}

size_t mpp_chunk_count(size_t items, size_t chunksize)
{
	return items / chunksize + (items % chunksize != 0);
}

size_t mpp_chunk_default(size_t items, size_t workers)
{
	size_t chunk = mpp_chunk_count(items, workers > SIZE_MAX / 4 ? SIZE_MAX : 4 * workers);

	return chunk ? chunk : 1;
}
