/* layer 1: checking items, cutting them into chunks. */
#include "items.h"

/* Columns that are no arrays in memory: each item's argument is made when its turn comes. */
static int check_made(const struct mppool_column *c, size_t i, const struct mppool_func *func)
{
	size_t size = func->arg_size[i];

	if (c->kind > MPPOOL_RANGES)
		return mpp_failf(EINVAL, "column %zu has kind %zu, which is not known", i, c->kind);
	if (c->kind == MPPOOL_ADDRESSES && size != sizeof(void *))
		return mpp_failf(EINVAL, "column %zu gives addresses, and argument %zu of %s has %zu bytes", i, i,
		                 mpp_func_name(func), size);
	if (c->kind == MPPOOL_RANGES && size != 1 && size != 2 && size != 4 && size != 8)
		return mpp_failf(EINVAL, "column %zu is a range of integers, and argument %zu of %s has %zu bytes", i, i,
		                 mpp_func_name(func), size);
	return 0;
}

static int check_column(const struct mppool_column *c, size_t i, const struct mppool_func *func, size_t length)
{
	if (c->kind == MPPOOL_RANGES ? c->base != NULL : !c->base && length > 0)
		return mpp_failf(EINVAL, c->base ? "column %zu is a range of integers, and its base is not NULL"
		                                 : "the base of column %zu is NULL", i);
	if (c->size != 0 && c->size != func->arg_size[i])
		return mpp_failf(EINVAL, "column %zu has elements of %zu bytes, %s takes %zu", i, c->size,
		                 mpp_func_name(func), func->arg_size[i]);
	if (c->kind != MPPOOL_RANGES && c->stride != 0 && mpp_mul_overflows(length, c->stride))
		return mpp_failf(EINVAL, "column %zu: %zu items are too many, %zu bytes apart", i, length, c->stride);
	return c->kind == MPPOOL_VALUES ? 0 : check_made(c, i, func);
}

static int check_generator(const struct mppool_iterable *it, struct mpp_items *to)
{
	if (it->ncolumns != 0 || it->columns)
		return mpp_fail(EINVAL, "the items have both columns and a generator");
	to->length = it->length ? it->length : MPPOOL_UNKNOWN;
	return 0;
}

bool mpp_items_fit(size_t length, const struct mppool_func *func)
{
	return !mpp_mul_overflows(length, mpp_max(func->result_size, sizeof(int)));
}

static int check_count(const struct mppool_iterable *it, const struct mppool_func *func)
{
	if (it->ncolumns > 0 && !it->columns)
		return mpp_failf(EINVAL, "there are to be %zu columns, and columns is NULL", it->ncolumns);
	if (it->ncolumns == 0 && func->nargs > 0)
		return mpp_failf(EINVAL, "the items have neither columns nor a generator, %s takes %zu arguments",
		                 mpp_func_name(func), func->nargs);
	if (it->ncolumns != func->nargs)
		return mpp_failf(EINVAL, "the items have %zu column%s, %s takes %zu argument%s", it->ncolumns,
		                 it->ncolumns == 1 ? "" : "s", mpp_func_name(func), func->nargs,
		                 func->nargs == 1 ? "" : "s");
	if (it->length == MPPOOL_UNKNOWN)
		return mpp_fail(EINVAL, "the length of arrays must be known: it is MPPOOL_UNKNOWN");
	if (!mpp_items_fit(it->length, func))
		return mpp_failf(EINVAL, "%zu items are too many, with results of %zu bytes each", it->length,
		                 func->result_size);
	return 0;
}

static int check_columns(const struct mppool_iterable *it, const struct mppool_func *func, struct mpp_items *to)
{
	int error = check_count(it, func);

	for (size_t i = 0; !error && i < it->ncolumns; i++) {
		error = check_column(&it->columns[i], i, func, it->length);
		to->columns[i] = it->columns[i];
		to->made |= it->columns[i].kind != MPPOOL_VALUES;
	}
	to->ncolumns = it->ncolumns;
	to->length = it->length;
	return error;
}

int mpp_items_get(const struct mppool_iterable *items, const struct mppool_func *func, struct mpp_items *ret_items)
{
	struct mppool_iterable it;
	int error;

	if (!items)
		return mpp_fail(EINVAL, "there are no items: items is NULL");
	error = mpp_struct_copy(&it, items, sizeof it, sizeof it, "mppool_iterable");
	if (error)
		return error;
	memset(ret_items, 0, sizeof *ret_items);
	error = it.next ? check_generator(&it, ret_items) : check_columns(&it, func, ret_items);
	ret_items->next = it.next;
	ret_items->finish = it.finish;
	ret_items->state = it.state;
	return error;
}

/* --------------------------------------------------------------------------------------------------- made arguments */

struct mppool_column mpp_column_from(const struct mppool_column *c, size_t first, size_t size)
{
	struct mppool_column to = *c;

	to.size = size;
	if (c->kind == MPPOOL_RANGES)
		to.start = (int64_t)((uint64_t)c->start + (uint64_t)first * (uint64_t)(int64_t)(ptrdiff_t)c->stride);
	else
		to.base = (const char *)c->base + first * c->stride;
	return to;
}

/* In two's complement the low bytes of a sum are the sum of the low bytes: so one addition does for every size. */
static void make_integer(uint64_t value, size_t size, union mpp_made *to)
{
	switch (size) {
	case 1:
		to->u8 = (uint8_t)value;
		break;
	case 2:
		to->u16 = (uint16_t)value;
		break;
	case 4:
		to->u32 = (uint32_t)value;
		break;
	default:
		to->u64 = value;
	}
}

const void *mpp_column_at(const struct mppool_column *c, size_t i, union mpp_made *made)
{
	const struct mppool_column at = mpp_column_from(c, i, c->size);

	if (c->kind == MPPOOL_VALUES)
		return at.base;
	if (c->kind == MPPOOL_ADDRESSES)
		made->address = at.base;
	else
		make_integer((uint64_t)at.start, c->size, made);
	return made;
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
